"""The rule of each visibility, with tables of its own: which rows a view has, and what of their columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from calling import query

from grt_batch.ledger.ledger import RUN
from grt_batch.schema.tables import Column, Shown, Table, Type, render
from grt_batch.schema.visibility import (
    OF_PUBLIC_INSTANCES,
    CountedInstances,
    Evidence,
    FromPublicInstances,
    OfPublicInstances,
    ShownToAll,
    Visibility,
)
from grt_batch.sinks.postgres import Publication, upgrade
from grt_batch.sinks.public_views import PUBLIC, Threshold

ID, TOOL = Column("instance_id", Type.TEXT, "the instance"), Column("tool", Type.TEXT, "the tool")
COUNTS = tuple(Column(name, Type.BIGINT, name) for name in ("jobs", "instances", "public_instances"))


def table(name: str, key: tuple[Column, ...], visibility: Visibility | None, *rest: Column) -> Table:
    names = tuple(column.name for column in key)
    said = {} if visibility is None else {"visibility": visibility}
    return Table(name, "a table", names, (*key, *rest), **said)


INSTANCE = table(
    "instance",
    (ID,),
    OF_PUBLIC_INSTANCES,
    Column("public", Type.BOOLEAN, "public"),
    Column("owners", Type.JSON, "owners", shown=Shown.WITHOUT_EMAILS),
    Column("title", Type.TEXT, "title", shown=Shown.WITHOUT_EMAILS),
    Column("secret", Type.TEXT, "secret", shown=Shown.AS_NULL),
)
USAGE = table("usage", (ID, TOOL), OF_PUBLIC_INSTANCES, COUNTS[0])
CHANGE = table("change", (ID, TOOL), OfPublicInstances(Evidence("usage", "other.jobs > 1")))
TOOLS = table("tools", (TOOL,), FromPublicInstances(Evidence("usage", "other.jobs > 1")))
COUNTED = table("counted", (TOOL,), CountedInstances(), *COUNTS)
ENOUGH = table("enough", (TOOL,), CountedInstances(enough=True), *COUNTS)
OPEN = table("open", (TOOL,), ShownToAll())
SILENT = table("silent", (ID, TOOL), None)
ROWS: dict[Table, list[tuple[Any, ...]]] = {
    INSTANCE: [
        ("open", True, '["a b <a@b.org>"]', "a b <a@b.org>", "secret"),
        ("closed", False, "[]", "", "secret"),
        ("unknown", None, "[]", "", "secret"),
    ],
    USAGE: [("*", "both", 5), ("*", "theirs", 9), ("open", "both", 1), ("closed", "both", 4), ("closed", "theirs", 9)],
    CHANGE: [("*", "both"), ("*", "theirs"), ("open", "mine"), ("closed", "both")],
    TOOLS: [("both",), ("theirs",)],
    COUNTED: [("both", 2, 1, 1), ("theirs", 9, 3, 0)],
    ENOUGH: [("both", 5, 2, 1), ("few jobs", 4, 2, 1), ("few instances", 9, 1, 1), ("theirs", 9, 9, 0)],
    OPEN: [("both",), ("theirs",)],
    SILENT: [("open", "both")],
}
SHOWN: dict[Table, set[tuple[Any, ...]]] = {
    INSTANCE: {("open", True, "a b <[redacted]>", "a b <[redacted]>", None)},
    USAGE: {("*", "both", 5), ("open", "both", 1)},
    # The one job of `both` in the public instance is no evidence: it would have to be more than one.
    CHANGE: {("open", "mine")},
    TOOLS: set(),
    COUNTED: {("both", 2, 1, 1)},
    ENOUGH: {("both", 5, 2, 1)},
    OPEN: {("both",), ("theirs",)},
}


@pytest.fixture
def published(database: str) -> str:
    """The URL of a database with all these tables and their rows."""
    run = {column.name: _run_value(column) for column in RUN.columns}
    with Publication(database, list(ROWS), lock_timeout_ms=100, lock_tries=3, run_id="one") as sink:
        for one, rows in ROWS.items():
            sink.copy(one, list(render(one, one.frame(pl.DataFrame(rows, one.schema, orient="row")))), "of a test")
        sink.swap(run)
        sink.commit()
    return database


def _run_value(column: Column) -> object:
    return {Type.TEXT: "", Type.TIMESTAMP: datetime(2024, 1, 1)}.get(column.type, 1)


def shown(url: str, one: Table) -> set[tuple[Any, ...]]:
    rows = query(url, f"SELECT * FROM {PUBLIC}.{one.name}")
    return {tuple(value[0] if isinstance(value, list) else value for value in row) for row in rows}


def views(url: str) -> set[str]:
    return {name for (name,) in query(url, f"SELECT viewname FROM pg_views WHERE schemaname = '{PUBLIC}'")}


def test_each_visibility_shows_its_rows(published: str) -> None:
    assert {one.name: shown(published, one) for one in SHOWN} == {one.name: rows for one, rows in SHOWN.items()}


def test_evidence_that_a_public_instance_contributed_shows_the_row(published: str) -> None:
    query(published, "UPDATE grt.usage SET jobs = 2 WHERE instance_id = 'open'")
    assert shown(published, CHANGE) == {("open", "mine"), ("*", "both")}
    assert shown(published, TOOLS) == {("both",)}


def test_a_table_that_says_nothing_has_no_view(published: str) -> None:
    assert views(published) == {"datasource", "run", *(one.name for one in SHOWN)}


def test_the_threshold_counts(published: str) -> None:
    upgrade(published, list(ROWS), Threshold(jobs=4, instances=1))
    assert {tool for tool, *_ in shown(published, ENOUGH)} == {"both", "few jobs", "few instances"}


def test_a_table_of_another_run_keeps_its_view_where_it_is_known(published: str) -> None:
    upgrade(published, [OPEN], known=list(ROWS))
    assert views(published) == {"datasource", "run", *(one.name for one in SHOWN)}
    upgrade(published, [OPEN])
    assert views(published) == {"datasource", "run", "open"}


def test_without_the_evidence_the_rows_it_would_show_do_not(published: str) -> None:
    upgrade(published, [INSTANCE, CHANGE, TOOLS])
    assert views(published) == {"datasource", "run", "instance", "change"}
    assert shown(published, CHANGE) == {("open", "mine")}


@pytest.mark.parametrize("visibility", [OF_PUBLIC_INSTANCES, CountedInstances()])
def test_a_visibility_needs_its_columns(visibility: Visibility) -> None:
    with pytest.raises(ValueError, match=r"table odd: its visibility needs the column .*instance"):
        table("odd", (TOOL,), visibility)
