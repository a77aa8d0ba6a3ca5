"""The command that validates uploads."""

from __future__ import annotations

from pathlib import Path

from build import line, write_archive
from calling import Answer, Call

from grt_batch.schema.members import Kind


def test_check_finds_good_uploads_good(call: Call, good: Path, tmp_path: Path) -> None:
    answer = call("check", good)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count(": good: ") == 4
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_check_names_what_is_damaged_and_what_is_incomplete(call: Call, bad: Path) -> None:
    answer = call("check", bad)
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.count(": good: ") == 2
    assert answer.out.count(": quarantine: the hash in ") == 1
    assert answer.out.count(": incomplete: ") == 1
    assert "passed over: stray: not a folder\n" in answer.out


def test_check_takes_what_is_only_incomplete_for_good(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    write_archive(folder / "3" / "archives", "0", {}).with_name("0.json").unlink()
    answer = call("check", folder)
    assert answer == Answer(0, "3/0: incomplete: 0.tar.gz has no 0.json\n", "")


def test_check_counts_by_reason(call: Call, tmp_path: Path) -> None:
    jobs = line(1, "a", "1", "ok", "2020-01-01 00:00:00") + b"2\ta\n" * 3
    write_archive(tmp_path / "uploads" / "3" / "archives", "0", {Kind.JOBS: jobs})
    answer = call("check", tmp_path / "uploads")
    assert answer == Answer(0, "3/0: good: 1 job; 3 rejected; 3 × jobs: 2 columns instead of 5\n", "")
