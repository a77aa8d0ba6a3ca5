"""The note of how the last run ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.core import errors
from grt_batch.core.errors import Held
from grt_batch.monitoring.outcome import NOTE, PUBLISHED, Outcome, last, note, outcome


def test_the_note_holds_until_the_next_run(tmp_path: Path) -> None:
    assert last(tmp_path) is None
    note(tmp_path, outcome(tmp_path, 1.0, 2.5, 1))
    assert last(tmp_path) == Outcome(1.0, 2.5, 1, "", 2.5)
    note(tmp_path, outcome(tmp_path, 3.0, 4.0, 4, "no room"))
    assert last(tmp_path) == Outcome(3.0, 4.0, 4, "no room", 2.5)
    note(tmp_path, outcome(tmp_path, 5.0, 6.0, Held.exit_code))
    assert last(tmp_path) == Outcome(5.0, 6.0, Held.exit_code, "", 2.5)
    assert [file.name for file in tmp_path.iterdir()] == [NOTE]


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"started": 1, "ended": 2, "code": "x"}'])
def test_a_damaged_note_is_none(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / NOTE).write_bytes(raw)
    assert last(tmp_path) is None


def test_without_a_work_folder_there_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        note(tmp_path / "none", Outcome(1, 2, 3))


def test_a_run_failed_where_it_neither_published_nor_was_held() -> None:
    codes = {error.exit_code for error in errors.GrtError.__subclasses__()} | {*PUBLISHED, Held.exit_code, 130}
    failed = {code for code in codes if Outcome(1, 2, code).failed}
    assert failed == {2, 3, 4, 5, 6, 130}
