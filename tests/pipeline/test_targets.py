"""A run with several targets: all have the same rows, and one that fails holds back no other and gets its own later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from build import HEADERS, line, write_archive
from calling import partitions, query
from coming_and_going import AS_OF, NOON, Site, compute_nothing
from runs import administer, create_database, name_of, published

from grt_batch.core.config import Config
from grt_batch.core.config_values import FurtherTarget
from grt_batch.core.errors import BadArguments, BadConfig, DatabaseRefused, NoTarget
from grt_batch.modules.registry import discover
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunSummary
from grt_batch.pipeline.targets import chosen_targets, datasources, table_limits
from grt_batch.schema.members import Kind
from grt_batch.sinks.postgres import Publication
from grt_batch.verify.comparison import LOST, SAME
from grt_batch.verify.verification import verify_published

MODULES = ("tools", "instances")
WITHOUT_SERVER = "host=/nowhere dbname=other"


@pytest.fixture
def other(server: str) -> Iterator[str]:
    """The DSN of a second database."""
    url = create_database(server)
    yield url
    administer(server, f"DROP DATABASE {name_of(url)} WITH (FORCE)")


@pytest.fixture
def two(site: Site, other: str) -> Site:
    """A site that publishes to two databases."""
    return targeting(site, other)


def targeting(site: Site, url: str, **limits: Any) -> Site:
    return Site(replace(site.config, targets={"other": FurtherTarget(url, **limits)}))


def grow(site: Site, number: int = 9) -> None:
    """Instance b reports another job."""
    members = dict(HEADERS)
    members[Kind.JOBS] += line(1000 + number, "tool9", "1", "ok", f"2024-06-{number:02} 10:00:00")
    write_archive(site.config.uploads / "b" / "archives", f"{number}", members, version=2, generated=NOON - number)


def tables(url: str) -> dict[str, list[str]]:
    """The rows of all tables, as texts. That of runs is left out: a failed target lacks a run."""
    named = query(
        url, "SELECT relname FROM pg_class WHERE relnamespace = 'grt'::regnamespace AND relkind IN ('p', 'r')"
    )
    names = {name for (name,) in named} - {"run", "schema_version"}
    return {name: sorted(row for (row,) in query(url, f"SELECT t::text FROM grt.{name} AS t")) for name in names}


def runs(url: str) -> list[str]:
    return [run_id for (run_id,) in query(url, "SELECT run_id FROM grt.run ORDER BY finished")]


def told(site: Site) -> dict[str, dict[str, str | None]]:
    """What run.json says of the targets."""
    return json.loads((site.config.reports / "latest" / "run.json").read_text())["targets"]


PUBLISHED = {"state": "published", "reason": None}


def test_all_targets_have_the_same_rows(two: Site, other: str) -> None:
    summary = two.run(MODULES)
    assert summary.is_whole
    assert told(two) == {"main": PUBLISHED, "other": PUBLISHED}
    assert tables(two.config.database) == tables(other)
    assert runs(two.config.database) == runs(other)
    for url in (two.config.database, other):
        found = verify_published(two.config, url, SerialExecutor())
        assert found.different == []
        assert set(found.database) >= {"archive", "tool_day", "instance", "run"}
    before = partitions(two.config.database), partitions(other)
    two.run(MODULES)
    assert (partitions(two.config.database), partitions(other)) == before


def test_a_target_does_not_change_the_reports(two: Site, site: Site, server: str, tmp_path: Path) -> None:
    two.run(MODULES)
    alone = site.fresh(tmp_path / "alone", database=create_database(server))
    alone.run(MODULES)
    assert published(alone.config.reports) == published(two.config.reports)


def test_a_new_target_gets_everything_and_the_others_keep_theirs(
    site: Site, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run(MODULES)
    before, reports = partitions(site.config.database), published(site.config.reports)
    compute_nothing(monkeypatch)
    targeting(site, other).run(MODULES)
    assert partitions(site.config.database) == before
    assert tables(site.config.database) | {"datasource": []} == tables(other) | {"datasource": []}
    assert published(site.config.reports) == reports


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({"modules": ("tools",)}, {"tool", "tool_day", "tool_usage"}),
        ({"tables": ("tool_day", "instance_month")}, {"tool_day", "instance_month"}),
        ({"modules": ("tools",), "tables": ("instance_users",)}, {"tool", "tool_day", "tool_usage", "instance_users"}),
    ],
)
def test_a_target_has_the_tables_of_its_limits(
    site: Site, other: str, limits: dict[str, tuple[str, ...]], wanted: set[str]
) -> None:
    site.run(MODULES)
    limited = targeting(site, other, **limits)
    limited.run(MODULES)
    whole, part = tables(site.config.database), tables(other)
    assert part.keys() == wanted | {"archive", "instance", "datasource"}
    assert part == {name: whole[name] for name in part}
    verdict = verify_published(replace(limited.config, database=other), other, SerialExecutor())
    assert {name for name, said in verdict.database.items() if said == LOST} == whole.keys() - part.keys()
    assert {said for name, said in verdict.database.items() if name in part} == {SAME}
    before = partitions(other)
    grow(limited)
    limited.run(MODULES)
    whole, part = tables(site.config.database), tables(other)
    assert part == {name: whole[name] for name in part}
    assert partitions(other) != before


def test_a_target_has_those_tables_of_an_export_that_it_gets(site: Site, other: str) -> None:
    limited = targeting(site, other, tables=("job", "job_param"))
    for _ in range(2):
        limited.run((*MODULES, "records"))
        whole, part = tables(site.config.database), tables(other)
        assert part["job"]
        assert part == {name: whole[name] for name in ("archive", "instance", "datasource", "job", "job_param")}
    before = partitions(other)
    limited.run((*MODULES, "records"))
    assert partitions(other) == before


def test_a_table_that_no_target_gets_is_in_the_reports_and_is_not_made_again(
    site: Site, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = targeting(site, other, tables=("tool_day",))
    limited.run(MODULES, targets=("other",))
    day = limited.config.reports / "latest" / "tool_usage.tsv"
    before = day.stat().st_ino
    limited.run(MODULES, targets=("other",))
    assert day.resolve().stat().st_ino == before
    assert query(site.config.database, "SELECT to_regclass('grt.run')") == [(None,)]


def test_a_run_publishes_to_the_targets_that_it_names(site: Site, other: str) -> None:
    idle = targeting(site, other, active=False)
    assert told_after(idle) == {"main": PUBLISHED}
    assert told_after(idle, targets=("other",)) == {"other": PUBLISHED}
    assert told_after(idle, targets=("other", "main")) == {"main": PUBLISHED, "other": PUBLISHED}
    assert len(runs(site.config.database)) == len(runs(other)) == 2


def told_after(site: Site, **changes: Any) -> dict[str, dict[str, str | None]]:
    site.run(MODULES, **changes)
    return told(site)


def test_another_target_than_those_that_there_are(two: Site) -> None:
    with pytest.raises(BadArguments, match="there is no target 'third', only main, other"):
        two.run(MODULES, targets=("third",))


@pytest.fixture
def user(server: str, other: str) -> Iterator[str]:
    """A DSN of the second database for a user who may create everything there."""
    administer(other, f"CREATE ROLE of_target LOGIN; GRANT CREATE ON DATABASE {name_of(other)} TO of_target")
    yield str(psycopg2.extensions.make_dsn(other, user="of_target"))
    administer(other, "DROP OWNED BY of_target CASCADE; DROP ROLE of_target")


def end_other(url: str) -> None:
    """End the connections of a publication to a database, as an admin or the kernel does."""
    query(url, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"
               " AND application_name = 'grt_batch'")  # fmt: skip


def at_step(patch: pytest.MonkeyPatch, name: str, target: str, happens: Any) -> None:
    """Something happens before a step of the publication to the database of this name."""
    step = getattr(Publication, name)

    def disturbed(publication: Publication, *arguments: Any) -> Any:
        if name_of(publication._url) == target:
            happens()
        return step(publication, *arguments)

    patch.setattr(Publication, name, disturbed)


STATEMENTS = {
    "rights": (
        "REVOKE CREATE ON SCHEMA grt_data FROM CURRENT_USER",
        "GRANT CREATE ON SCHEMA grt_data TO CURRENT_USER",
    ),
    # What a full disk or a quota looks like: the server refuses a statement at the end.
    "room": (
        "CREATE FUNCTION grt.no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;"
        "CREATE TRIGGER no_room BEFORE INSERT ON grt.run EXECUTE FUNCTION grt.no_room()",
        "DROP TRIGGER no_room ON grt.run; DROP FUNCTION grt.no_room",
    ),
}
"""What makes a fault, and what mends it."""
URLS = {
    "away": "host=/nowhere password=hunter2",
    # A role that does not exist is refused as a wrong password is.
    "password": "user=nobody password=hunter2",
    "url": "postgresql://user:hun/ter2@host/name",
}


@pytest.mark.parametrize("fault", [*URLS, *STATEMENTS, "copy", "wait", "swap", "commit"])
def test_a_target_that_fails_holds_back_no_other_and_gets_it_by_the_next_run(
    two: Site, other: str, user: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = targeting(two, user)
    site.run(MODULES)
    before = tables(other), runs(other)
    grow(site)
    breaking, mending = STATEMENTS.get(fault, ("", ""))
    if breaking:
        administer(user, breaking)
    given = URLS.get(fault, user)
    broken = targeting(site, given if "://" in given else str(psycopg2.extensions.make_dsn(user, **_dsn(given))))
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(Publication, fault):
            at_step(patch, fault, name_of(user), lambda: end_other(user))
        summary = broken.run(MODULES)
    assert (summary.is_whole, summary.failed) == (False, ("other",))
    assert told(site)["main"] == PUBLISHED
    state, reason = told(site)["other"].values()
    assert state == "failed"
    (logged,) = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
    assert logged.startswith("target other is left out")
    assert logged.endswith(str(reason))
    assert "ter2" not in logged
    assert (tables(other), runs(other)) == before
    assert tables(site.config.database) != before[0]
    if mending:
        administer(user, mending)
    kept = partitions(site.config.database)
    assert site.run(MODULES).is_whole
    assert tables(other) == tables(site.config.database)
    assert partitions(site.config.database) == kept


def _dsn(text: str) -> dict[str, str]:
    return dict(psycopg2.extensions.parse_dsn(text))


@pytest.mark.parametrize("step", ["copy", "swap", "commit"])
def test_the_main_target_is_one_like_the_others(two: Site, other: str, step: str) -> None:
    two.run(MODULES)
    main = two.config.database
    before = tables(main)
    grow(two)
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, step, name_of(main), lambda: end_other(main))
        summary = two.run(MODULES)
    assert summary.failed == ("main",)
    assert tables(main) == before != tables(other)
    assert two.run(MODULES).is_whole
    assert tables(main) == tables(other)


def test_where_all_targets_fail_nothing_is_published(two: Site, other: str) -> None:
    two.run(MODULES)
    before = published(two.config.reports), tables(other), tables(two.config.database)
    grow(two)
    with pytest.MonkeyPatch.context() as patch:
        for url in (two.config.database, other):
            at_step(patch, "commit", name_of(url), lambda url=url: end_other(url))
        with pytest.raises(NoTarget, match=r"main: .*; other: ") as raised:
            two.run(MODULES)
    assert raised.value.exit_code == 4
    assert (published(two.config.reports), tables(other), tables(two.config.database)) == before
    assert two.run(MODULES).is_whole


def test_nothing_is_read_where_no_target_can_take_the_tables(
    two: Site, other: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    administer(other, f"REVOKE CREATE ON DATABASE {name_of(other)} FROM of_target")
    compute_nothing(monkeypatch)
    unfit = Site(replace(targeting(two, user).config, database=f"{user} application_name=main"))
    with pytest.raises(NoTarget, match=r"main: .*may not create the schemas.*; other: "):
        unfit.run(MODULES)


def test_a_single_target_says_by_itself_what_is_wrong(site: Site) -> None:
    with pytest.raises(DatabaseRefused):
        Site(replace(site.config, database=WITHOUT_SERVER)).run(MODULES)


def test_a_target_that_is_slow_to_come_is_tried_again(
    two: Site, other: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(url: str) -> None:
        if name_of(url) == name_of(other):
            raise DatabaseRefused(what="it starts up")

    monkeypatch.setattr("grt_batch.sinks.fitness.check", refused)
    assert two.run(MODULES).is_whole
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "target other cannot be asked now, and is tried again: it starts up"
    ]
    assert tables(other) == tables(two.config.database)


def recalculated(site: Site) -> RunSummary:
    return site.run(MODULES, recalculate=True)


def test_what_is_recalculated_is_copied_to_every_target(two: Site, other: str) -> None:
    two.run(MODULES)
    before = partitions(two.config.database), partitions(other)
    recalculated(two)
    after = partitions(two.config.database), partitions(other)
    assert not any(now[table] & then[table] for now, then in zip(after, before, strict=True) for table in then)


IMPOSSIBLE = {
    "no module or table tool_dya": FurtherTarget("dbname=x", tables=("tool_dya",)),
    "no module or table toolz": FurtherTarget("dbname=x", modules=("toolz",)),
    "it is the database of main": FurtherTarget("dbname=main"),
    "only the key database can be embedded": FurtherTarget("embedded"),
}


@pytest.mark.parametrize("said", IMPOSSIBLE)
def test_targets_that_are_not_possible(said: str) -> None:
    with pytest.raises(BadConfig, match=said):
        chosen_targets(Config(database="dbname=main", targets={"x": IMPOSSIBLE[said]}), (), lambda: nullcontext(""))


def test_no_target_has_the_name_of_a_module() -> None:
    with pytest.raises(BadConfig, match="a module has this name"):
        table_limits(Config(targets={"tools": FurtherTarget("dbname=x")}))


def test_the_data_sources_are_those_of_the_configuration() -> None:
    config = Config(
        project="sites",
        reports=Path("/srv/reports"),
        database="postgresql://user:hunter2@db.example.org:5433/grt?sslpassword=hunter2",
        targets={
            "second": FurtherTarget("service=there password=hunter2", tables=("tool",)),
            "idle": FurtherTarget("dbname=idle", active=False),
            "broken": FurtherTarget("nonsense"),
        },
    )
    rows = datasources(config)
    assert len({row[:4] for row in rows}) == len(rows)
    assert {row[0] for row in rows} == {"sites"}
    assert "hunter2" not in str(rows)
    found = {(dataset, kind, target): rest for _, dataset, kind, target, *rest in rows}
    main = [dataset for dataset, kind, target in found if target == "main"]
    assert set(main) == {"archive", "run", "datasource"} | {it.name for m in discover().values() for it in m.tables}
    assert found["tool", "table", "main"] == ["grt", "db.example.org:5433/grt", True]
    assert found["job", "table", "main"] == ["grt", "db.example.org:5433/grt", False]
    assert [key for key in found if key[2] == "second"] == [
        (name, "table", "second") for name in ("run", "datasource", "archive", "instance", "tool")
    ]
    assert found["tool", "table", "second"] == ["grt", "service=there", True]
    assert found["tool", "table", "idle"] == ["grt", "/idle", False]
    assert found["tool", "table", "broken"] == ["grt", None, True]
    assert found["tool", "tsv", "reports"] == [None, "/srv/reports", True]
    assert found["lake", "lake", "reports"] == [None, "/srv/reports", False]
    assert ("job", "tsv", "reports") not in found
    assert {place for _, (_, place, _) in found.items() if "embedded" in str(place)} == set()
    assert {row[5] for row in datasources(Config()) if row[3] == "main"} == {"embedded"}


def test_a_data_source_may_be_in_a_folder_of_any_name() -> None:
    for folder, place in (("/srv/b\udcff", "/srv/b\ufffd"), ("/srv/größe", "/srv/größe")):
        assert {row[5] for row in datasources(Config(reports=Path(folder))) if row[3] == "reports"} == {place}


def test_the_data_sources_follow_the_configuration(two: Site, other: str) -> None:
    two.run(MODULES)
    for url in (two.config.database, other):
        assert sorted(query(url, "TABLE grt.datasource"), key=str) == sorted(datasources(two.config), key=str)
    before = query(other, "SELECT ctid::text FROM grt.datasource")
    two.run(MODULES)
    assert query(other, "SELECT ctid::text FROM grt.datasource") == before
    alone = Site(replace(two.config, targets={}))
    alone.run(MODULES, as_of=AS_OF)
    assert query(alone.config.database, "SELECT DISTINCT target FROM grt.datasource ORDER BY 1") == [
        ("main",), ("reports",)
    ]  # fmt: skip
    shown = "SELECT count(*), count(location) FROM grt_public.datasource"
    assert query(alone.config.database, shown) == [(len(datasources(alone.config)), 0)]
