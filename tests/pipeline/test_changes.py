"""Only the parts that changed are made and copied, and what is published has the bytes of a run from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import HEADERS, line, write_archive
from calling import partitions, query
from coming_and_going import AS_OF, NOON, Site
from runs import create_database, published

from grt_batch.modules.reports.tools import TOOL_DAY, TOOL_USAGE
from grt_batch.pipeline.publish import _rendered
from grt_batch.schema.members import NONE_TEXT, Kind
from grt_batch.schema.parts import Years
from grt_batch.sinks.postgres import published_contents
from grt_batch.sinks.sink import TableText

MODULES = ("tools", "instances", "inputs")


@pytest.fixture
def site(tmp_path: Path, database: str, site: Site) -> Site:
    """Two instances with jobs of several years, of which nothing was published yet."""
    site = Site(replace(site.config, uploads=tmp_path / "years"))
    for instance_id in "ab":
        for number, days in enumerate((["2020-01-01", "2021-05-05"], ["2022-05-05", ""], ["2023-12-31", "2024-01-01"])):
            add(site, instance_id, number, *days)
    site.run(MODULES)
    return site


def add(site: Site, instance_id: str, number: int, *days: str) -> None:
    """Add an archive with a job of each of these days."""
    members = dict(HEADERS)
    for place, day in enumerate(days):
        created = f"{day} 10:00:00" if day else NONE_TEXT.decode()
        members[Kind.JOBS] += line(100 * number + place, f"tool{place}", "1", "ok", created)
    folder = site.config.uploads / instance_id / "archives"
    write_archive(folder, f"{number}", members, version=2, generated=NOON + 60 * number)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[TableText]:
    """What is rendered from now on."""
    found: list[TableText] = []

    def noted(*arguments: object) -> Iterator[TableText]:
        for text in _rendered(*arguments):  # type: ignore[arg-type]
            found.append(text)
            yield text

    monkeypatch.setattr("grt_batch.pipeline.publish._rendered", noted)
    return found


def made(texts: list[TableText], table: str) -> set[tuple[str, Years | None]]:
    """The parts of a table that have text."""
    parts = (part for text in texts if text.table == table for part in text.parts if part.pieces is not None)
    return {(part.group.name, part.years) for part in parts}


def as_from_nothing(site: Site, server: str, folder: Path, **changes: object) -> bool:
    """Whether the reports are those of a run that knows nothing."""
    fresh = site.fresh(folder, database=create_database(server))
    fresh.run(MODULES, **changes)
    return published(fresh.config.reports) == published(site.config.reports)


def test_a_new_archive_changes_the_years_of_its_jobs(
    site: Site, server: str, tmp_path: Path, texts: list[TableText]
) -> None:
    before = partitions(site.config.database)
    add(site, "a", 3, "2024-05-05", "2024-05-06")
    site.run(MODULES)
    after = partitions(site.config.database)
    assert made(texts, "tool_day") == {("a", Years(2024, 2025))}
    assert made(texts, "tool_usage") == {("a", None), ("*", None)}
    assert made(texts, "archive") == made(texts, "instance_users") == made(texts, "instance_month") == {("a", None)}
    # tool0 and tool1 were known.
    assert made(texts, "tool") == set()
    assert {name: len(before[name] - after[name]) for name in before if before[name] != after[name]} == {
        "archive": 1, "instance": 1, "instance_month": 1, "instance_status": 1, "instance_users": 1, "tool_day": 1,
        "tool_usage": 2,
    }  # fmt: skip
    assert as_from_nothing(site, server, tmp_path / "fresh")


def test_a_year_that_begins_moves_the_oldest_one_to_those_before(
    site: Site, server: str, tmp_path: Path, texts: list[TableText]
) -> None:
    add(site, "a", 3, "2025-01-01")
    site.run(MODULES)
    assert made(texts, "tool_day") == {("a", Years(2025, 2026)), ("a", Years(None, 2023))}
    assert as_from_nothing(site, server, tmp_path / "fresh")


def test_another_day_changes_only_what_looks_at_it(
    site: Site, server: str, tmp_path: Path, texts: list[TableText]
) -> None:
    """The text of the rest is that of the set before."""
    before, reports = partitions(site.config.database), site.config.reports
    site.run(MODULES, as_of=AS_OF + timedelta(days=1))
    after = partitions(site.config.database)
    assert {text.table for text in texts} == {"tool", "tool_usage", "tool_input", "tool_extension", "tool_memory"} | {
        "instance",
        "instance_status",
    }
    assert {name for name in before if before[name] != after[name]} <= {"instance_status", "tool_usage"}
    same = [reports / f"{day}" / "tool_day.tsv" for day in (AS_OF, AS_OF + timedelta(days=1))]
    assert same[0].stat().st_ino == same[1].stat().st_ino
    assert as_from_nothing(site, server, tmp_path / "fresh", as_of=AS_OF + timedelta(days=1))


def test_an_instance_that_is_gone_takes_its_parts_along(site: Site, server: str, tmp_path: Path) -> None:
    site.remove_instance("b")
    site.run(MODULES, forget=True)
    for table in (TOOL_DAY, TOOL_USAGE):
        assert query(site.config.database, f"SELECT DISTINCT instance_id FROM grt.{table.name} ORDER BY 1") == [
            *([("*",)] if table is TOOL_USAGE else []),
            ("a",),
        ]
    branches = "SELECT 1 FROM pg_class WHERE relnamespace = 'grt_data'::regnamespace AND relkind = 'p'"
    assert len(query(site.config.database, branches)) == 1
    assert as_from_nothing(site, server, tmp_path / "fresh")


@pytest.mark.parametrize("damage", ["changed", "longer", "gone", "note", "partition"])
def test_what_was_damaged_is_made_again_where_something_changes(
    site: Site, server: str, tmp_path: Path, texts: list[TableText], damage: str
) -> None:
    file = site.config.reports / "latest" / "tool_day.tsv"
    text = file.read_bytes()
    match damage:
        case "changed":
            file.write_bytes(text.replace(b"b\t2023-12-31", b"b\t2023-12-30"))
        case "longer":
            file.write_bytes(text + b"\n")
        case "gone":
            file.unlink()
        case "note":
            (file.parent / ".parts.json").unlink()
        case "partition":
            query(site.config.database, "DROP TABLE grt.tool_day CASCADE; COMMIT")
    add(site, "a", 3, "2024-05-05")
    site.run(MODULES)
    found = made(texts, "tool_day")
    if damage == "changed":
        assert found == {("a", Years(2024, 2025)), ("b", Years(2023, 2024))}
    else:
        assert len(found) == 10
    assert as_from_nothing(site, server, tmp_path / "fresh")
    assert len(published_contents(site.config.database, [TOOL_DAY])["tool_day"]) == 10


def test_more_instances_than_groups_share_their_parts(
    site: Site, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[TableText]
) -> None:
    monkeypatch.setattr("grt_batch.schema.parts.GROUPS", 3)
    for instance_id in ("c", "d", "e", "f"):
        add(site, instance_id, 1, "2023-01-01", "2024-01-01", "")
    site.run(MODULES)
    assert {name for name, _ in made(texts, "tool_day")} <= {"0 of 3", "1 of 3", "2 of 3"}
    assert as_from_nothing(site, server, tmp_path / "fresh")
    texts.clear()
    add(site, "c", 2, "2024-05-05")
    site.run(MODULES)
    ((_, years),) = made(texts, "tool_day")
    assert years == Years(2024, 2025)
    assert as_from_nothing(site, server, tmp_path / "again")


def test_without_any_job_the_tables_are_empty(site: Site, tmp_path: Path) -> None:
    """In the run that finds none, and in the next one."""
    empty = replace(site.config, uploads=tmp_path / "empty", work=tmp_path / "none", reports=tmp_path / "no reports")
    write_archive(empty.uploads / "a" / "archives", "1", dict(HEADERS), version=2, generated=NOON)
    for _ in range(2):
        Site(empty).run(MODULES)
    assert query(site.config.database, "SELECT count(*) FROM grt.tool_day") == [(0,)]
    assert (empty.reports / "latest" / "tool_day.tsv").read_text().count("\n") == 1
    assert (empty.reports / "latest" / "tool_usage.tsv").read_text().count("\n") == 1
