"""Machine code is kept, and taken from nobody but this user, root and the owner of the sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grt_batch.kernels.place import Place

NAME = "f.kernel"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "sources" / "cpu")
    place.write(NAME, [b"machine ", b"code"])
    return place


def refused(place: Place) -> bool:
    try:
        place.read(NAME)
    except PermissionError:
        return True
    return False


def test_what_was_written_is_read(place: Place) -> None:
    assert place.read(NAME) == b"machine code"
    assert place.files() == {NAME}
    assert [file.name for file in place.folder.iterdir()] == [NAME]


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
@pytest.mark.parametrize("which", ["folder", "parent", "file"])
def test_what_others_can_write_is_not_read(place: Place, which: str, mode: int) -> None:
    entry = {"folder": place.folder, "parent": place.folder.parent, "file": place.folder / NAME}[which]
    entry.chmod(mode)
    assert refused(place)
    # The owner writes it again, and takes the rights of others away.
    place.write(NAME, [b"new"])
    assert place.read(NAME) == b"new"


@pytest.mark.parametrize("which", ["folder", "parent", "file"])
def test_what_another_user_owns_is_not_read(place: Place, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    entry = {"folder": place.folder, "parent": place.folder.parent, "file": place.folder / NAME}[which]
    os.chown(entry, 54321, -1)
    assert refused(place)
    sources = place.folder.parent.parent
    os.chown(sources, 54321, -1)
    assert not refused(Place(place.folder, sources=sources))
    if which != "file":
        with pytest.raises(PermissionError):
            place.write(NAME, [b"new"])


@pytest.mark.parametrize("level", ["folder", "parent"])
def test_a_symbolic_link_is_no_folder(place: Place, tmp_path: Path, level: str) -> None:
    entry = place.folder if level == "folder" else place.folder.parent
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert refused(place)
    with pytest.raises(PermissionError):
        place.write(NAME, [b"new"])


def test_who_can_write_the_sources_may_write_the_kernels_of_an_installation(tmp_path: Path) -> None:
    sources = tmp_path / "installation"
    sources.mkdir()
    place = Place(sources / "kernels" / "cpu", sources=sources)
    sources.chmod(0o770)
    place.write(NAME, [b"code"])
    assert [f"{entry.stat().st_mode & 0o777:o}" for entry in (place.folder, place.folder / NAME)] == ["750", "640"]
    place.folder.chmod(0o770)
    assert not refused(place)
    place.folder.chmod(0o777)
    assert refused(place)
    sources.chmod(0o750)
    place.folder.chmod(0o770)
    assert refused(place)


def test_a_place_can_be_written_where_it_can_be_made(place: Place, tmp_path: Path) -> None:
    assert place.can_be_written
    assert Place(tmp_path / "new" / "cpu").can_be_written
    assert not Place(place.folder / NAME / "cpu").can_be_written
    place.folder.chmod(0o777)
    assert not place.can_be_written
