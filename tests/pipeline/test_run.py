"""A run from end to end: real archives, ten runs as one, what is kept, what a newer archive replaces."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import coming_and_going
import duckdb
import psycopg2
import pytest
from build import line
from coming_and_going import change_code, compute_nothing
from places import REAL
from runs import copy_uploads, published

from grt_batch.core.config import Config
from grt_batch.core.errors import DatabaseRefused, Locked, NothingToRead, UnknownModule
from grt_batch.core.work_folder import lock
from grt_batch.modules.base import Module
from grt_batch.pipeline import reduce_archive
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.read_all import Progress
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL
from grt_batch.schema.members import Kind

needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")
Run = Callable[..., RunSummary]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="\n") as text:
        return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))


NOT_IN_THE_ARCHIVES = {
    # Two records whose name holds a newline are no records any more. Job 620 was exported once, before its output had
    # a size, and the database has learnt it since.
    ("9b29eccf-0dbe-5405-95a2-3518d80b6e84", "output"): 210_000 + 6_600 + 340_000_000,
}
"""Bytes of datasets that Galaxy's database knows and its archives do not."""
UNDER_SEVERAL_NAMES = {
    ("b9ce7932-3691-5288-9630-f51552fc96a6", "input"): 1_274_280_683,
    ("9b29eccf-0dbe-5405-95a2-3518d80b6e84", "input"): 2_143_527_000,
}
"""Bytes that the SQL counts more than once, since it counts rows: the inputs that a job has under several names."""


@needs_real
def test_galaxys_own_archives_give_what_sql_over_galaxys_database_says(config: Config, run_here: Run) -> None:
    run_here(replace(config, uploads=REAL / "exporter" / "uploads"))
    latest = config.reports / "latest"
    wanted_jobs = {("b9ce7932-3691-5288-9630-f51552fc96a6", ""): 17542}
    wanted_jobs |= {("9b29eccf-0dbe-5405-95a2-3518d80b6e84", "merged_newest_wins"): 18664}
    for (instance_id, merged), jobs in wanted_jobs.items():
        folder = REAL / "exporter" / "expected" / instance_id / merged
        days = [row for row in rows(latest / "tool_day.tsv") if row["instance_id"] == instance_id]
        found: Counter[tuple[str, str, str]] = Counter()
        for row in days:
            found[row["tool_id"], row["tool_version"], row["state"]] += int(row["jobs"])
        wanted = {
            (_text(row["tool_id"]), _text(row["tool_version"]), row["state"]): int(row["n"])
            for row in rows(folder / "jobs_by_tool_version_state.tsv")
        }
        assert sum(found.values()) == jobs
        assert found == wanted
        _compare_runtimes(days, rows(folder / "runtime_memory_ok_jobs_by_tool.tsv"))
        rounded = "bytes_2sd" if "9b29" in instance_id else "bytes_exact"
        for kind in ("input", "output"):
            sizes = (row[rounded] for row in rows(folder / "datasets_by_tool.tsv") if row["type"] == kind)
            wanted_bytes = sum(int(size) for size in sizes if size != "\\N")
            differing = (NOT_IN_THE_ARCHIVES, UNDER_SEVERAL_NAMES)
            wanted_bytes -= sum(known.get((instance_id, kind), 0) for known in differing)
            assert sum(int(row[f"{kind}_bytes"] or 0) for row in days) == wanted_bytes


def _text(value: str) -> str:
    return "" if value == "\\N" else value


def _compare_runtimes(days: list[dict[str, str]], wanted: list[dict[str, str]]) -> None:
    """Sums of the ok jobs by tool. The SQL sums negative runtimes too, which are null here: such tools are left out."""
    found: Counter[tuple[str, str]] = Counter()
    for row in days:
        if row["state"] == "ok":
            found[row["tool_id"], row["tool_version"]] += Decimal(row["runtime_seconds"] or 0)  # type: ignore[assignment]
    compared = 0
    for row in wanted:
        if row["runtime_min"] != "\\N" and Decimal(row["runtime_min"]) >= 0:
            assert found[_text(row["tool_id"]), _text(row["tool_version"])] == Decimal(row["runtime_sum"])
            compared += 1
    assert compared > 90


def test_ten_runs_are_one_run(ran: Config, database: str, run_here: Run, sample: Path, tmp_path: Path) -> None:
    places = {name: tmp_path / f"growing-{name}" for name in ("uploads", "reports", "work")}
    growing = replace(ran, database=database, **places)
    archives = sorted(sample.rglob("*.tar.gz"), key=lambda file: (len(file.name), str(file)))
    for archive in archives:
        pair = {archive, archive.with_name(archive.name.replace(".tar.gz", ".json"))}
        copy_uploads(sample, growing.uploads, lambda file, pair=pair: file.name == "metadata.json" or file in pair)
        run_here(growing)
    assert published(growing.reports) == published(ran.reports)


