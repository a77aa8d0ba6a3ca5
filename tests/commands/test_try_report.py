"""`grt-batch try`: the rows of one report over one archive, without anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import Call
from examples import README, SECOND

from grt_batch.modules.exports import splitter


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A file with the example of README."""
    file = tmp_path / "tool_days.py"
    file.write_text(README)
    return file


@pytest.fixture
def archive(good: Path) -> Path:
    """A small archive."""
    return min(good.rglob("*.tar.gz"))


def test_the_rows_are_shown_and_nothing_is_left(call: Call, report: Path, archive: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    answer = call("try", report, archive, "--limit", "2")
    assert (answer.code, answer.err) == (0, "")
    title, header, *rows, rest = answer.out.rstrip("\n").splitlines()
    assert title.startswith("tool_days: ")
    assert header.split() == ["tool_id", "days"]
    assert len(rows) == 2
    assert rest.endswith("more; --limit 0 shows all)")
    assert sorted(tmp_path.rglob("*")) == before


def test_json_and_tar_gz_name_the_same_archive(call: Call, report: Path, archive: Path) -> None:
    document = archive.with_name(archive.name.replace(".tar.gz", ".json"))
    assert call("try", report, archive).out == call("try", report, document).out


def test_the_json_may_be_missing_and_the_tar_gz_not(call: Call, report: Path, archive: Path, tmp_path: Path) -> None:
    alone = tmp_path / "1.tar.gz"
    alone.write_bytes(archive.read_bytes())
    assert call("try", report, alone).out == call("try", report, archive).out
    alone.rename(tmp_path / "else.tar.gz")
    assert "else.tar.gz is not the name of an archive" in call("try", report, tmp_path / "else.tar.gz").complaint
    (tmp_path / "1.json").write_text("{}")
    assert "1.json has no 1.tar.gz" in call("try", report, tmp_path / "1.json").complaint


def test_an_archive_that_cannot_be_read_says_why(call: Call, report: Path, tmp_path: Path) -> None:
    (tmp_path / "1.tar.gz").write_bytes(b"no archive")
    assert "1.tar.gz cannot be read: " in call("try", report, tmp_path / "1.tar.gz").complaint


def test_as_tsv_a_program_can_read_it(call: Call, report: Path, archive: Path) -> None:
    lines = call("try", report, archive, "--format", "tsv", "--limit", "0").out.splitlines()
    assert lines[0] == "tool_id\tdays"
    assert len(lines) > 3
    assert all(line.count("\t") == 1 for line in lines)


def test_the_windows_end_at_the_last_job_or_the_given_day(call: Call, archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "tool_wait.py"
    file.write_text(SECOND)
    assert "tool_wait: 0 rows" not in call("try", file, archive).out
    answer = call("try", file, archive, "--as-of", "1999-12-31")
    assert answer.out.startswith("tool_wait: 0 rows, as of 1999-12-31")


@pytest.mark.parametrize(
    ("before", "after", "line", "what"),
    [
        ('pl.col("day").n_unique()', 'pl.col("dais").n_unique()', "days = ", "ColumnNotFoundError"),
        ('alias("days")', 'alias("n")', "def rows", "table tool_days: no column days"),
        ('{"tool_days": days}', "{}", "def rows", "rows of tool_days has no table tool_days"),
        ("class ToolDays(", "class ToolDays:(", "class ToolDays", "invalid syntax"),
    ],
)
def test_an_error_in_the_file_is_one_line_that_names_its_place(
    call: Call, report: Path, archive: Path, before: str, after: str, line: str, what: str
) -> None:
    assert before in README
    report.write_text(README.replace(before, after))
    number = 1 + README[: README.index(line)].count("\n")
    answer = call("try", report, archive)
    assert answer.code == 2
    assert answer.complaint.startswith(f"{report}, line {number}: {what}")
    assert "Traceback" in call("try", report, archive, "--debug").err


def test_an_export_has_no_rows(call: Call, archive: Path) -> None:
    assert ": splitter is an export, without rows" in call("try", splitter.__file__, archive).complaint


def test_a_table_that_is_not_there_is_named(call: Call, report: Path, archive: Path) -> None:
    assert "there is no table tool, there are tool_days" in call("try", report, archive, "--table", "tool").complaint
