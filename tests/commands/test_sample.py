"""The command that writes sample uploads."""

from __future__ import annotations

from pathlib import Path

from calling import Call

from grt_batch.core.errors import BadArguments


def test_sample_writes_what_check_takes_and_writes_over_nothing(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    arguments = ["sample", folder, "--jobs", "30", "--instances", "2", "--archives", "1", "--seed", "3"]
    answer = call(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"30 jobs in 2 archives of 2 instances written to {folder} (")
    assert call("check", folder).code == 0
    again = call(*arguments)
    assert again.code == BadArguments.exit_code
    assert str(folder) in again.complaint
