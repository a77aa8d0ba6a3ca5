"""A folder that is made of tables: when it is linked, what its key depends on, and what happens where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.sinks.made_folder import contents, key_of, link_or_make, or_say


def test_it_is_linked_while_the_key_stays(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder, before, key in zip(folders, (None, folders[0], folders[1]), ("x", "x", "y"), strict=True):
        folder.mkdir()
        link_or_make(folder, before, key, lambda folder=folder: (folder / "file").touch())
    assert [(folder / "file").samefile(folders[0] / "file") for folder in folders] == [True, True, False]
    assert [key_of(folder) for folder in folders] == ["x", "x", "y"]
    assert key_of(tmp_path) == ""


def test_its_key_follows_the_files(tmp_path: Path) -> None:
    (tmp_path / "one.tsv").write_text("a")
    beside = tmp_path / "beside"
    beside.touch()
    before = contents(tmp_path)
    assert contents(tmp_path, [beside])[: len(before)] == before != contents(tmp_path, [beside])
    (tmp_path / "one.tsv").write_text("b")
    assert contents(tmp_path) != before


def test_what_cannot_be_made_leaves_an_empty_folder_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def make(reports: Path, folder: Path, before: Path | None) -> None:
        (folder / "inner").mkdir()
        (folder / "file").touch()
        raise error

    for error in (OSError(28, "No space left on device"), ValueError("a value")):
        if isinstance(error, OSError):
            with pytest.raises(OSError, match="No space"):
                or_say(make, "things")(tmp_path, tmp_path, None)
            (tmp_path / "inner").rmdir()
        else:
            or_say(make, "things")(tmp_path, tmp_path, None)
    assert not list(tmp_path.iterdir())
    assert caplog.messages == ["no things: making them failed: ValueError: a value"]