def test_what_is_let_go_of_a_parameter_does_not_depend_on_how_the_archives_came(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the jobs have one of 40 values, the others one of thousands."""

    def members(ids: range) -> dict[Kind, bytes]:
        return {
            Kind.JOBS: b"".join(line(i, "tool", "1", "ok", "2024-06-01 10:00:00") for i in ids),
            Kind.PARAMS: b"".join(line(i, "seed", f"{i * i % 7919}" if i % 3 else f"popular {i % 40}") for i in ids),
        }

    monkeypatch.setattr(coming_and_going, "members", members)
    site = coming_and_going.Site(Config(tmp_path / "uploads", tmp_path / "reports", tmp_path / "work", database))
    ranges = {"1": range(6000), "2": range(5000, 11_000), "3": range(10_900, 17_000), "4": range(16_000, 22_000)}
    for name in ("3", "1", "4", "2"):
        site.write("a", name, ranges[name])
        site.run(("params",))
    again = site.fresh(tmp_path / "again", aggregate_jobs=700, block_bytes=9999)
    again.run(("params",))
    assert again.tables() == site.tables()
    (seed,) = (row for row in again.rows("param") if row["tool_version"] == "*")
    assert int(seed["jobs"]) == 22_000
    assert 3500 < int(seed["distinct_values"]) < 4500
    values = [row for row in again.rows("param_value") if row["tool_version"] == "*"]
    assert len(values) == 100
    assert {"true", "false"} == {row["at_least"] for row in values}
    exact = Counter(f"popular {i % 40}" for i in range(0, 22_000, 3))
    assert {row["value"]: int(row["jobs"]) for row in values if row["at_least"] == "false"} == exact


def test_a_run_with_nothing_new_reads_no_archive(ran: Config, run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = published(ran.reports)
    monkeypatch.setattr("grt_batch.pipeline.reduce_archive.read_archive", _must_not_be_called)
    monkeypatch.setattr("grt_batch.pipeline.reduce_archive.aggregate", _must_not_be_called)
    run_here(ran)
    assert published(ran.reports) == before


def test_a_day_later_no_archive_is_read(ran: Config, run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_nothing(monkeypatch)
    run_here(ran, as_of=UNTIL + timedelta(days=1))


def _must_not_be_called(*_: object) -> None:
    raise AssertionError("this was computed before")


def test_recalculate_reads_everything_again(ran: Config, run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = published(ran.reports)
    run_here(ran, recalculate=True)
    assert published(ran.reports) == before
    monkeypatch.setattr("grt_batch.pipeline.reduce_archive.read_archive", _must_not_be_called)
    with pytest.raises(AssertionError, match="computed before"):
        run_here(ran, recalculate=True)


def test_a_module_whose_code_changed_reads_all_again_and_computes_it_alone(
    config: Config, run_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(config)
    before, aggregate, computed = published(config.reports), reduce_archive.aggregate, set[str]()

    def noted(frames: Any, modules: Sequence[Module], *rest: Any) -> Any:
        computed.update(module.name for module in modules)
        return aggregate(frames, modules, *rest)

    change_code(monkeypatch, "tools")
    monkeypatch.setattr("grt_batch.pipeline.reduce_archive.aggregate", noted)
    bars: list[list[int]] = []
    request = RunRequest(config=config, as_of=UNTIL, run_id="again")
    execute(request, SerialExecutor(), lambda: nullcontext(config.database), telling(bars))
    assert published(config.reports) == before
    assert computed == {"tools"}
    sizes = sum(tar.stat().st_size for tar in config.uploads.rglob("*.tar.gz"))
    assert [(total, sum(told)) for total, *told in bars] == [(sizes, sizes)]


def telling(bars: list[list[int]]) -> Progress:
    """Progress that notes for each bar its bytes, and then those that were told of."""

    @contextmanager
    def bar(total: int) -> Iterator[Callable[[int], None]]:
        bars.append([total])
        yield bars[-1].append

    return bar


def test_a_bad_archive_goes_in_quarantine_alone(
    ran: Config, database: str, run_here: Run, sample: Path, tmp_path: Path
) -> None:
    config = replace(ran, reports=tmp_path / "other-reports", work=tmp_path / "other", database=database)
    uploads = tmp_path / "uploads"
    copy_uploads(sample, uploads)
    tars = sorted(uploads.rglob("*.tar.gz"))
    tars[0].write_bytes(tars[0].read_bytes()[:-100])
    content = bytearray(tars[4].read_bytes())
    content[len(content) // 2] ^= 1
    tars[4].write_bytes(content)
    json_file = tars[7].with_name(tars[7].name.replace(".tar.gz", ".json"))
    json_file.write_text("{")
    tars[9].with_name(tars[9].name.replace(".tar.gz", ".json")).unlink()
    summary = run_here(replace(config, uploads=uploads))
    assert len(summary.quarantined) == 3
    ledger = Counter(row["state"] for row in rows(config.reports / "latest" / "archive.tsv"))
    assert ledger == {"published": len(tars) - 4, "quarantined": 3, "incomplete": 1}
    reasons = {(instance, archive): reason for instance, archive, reason in summary.quarantined}
    assert all("hash" in reason or "JSON" in reason for reason in reasons.values())
    # A run later, with the good files in place, all is as if nothing had been.
    copy_uploads(sample, uploads)
    run_here(replace(config, uploads=uploads))
    assert published(config.reports) == published(ran.reports)


def test_an_unsettled_archive_is_left_for_the_next_run(
    config: Config, run_here: Run, sample: Path, tmp_path: Path
) -> None:
    uploads = tmp_path / "uploads"
    copy_uploads(sample, uploads)
    tar = min(uploads.rglob("*.tar.gz"))
    os.utime(tar)
    run_here(replace(config, uploads=uploads, settle_seconds=3600))
    left = [row for row in rows(config.reports / "latest" / "archive.tsv") if row["state"] == "incomplete"]
    assert [row["reason"] for row in left] == ["changed within the settle time"]


def test_instance_reads_that_instance_and_keeps_what_is_known_of_others(
    config: Config, run_here: Run, tmp_path: Path
) -> None:
    run_here(config, instances=("3",))
    assert [row["instance_id"] for row in rows(config.reports / "latest" / "instance.tsv")] == ["3"]
    run_here(config)
    whole = published(config.reports)
    run_here(config, instances=("3",))
    assert published(config.reports) == whole
    with pytest.raises(NothingToRead):
        run_here(config, instances=("nobody",))


def test_one_module_alone_leaves_the_tables_of_others(ran: Config, run_here: Run) -> None:
    whole = published(ran.reports)
    run_here(ran, modules=("instances",))
    assert published(ran.reports) == whole
    with pytest.raises(UnknownModule, match="tools"):
        run_here(ran, modules=("tols",))


def test_the_database_holds_what_the_reports_hold(ran: Config, run_here: Run) -> None:
    with psycopg2.connect(ran.database) as link, link.cursor() as cursor:
        for file in sorted((ran.reports / "latest").glob("*.tsv")):
            cursor.execute(f"SELECT count(*) FROM grt.{file.stem}")
            assert cursor.fetchone() == (len(rows(file)),), file.stem
        cursor.execute("SELECT sum(jobs), sum(runtime_seconds), sum(cpu_seconds), count(day) FROM grt.tool_day")
        (found,) = cursor.fetchall()
        cursor.execute("SELECT archives, jobs, ranks, state FROM grt.run")
        assert cursor.fetchall() == [(12, found[0], 1, "published")]
    link.close()
    listed = rows(ran.reports / "latest" / "tool_day.tsv")
    assert found == (
        sum(int(row["jobs"]) for row in listed),
        sum(Decimal(row["runtime_seconds"] or 0) for row in listed),
        sum(Decimal(row["cpu_seconds"] or 0) for row in listed),
        sum(1 for row in listed if row["day"]),
    )


def test_windows_move_with_the_as_of_day(ran: Config, run_here: Run) -> None:
    day = max(row["day"] for row in rows(ran.reports / "latest" / "tool_day.tsv"))
    run_here(ran, as_of=date.fromisoformat(day))
    latest = ran.reports / "latest"
    assert str(latest.readlink()) == day
    query = f"""
        SELECT instance_id, tool_id, tool_version, sum(jobs::int)
        FROM read_csv('{latest}/tool_day.tsv', delim='\t', quote='', header=true, all_varchar=true)
        WHERE day::date BETWEEN date '{day}' - 6 AND date '{day}' GROUP BY ALL ORDER BY ALL"""
    wanted = duckdb.sql(query).fetchall()
    found = [
        (row["instance_id"], row["tool_id"], row["tool_version"], int(row["jobs"]))
        for row in rows(latest / "tool_usage.tsv")
        if row["period"] == "7d" and "*" not in (row["instance_id"], row["tool_version"])
    ]
    assert wanted
    assert sorted((a, b, c or "", n) for a, b, c, n in wanted) == sorted(found)


def test_nothing_is_published_when_the_database_refuses(ran: Config, run_here: Run) -> None:
    before = published(ran.reports)
    lost = replace(ran, database="host=/nowhere dbname=none")
    with pytest.raises(DatabaseRefused):
        run_here(lost, as_of=date(2020, 1, 1))
    assert published(ran.reports) == before
    assert not (ran.reports / "2020-01-01").exists()
    assert len(list((ran.reports / ".sets").iterdir())) == 2  # the reports, and the reject files


def test_a_second_run_is_told_that_the_first_holds_the_lock(config: Config, run_here: Run) -> None:
    with lock(config.work), pytest.raises(Locked, match=f"process {os.getpid()}"):
        run_here(config)
