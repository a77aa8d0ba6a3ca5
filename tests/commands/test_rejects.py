"""The command that shows rejected lines."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from calling import Answer, Call, places
from runs import published


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


def test_without_rejects_there_is_nothing_to_show(call: Call, tmp_path: Path) -> None:
    assert call("rejects", "--reports", tmp_path) == Answer(0, "no line was rejected\n", "")


def test_rejects_go_with_the_archive_that_they_are_of(
    call: Call, options: list[object], bad: Path, tmp_path: Path
) -> None:
    call("run", *options)
    # What is only half there now counts as it was, unless it is forgotten.
    call("run", *options, "--uploads", bad, "--forget")
    again = published(tmp_path / "reports")
    assert call("run", *options, "--uploads", bad, *places(tmp_path / "fresh")).code == 1
    assert again == published(tmp_path / "fresh" / "reports")
