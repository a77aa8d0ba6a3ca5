"""A path that is short enough for a socket, whatever the work folder and TMPDIR are called."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grt_batch.core.errors import NoEmbeddedServer
from grt_batch.embedded_postgres import place
from grt_batch.embedded_postgres.place import forget, short


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a path that is too long, and two short places for a link."""
    with tempfile.TemporaryDirectory(prefix="p-") as name:
        root = Path(name)
        for number in "12":
            (root / number).mkdir()
        monkeypatch.setattr(place, "PLACES", (str(root / "1"), str(root / "2")))
        folder = tmp_path / ("long" * 30)
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder


def test_a_short_path_stays(tmp_path: Path) -> None:
    assert short(Path("/srv/grt/postgres")) == Path("/srv/grt/postgres")
    assert short(tmp_path / "é b") == tmp_path / "é b"


def test_what_libpq_cannot_be_told_gets_a_link_that_is_made_again(long: Path) -> None:
    for folder in (long, Path("/srv/a,b"), Path(os.fsdecode(b"/srv/gr\xf6\xdfe"))):
        link = short(folder)
        assert str(link.parent) == place.PLACES[0]
        assert link.readlink() == folder
        assert short(folder) == link
        link.unlink()  # by a cleaner of temporary files
        assert short(folder) == link
        forget(folder)
        assert not os.path.lexists(link)
        forget(folder)
    assert len({short(long), short(long.with_name(long.name + "2"))}) == 2


def test_a_link_of_another_user_or_of_something_else_is_not_taken(long: Path) -> None:
    link = short(long)
    link.unlink()
    link.symlink_to("/elsewhere")
    assert short(long) == link
    assert link.readlink() == long
    link.unlink()
    link.mkdir()
    assert str(short(long).parent) == place.PLACES[1]
    forget(long)
    assert link.is_dir()
    link.rmdir()
    if os.geteuid() == 0:
        link.symlink_to(long)
        os.lchown(link, 65534, 65534)
        assert short(long).lstat().st_uid == 0


def test_without_a_place_it_says_what_is_too_long(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PLACES", ("/nowhere", str(long)))
    with pytest.raises(NoEmbeddedServer, match=r"path of its socket in .*longlong.* has \d{3} bytes of 103") as raised:
        short(long)
    assert "pip" not in str(raised.value)
