"""A report file is put together from new text and what the set before has; what somebody else wrote is not taken."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from grt_batch.core.errors import CannotWrite
from grt_batch.schema.parts import Group, Years
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.report_file import PARTS, load_parts
from grt_batch.sinks.report_set import ReportSet, reported_tables
from grt_batch.sinks.sink import PartText, Piece, TableText

TABLE = Table(
    "days",
    "a table",
    ("instance_id", "day"),
    (Column("instance_id", Type.TEXT, "instance"), Column("day", Type.DATE, "day"), Column("n", Type.BIGINT, "n")),
    nullable=("day",),
    of_instances=True,
    by_year="day",
)
HEADER = "instance_id\tday\tn\n"
DAY, NEXT = date(2024, 6, 30), date(2024, 7, 1)
NULL, OLD, NEW = Years(), Years(None, 2024), Years(2024, 2025)
DATES = {NULL: r"\N", OLD: "2020-01-01", NEW: "2024-01-01"}


def part(years: Years, run: int, *instances: str) -> PartText:
    """A part with a row for each instance."""
    texts = [(name, (f"{name}\t{DATES[years]}\t{run}\n".encode(),)) for name in instances]
    content = f"{'+'.join(instances)} {years.place} by {run}"
    return PartText(content, years, tuple(Piece(name, text, text) for name, text in texts))


def known(text: PartText) -> PartText:
    return PartText(text.content, text.years)


def write(reports: Path, day: date, run: str, *groups: tuple[Group, tuple[PartText, ...]]) -> str:
    with ReportSet(reports, day, run) as sink:
        for group, parts in groups:
            sink.write_table(TABLE, TableText("days", group, parts), f"{group.name} by {run}")
        sink.wait()
        sink.prepare({})
        sink.publish()
    return (reports / day.isoformat() / "days.tsv").read_text()


A, B, BOTH = Group("a", ("a",)), Group("b", ("b",)), Group("both", ("a", "c"))
FIRST = ((B, (part(NEW, 1, "b"), part(NULL, 1, "b"))), (A, (part(OLD, 1, "a"), part(NEW, 1, "a"))))
ROWS = "a\t2020-01-01\t1\na\t2024-01-01\t1\nb\t\t1\nb\t2024-01-01\t1\n"


def test_rows_are_in_order_whatever_comes_first(tmp_path: Path) -> None:
    assert write(tmp_path / "1", DAY, "r", *FIRST) == HEADER + ROWS
    assert write(tmp_path / "2", DAY, "r", *FIRST[::-1]) == HEADER + ROWS
    assert not [file for file in (tmp_path / "1" / "latest").iterdir() if file.suffix == ".new"]


def test_the_pieces_of_a_part_may_stand_apart(tmp_path: Path) -> None:
    groups = ((BOTH, (part(NEW, 1, "a", "c"), part(OLD, 1, "a", "c"))), (B, (part(NEW, 1, "b"),)))
    rows = "a\t2020-01-01\t1\na\t2024-01-01\t1\nb\t2024-01-01\t1\nc\t2020-01-01\t1\nc\t2024-01-01\t1\n"
    assert write(tmp_path, DAY, "1", *groups) == HEADER + rows
    # Both pieces of a part are kept with it.
    kept = ((BOTH, (part(NEW, 2, "a", "c"), known(part(OLD, 1, "a", "c")))), (B, (part(NEW, 1, "b"),)))
    assert write(tmp_path, DAY, "2", *kept) == HEADER + rows.replace("a\t2024-01-01\t1", "a\t2024-01-01\t2").replace(
        "c\t2024-01-01\t1", "c\t2024-01-01\t2"
    )


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_what_is_kept_is_taken_from_the_set_before(tmp_path: Path, day: date) -> None:
    write(tmp_path, DAY, "1", *FIRST)
    before = (tmp_path / "latest" / "days.tsv").read_bytes()
    kept = (known(part(OLD, 1, "a")), part(NEW, 2, "a"))
    found = write(tmp_path, day, "2", (A, kept), (B, tuple(map(known, FIRST[0][1]))))
    assert found == HEADER + ROWS.replace("a\t2024-01-01\t1", "a\t2024-01-01\t2")
    assert (tmp_path / ".sets" / "2024-06-30.1" / "days.tsv").read_bytes() == before
    # And again, from that one.
    assert write(tmp_path, day, "3", (A, tuple(map(known, kept)))) == HEADER + "a\t2020-01-01\t1\na\t2024-01-01\t2\n"


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_a_file_in_which_nothing_changed_is_the_same_file(tmp_path: Path, day: date) -> None:
    write(tmp_path, DAY, "1", *FIRST)
    before = (tmp_path / "latest" / "days.tsv").stat().st_ino
    assert write(tmp_path, day, "2", *((group, tuple(map(known, parts))) for group, parts in FIRST)) == HEADER + ROWS
    assert (tmp_path / "latest" / "days.tsv").stat().st_ino == before


def test_without_rows_the_header_stays(tmp_path: Path) -> None:
    assert write(tmp_path, DAY, "1", (A, ()), (B, ())) == HEADER
    assert write(tmp_path, DAY, "2", (A, ()), (B, ())) == HEADER
    assert load_parts(tmp_path / "latest")["days"].groups.keys() == {"a", "b"}


def contents(reports: Path) -> set[str]:
    """The contents of the parts that a run may take over."""
    ((file, held),) = reported_tables(reports, DAY).values()
    return held.intact(file)


def test_text_that_somebody_changed_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, DAY, "1", *FIRST)
    whole = contents(tmp_path)
    assert whole == {text.content for _, parts in FIRST for text in parts}
    file = tmp_path / "latest" / "days.tsv"
    file.write_text(file.read_text().replace("a\t2024-01-01\t1", "a\t2024-01-01\t7"))
    assert whole - contents(tmp_path) == {part(NEW, 1, "a").content}
    file.write_text(file.read_text() + "c\t\t1\n")
    assert reported_tables(tmp_path, DAY) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"days": {"groups": {}}}', "\0"])
def test_a_note_that_no_run_wrote_says_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path, DAY, "1", *FIRST)
    (tmp_path / "latest" / PARTS).write_text(text)
    assert reported_tables(tmp_path, DAY) == {}


@pytest.mark.parametrize("gone", ["the part", "the text"])
def test_what_is_lost_in_the_middle_of_a_run_ends_it(tmp_path: Path, gone: str) -> None:
    write(tmp_path, DAY, "1", *FIRST)
    with (
        pytest.raises(CannotWrite, match=r"another program changed .*days\.tsv"),
        ReportSet(tmp_path, DAY, "2") as sink,
    ):
        kept = PartText("another", NEW) if gone == "the part" else known(part(NEW, 1, "b"))
        (tmp_path / "latest" / "days.tsv").write_text(HEADER)
        sink.write_table(TABLE, TableText("days", A, (part(NEW, 2, "a"),)), "")
        sink.write_table(TABLE, TableText("days", B, (kept,)), "")
        sink.wait()
    assert sorted(folder.name for folder in (tmp_path / ".sets").iterdir()) == ["2024-06-30.1", "rejects.1"]


def test_the_files_of_tables_that_a_run_does_not_write_stay_known(tmp_path: Path) -> None:
    write(tmp_path, DAY, "1", *FIRST)
    with ReportSet(tmp_path, DAY, "2") as sink:
        sink.wait()
        sink.prepare({})
        sink.publish()
    assert contents(tmp_path) == {text.content for _, parts in FIRST for text in parts}
