"""The command that shows rejected lines."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from calling import Answer, Call, places
from runs import published

from grt_batch.core.errors import NothingPublished


def test_rejects_are_counted_by_archive_and_reason(call: Call, finished: SimpleNamespace) -> None:
    answer = call("rejects", "--reports", finished.reports)
    assert (answer.code, answer.err) == (0, "")
    titles, *rows = answer.out.splitlines()
    assert titles.split() == ["instance", "archive", "member", "reason", "lines"]
    counted = sum(int(row.split()[-1]) for row in rows)
    files = (finished.reports / "rejects").glob("*/*.tsv")
    assert counted == sum(len(file.read_text().splitlines()) - 1 for file in files) > 0


def test_rejected_lines_are_shown_as_the_file_has_them(call: Call, finished: SimpleNamespace) -> None:
    file = min((finished.reports / "rejects").glob("*/*.tsv"))
    answer = call(
        "rejects", "--reports", finished.reports, "--lines", "--instance", file.parent.name, "--archive", file.stem
    )
    titles, *rows = answer.out.splitlines()
    assert titles.split() == ["instance", "archive", "member", "line", "reason", "bytes", "text"]
    texts = [row.split("\t")[-1].rstrip() for row in file.read_text().splitlines()[1:]]
    assert len(rows) == len(texts)
    assert all(row.endswith(text) for row, text in zip(rows, texts, strict=True))


def test_without_rejects_there_is_nothing_to_show(call: Call, finished: SimpleNamespace, tmp_path: Path) -> None:
    rejected = {(file.parent.name, file.stem) for file in (finished.reports / "rejects").glob("*/*.tsv")}
    lines = (finished.reports / "latest" / "archive.tsv").read_text().splitlines()[1:]
    instance, archive = min({tuple(line.split("\t")[:2]) for line in lines} - rejected)
    answer = call("rejects", "--reports", finished.reports, "--instance", instance, "--archive", archive)
    assert answer == Answer(0, "no line was rejected\n", "")


@pytest.mark.parametrize("made", [False, True])
def test_where_nothing_was_published_nobody_knows_what_was_rejected(call: Call, tmp_path: Path, made: bool) -> None:
    reports = tmp_path / "reports"
    if made:
        reports.mkdir()
    answer = call("rejects", "--reports", reports)
    assert (answer.code, answer.out, answer.complaint) == (4, "", str(NothingPublished(reports=reports)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--instance", "nowhere"], "no instance nowhere"),
        (["--archive", "99"], "no archive 99"),
        (["--instance", "nowhere", "--archive", "99"], "no instance nowhere with the archive 99"),
    ],
)
def test_an_archive_that_is_not_there_is_named(
    call: Call, finished: SimpleNamespace, options: list[str], said: str
) -> None:
    answer = call("rejects", "--reports", finished.reports, *options)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.complaint


def test_rejects_go_with_the_archive_that_they_are_of(
    call: Call, options: list[object], bad: Path, tmp_path: Path
) -> None:
    call("run", *options)
    # What is only half there now counts as it was, unless it is forgotten.
    call("run", *options, "--uploads", bad, "--forget")
    again = published(tmp_path / "reports")
    assert call("run", *options, "--uploads", bad, *places(tmp_path / "fresh")).code == 1
    assert again == published(tmp_path / "fresh" / "reports")
