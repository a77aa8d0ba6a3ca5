"""A set of a past day appears under its date, and changes nothing else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from grt_batch.core.errors import CannotWrite
from grt_batch.schema.parts import WHOLE
from grt_batch.schema.tables import Column, Table, Type, render
from grt_batch.sinks.past_set import PastSet
from grt_batch.sinks.report_set import ReportSet, sweep
from grt_batch.sinks.sink import PartText, Piece, TableText

NEWEST, PAST = date(2024, 6, 30), date(2024, 5, 31)
ONE = Table("one", "a table", ("key",), (Column("key", Type.TEXT, "key"),))


def write(sink: ReportSet, key: str) -> None:
    text = tuple(render(ONE, pl.DataFrame({"key": [key]})))
    with sink:
        sink.write_table(ONE, TableText("one", WHOLE, (PartText(key, None, (Piece("", text, text),)),)), "")
        sink.write_rejects("server", "1.5", f"jobs\t7\treason\t3\t{key}\n".encode())
        sink.wait()
        sink.prepare({})
        sink.publish()


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Where a run has published."""
    write(ReportSet(tmp_path, NEWEST, "run"), "run")
    return tmp_path


def links(reports: Path) -> dict[str, str]:
    """What the links lead to."""
    return {link.name: str(link.readlink()) for link in reports.iterdir() if link.is_symlink()}


def test_it_appears_beside_what_a_run_published(reports: Path) -> None:
    before = links(reports)
    write(PastSet(reports, PAST, "a"), "a")
    assert links(reports) == {**before, "2024-05-31": ".sets/2024-05-31.a"}
    assert (reports / "2024-05-31" / "one.tsv").read_text() == "key\na\n"
    assert [file.read_text().split()[-1] for file in reports.glob("rejects/server/*")] == ["run"]
    assert {folder.name for folder in (reports / ".sets").iterdir()} == {
        "2024-06-30.run",
        "rejects.run",
        "2024-05-31.a",
    }


@pytest.mark.parametrize("again", [False, True])
def test_one_that_is_there_stays_unless_it_is_wanted_again(reports: Path, *, again: bool) -> None:
    write(PastSet(reports, PAST, "a"), "a")
    write(PastSet(reports, PAST, "b", again=again), "b")
    assert (reports / "2024-05-31" / "one.tsv").read_text() == ("key\nb\n" if again else "key\na\n")
    # Who opened the one before may read it to its end, and one that is not shown is gone.
    assert (reports / ".sets" / "2024-05-31.a" / "one.tsv").exists()
    assert (reports / ".sets" / "2024-05-31.b").exists() == again
    sweep(reports)
    assert (reports / ".sets" / "2024-05-31.a").exists() != again


@pytest.mark.parametrize("again", [False, True])
def test_the_newest_set_stays_in_any_case(reports: Path, *, again: bool) -> None:
    before = links(reports)
    write(PastSet(reports, NEWEST, "a", again=again), "a")
    assert links(reports) == before
    assert (reports / "latest" / "one.tsv").read_text() == "key\nrun\n"


def test_an_error_leaves_nothing(reports: Path) -> None:
    before = links(reports)
    with pytest.raises(ZeroDivisionError), PastSet(reports, PAST, "a"):
        raise ZeroDivisionError
    assert links(reports) == before
    assert not (reports / ".sets" / "2024-05-31.a").exists()


def test_a_folder_in_the_place_of_its_link_is_named(reports: Path) -> None:
    (reports / "2024-05-31").mkdir()
    with pytest.raises(CannotWrite) as raised, PastSet(reports, PAST, "a"):
        raise AssertionError
    assert raised.value.folder == reports / "2024-05-31"
