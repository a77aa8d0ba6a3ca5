"""The command that brings raw archives into another folder; from a service it is tested with the service."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import AS_OF, Call, places

from grt_batch.uploads.scan import scan


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["instance"], "'instance' is not NAME=VALUE"),
        (["instance=a", "instance=b"], "instance is given twice"),
        (["what=x"], "it has no 'what'"),
        (["from=now"], "from is a date as YYYY-MM-DD, not 'now'"),
        (["--key-file", __file__], "--key-file is for a --url"),
    ],
    ids=str,
)
def test_a_wrong_filter_ends_with_2_and_a_line(call: Call, tmp_path: Path, arguments: list[str], said: str) -> None:
    answer = call("fetch", *arguments, "--to", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.complaint


def test_nothing_that_passes_ends_with_3(call: Call, good: Path, tmp_path: Path) -> None:
    answer = call("fetch", "instance=nobody", "--to", tmp_path / "to", "--uploads", good)
    assert (answer.code, answer.out) == (3, "")
    assert "no archive passes the filter" in answer.complaint


def test_a_run_reads_what_was_fetched(call: Call, good: Path, tmp_path: Path, database: str) -> None:
    instance = scan(good).instances[0]
    answer = call("fetch", f"instance={instance.instance_id}", "--to", tmp_path / "to", "--uploads", good)
    assert answer.code == 0
    assert answer.out.startswith(f"fetched {len(instance.archives)} archives (")
    again = call("fetch", f"instance={instance.instance_id}", "--to", tmp_path / "to", "--uploads", good)
    assert again.out == f"fetched 0 archives (0 bytes) into {tmp_path / 'to'}; 2 archives had been there\n"
    run = call(
        "run", "--uploads", tmp_path / "to", *places(tmp_path), "--database", database, "--as-of", AS_OF, "tools"
    )
    assert run.code == 0
    taken = ["fetch", "state=published", "--to", tmp_path / "published", "--uploads", tmp_path / "to"]
    assert call(*taken, "--work", tmp_path / "work").out.startswith("fetched 2 archives (")
    assert call(*taken, "--work", tmp_path / "none").code == 3
