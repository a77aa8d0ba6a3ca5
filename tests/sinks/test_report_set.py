"""A set of reports appears at one stroke, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from build import HEADERS, line, write_archive
from calling import query

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite
from grt_batch.pipeline.request import RunSummary
from grt_batch.schema.members import Kind
from grt_batch.schema.parts import WHOLE
from grt_batch.schema.tables import Column, Table, Type, defused, render
from grt_batch.sinks.report_set import ReportSet, sweep
from grt_batch.sinks.sink import PartText, Piece, TableText

DAY, NEXT = date(2024, 6, 30), date(2024, 7, 1)
ONE, TWO = (Table(name, "a table", ("key",), (Column("key", Type.TEXT, "key"),)) for name in ("one", "two"))


def write(reports: Path, day: date, run: str, *tables: Table) -> Path:
    """Write a set as a run does, which clears away first."""
    sweep(reports)
    with ReportSet(reports, day, run) as sink:
        for table in tables:
            sink.write_table(table, text_of(table, run), "")
        sink.wait()
        sink.write_summary({"run": run})
        sink.prepare({})
        sink.publish()
    return reports / day.isoformat()


def text_of(table: Table, key: str) -> TableText:
    text = tuple(render(table, pl.DataFrame({"key": [key]})))
    return TableText(table.name, WHOLE, (PartText(key, None, (Piece("", text, text),)),))


def shown(reports: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (reports / "latest").glob("[!.]*")}


def sets(reports: Path) -> list[str]:
    return sorted(folder.name for folder in (reports / ".sets").glob("*"))


def test_latest_leads_to_the_newest_set(tmp_path: Path) -> None:
    write(tmp_path, DAY, "a", ONE, TWO)
    folder = write(tmp_path, NEXT, "b", ONE, TWO)
    assert folder == tmp_path / "2024-07-01"
    assert (tmp_path / "latest").resolve() == folder.resolve()
    assert shown(tmp_path)["one.tsv"] == "key\nb\n"
    assert (tmp_path / "2024-06-30" / "one.tsv").read_text() == "key\na\n"


def test_a_set_of_the_same_day_is_replaced(tmp_path: Path) -> None:
    for run in "abcd":
        write(tmp_path, DAY, run, ONE, TWO)
    assert shown(tmp_path)["two.tsv"] == "key\nd\n"
    # The one before stays for those who opened it, until the next run.
    assert sets(tmp_path) == ["2024-06-30.c", "2024-06-30.d", "rejects.c", "rejects.d"]


def test_who_opened_a_set_may_read_it_to_its_end(tmp_path: Path) -> None:
    write(tmp_path, DAY, "a", ONE, TWO)
    opened = (tmp_path / "latest").resolve()
    write(tmp_path, DAY, "b", ONE, TWO)
    assert (opened / "two.tsv").read_text() == "key\na\n"


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_an_error_leaves_what_was_there(tmp_path: Path, day: date) -> None:
    write(tmp_path, DAY, "a", ONE)
    before = shown(tmp_path)
    with pytest.raises(ZeroDivisionError), ReportSet(tmp_path, day, "b") as sink:
        sink.write_table(ONE, text_of(ONE, "half"), "")
        raise ZeroDivisionError
    assert shown(tmp_path) == before
    assert sets(tmp_path) == ["2024-06-30.a", "rejects.a"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    write(tmp_path, DAY, "a", ONE)
    left = tmp_path / ".sets" / "2024-06-30.killed"
    left.mkdir()
    (left / "one.tsv").write_text("half")
    (tmp_path / ".latest.new").symlink_to("nowhere")
    write(tmp_path, DAY, "b", ONE)
    assert not left.exists()
    assert shown(tmp_path)["one.tsv"] == "key\nb\n"


def test_one_table_alone_leaves_the_others_of_that_day(tmp_path: Path) -> None:
    write(tmp_path, DAY, "a", ONE, TWO)
    write(tmp_path, DAY, "b", TWO)
    assert {name: text for name, text in shown(tmp_path).items() if name != "run.json"} == {
        "one.tsv": "key\na\n",
        "two.tsv": "key\nb\n",
    }


def test_latest_never_loses_a_table(tmp_path: Path) -> None:
    write(tmp_path, DAY, "a", ONE, TWO)
    write(tmp_path, NEXT, "b", TWO)
    assert (tmp_path / "latest").readlink() == Path("2024-06-30")
    assert (tmp_path / "2024-07-01" / "two.tsv").exists()


def test_reject_files_are_those_of_the_last_set(tmp_path: Path) -> None:
    file = tmp_path / "rejects" / "server" / "1.5.tsv"
    with ReportSet(tmp_path, DAY, "a") as sink:
        sink.write_rejects("server", "1.5", b"jobs\t7\treason\t3\traw\n")
        sink.write_rejects("server", "2.5", b"")
        assert not file.exists()
        sink.prepare({})
        sink.publish()
    assert file.read_text() == "archive\tmember\tline\treason\tbytes\ttext\n1.5\tjobs\t7\treason\t3\traw\n"
    assert [found.name for found in file.parent.iterdir()] == ["1.5.tsv"]
    write(tmp_path, NEXT, "b", ONE)
    assert not file.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(CannotWrite) as raised, ReportSet(tmp_path / "reports", DAY, "a"):
        raise AssertionError
    assert raised.value.folder == tmp_path / "reports"


@pytest.mark.parametrize("name", ["latest", "rejects", "2024-06-30"])
def test_a_folder_in_the_place_of_a_link_is_found_before_anything_is_published(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(CannotWrite) as raised, ReportSet(tmp_path, DAY, "a"):
        raise AssertionError
    assert raised.value.folder == tmp_path / name
    assert sets(tmp_path) == []


FORMULAS = ["=1+1", "=cmd|' /C calc'!A0", "+1-2", "-1+1", "@SUM(A1)", "-", "=", "-x\ty", "+1\n", "-1e", "-inf"]
HARMLESS = ["", "1=1", "-5", "+1.50", "-.5e-07", "'=1", "a-b", " =1", "5.", "x"]


def test_what_a_spreadsheet_would_run_is_defused_and_nothing_else() -> None:
    columns = [Column("key", Type.TEXT, ""), Column("text", Type.TEXT, ""), Column("number", Type.BIGINT, "")]
    table = Table("formulas", "", ("key",), tuple(columns))
    texts = sorted({*FORMULAS, *HARMLESS})
    frame = pl.DataFrame({"key": texts, "text": [None, *texts[1:]], "number": [-1] * len(texts)})
    encoded = frame.with_columns(pl.col("key").cast(pl.Enum(texts)))
    for rows in (frame, encoded):
        found = defused(table, rows)
        assert found["key"].to_list() == [f"'{text}" if text in FORMULAS else text for text in texts]
        assert found["text"].to_list() == [None, *found["key"].to_list()[1:]]
        assert found["number"].equals(frame["number"])


def test_rejected_lines_are_defused_too(tmp_path: Path) -> None:
    content = b"jobs\t7\tno date\t4\t=1+1\njobs\t8\t-\t4\ta=1\nparams\t9\treason\t3\t@x\\t=y\n"
    for defuse in (True, False):
        with ReportSet(tmp_path, DAY, f"{defuse}", defuse=defuse) as sink:
            sink.write_rejects("server", "1", content)
            sink.prepare({})
            sink.publish()
        sign = "'" if defuse else ""
        lines = (tmp_path / "rejects" / "server" / "1.tsv").read_text().splitlines()[1:]
        assert [line.split("\t")[5] for line in lines] == [f"{sign}=1+1", "a=1", f"{sign}@x\\t=y"]
        assert lines[1].split("\t")[3] == "-"


def test_a_run_defuses_the_reports_and_not_the_database(
    config: Config, run_here: Callable[..., RunSummary], tmp_path: Path
) -> None:
    members = dict(HEADERS)
    members[Kind.JOBS] += line(1, "=tool", "-1", "ok", "2024-06-15 00:00:00")
    members[Kind.PARAMS] += line(1, "+p", "=1+1") + b"=2\tx\n"
    write_archive(tmp_path / "uploads" / "one" / "archives", "1", members, generated="1719000000")
    config = replace(config, uploads=tmp_path / "uploads")
    table = config.reports / "latest" / "param_value.tsv"
    run_here(config, modules=("params",))
    assert table.read_text().splitlines()[2].split("\t")[:4] == ["=tool", "-1", "+p", "=1+1"]
    run_here(replace(config, tsv_defuse_formulas=True), modules=("params",))
    assert table.read_text().splitlines()[2].split("\t")[:4] == ["'=tool", "-1", "'+p", "'=1+1"]
    assert "\t'=2\\tx\n" in (config.reports / "rejects" / "one" / "1.tsv").read_text()
    assert query(config.database, "SELECT DISTINCT tool_id, name, value FROM grt.param_value") == [
        ("=tool", "+p", "=1+1")
    ]


def test_a_held_set_is_kept_aside_with_its_rejects(tmp_path: Path) -> None:
    """Later runs leave it alone, unless they hold a set for the same date."""
    write(tmp_path, DAY, "a", ONE)
    for run in ("b", "c"):
        with ReportSet(tmp_path, NEXT, run) as sink:
            sink.write_table(ONE, text_of(ONE, run), "")
            sink.write_rejects("x", "1", b"jobs\t1\treason\t4\ttext\n")
            sink.wait()
            folder = sink.hold()
        write(tmp_path, DAY, f"after {run}", ONE)
        assert folder == tmp_path / "held" / NEXT.isoformat()
        assert (folder / "one.tsv").read_text() == f"key\n{run}\n"
        assert (folder / "rejects" / "x" / "1.tsv").is_file()
    assert shown(tmp_path)["one.tsv"] == "key\nafter c\n"
    assert not (tmp_path / NEXT.isoformat()).exists()
    assert not [name for name in sets(tmp_path) if name.endswith((".b", ".c"))]


def write_with_pages(reports: Path, run: str, made: list[Path | None]) -> None:
    def make(tables: Path, folder: Path, before: Path | None) -> None:
        made.append(before)
        (folder / "index.html").write_bytes((tables / "one.tsv").read_bytes())

    with ReportSet(reports, DAY, run) as sink:
        sink.write_table(ONE, text_of(ONE, run), "")
        sink.wait()
        sink.write_made("html", make)
        sink.prepare({})
        sink.publish()


def test_pages_are_made_of_the_tables_beside_them(tmp_path: Path) -> None:
    made: list[Path | None] = []
    for run in "ab":
        write_with_pages(tmp_path, run, made)
        assert (tmp_path / "latest" / "html" / "index.html").read_text() == f"key\n{run}\n"
    assert made == [None, tmp_path / DAY.isoformat() / "html"]
    # Those of other tables would say what is no longer so.
    write(tmp_path, DAY, "c", ONE)
    assert not (tmp_path / "latest" / "html").exists()


def test_pages_are_synced_but_for_those_that_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fsync, []

    def watch(file: int) -> None:
        synced.append(Path("/proc/self/fd", str(file)).readlink())
        sync(file)

    def make(_: Path, folder: Path, before: Path | None) -> None:
        (folder / "data").mkdir()
        (folder / "data" / "tools.js").write_text("new")
        if before:
            (folder / "index.html").hardlink_to(before / "index.html")
        else:
            (folder / "index.html").write_text("kept")

    monkeypatch.setattr(os, "fsync", watch)
    names = []
    for run in "ab":
        synced.clear()
        with ReportSet(tmp_path, DAY, run) as sink:
            sink.write_made("html", make)
            names.append({str(file.relative_to(sink.folder / "html")) for file in synced})
            sink.prepare({})
            sink.publish()
    assert names == [{"data/tools.js", "index.html"}, {"data/tools.js"}]


def test_pages_that_cannot_be_written_publish_nothing(tmp_path: Path) -> None:
    def make(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write(tmp_path, DAY, "a", ONE)
    with pytest.raises(CannotWrite, match="No space left"), ReportSet(tmp_path, DAY, "b") as sink:
        sink.write_made("html", make)
    assert shown(tmp_path)["one.tsv"] == "key\na\n"
