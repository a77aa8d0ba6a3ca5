"""The pages show the rows that the views of `grt_public` show, of every table, and of private instances nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from calling import query

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import ARCHIVE
from grt_batch.modules.registry import discover
from grt_batch.pages.report_tables import ReportTables
from grt_batch.pages.visible import visible
from grt_batch.schema.tables import Column, Shown, Table, Type
from grt_batch.schema.visibility import (
    OF_PUBLIC_INSTANCES,
    CountedInstances,
    Evidence,
    FromPublicInstances,
    OfPublicInstances,
    ShownToAll,
    Visibility,
)
from grt_batch.sinks.public_views import Threshold

TABLES = [ARCHIVE, *(table for module in discover().values() for table in module.tables if not module.opt_in)]


def same(value: Any) -> Any:
    """A value of the database or of a file, as both have it."""
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return value.isoformat() if hasattr(value, "isoformat") else value


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(map(same, row)) for row in rows), key=repr)


def test_as_the_views(_published: Config, shown: ReportTables) -> None:
    hidden = 0
    for table in TABLES:
        # The text of JSON is another one in the database.
        names = [column.name for column in table.columns if column.type is not Type.JSON]
        rows = query(_published.database, f"SELECT {', '.join(names)} FROM grt_public.{table.name}")
        found = shown.rows(table.name, columns=names).rows()
        assert in_order(found) == in_order(rows)
        (everything,) = query(_published.database, f"SELECT count(*) FROM grt.{table.name}")[0]
        assert found or table.name == "tool_change"
        hidden += everything - len(found)
    assert hidden > 1000


TYPES = {"public": Type.BOOLEAN} | dict.fromkeys(("jobs", "instances", "public_instances"), Type.BIGINT)


def table(name: str, key: tuple[str, ...], visibility: Visibility, *rest: str, **shown: Shown) -> Table:
    columns = (
        Column(each, TYPES.get(each, Type.TEXT), each, shown=shown.get(each, Shown.AS_IT_IS)) for each in (*key, *rest)
    )
    return Table(name, "a table", key, tuple(columns), visibility=visibility)


INSTANCE = table("instance", ("instance_id",), OF_PUBLIC_INSTANCES, "public")
USAGE = table("usage", ("instance_id", "tool"), OF_PUBLIC_INSTANCES, "jobs")
JOBS = [("*", "both", 5), ("*", "theirs", 9), ("open", "both", 1), ("closed", "both", 4), ("closed", "theirs", 9)]
COUNTS = [("both", 5, 2, 1), ("few jobs", 4, 2, 1), ("few instances", 9, 1, 1), ("theirs", 9, 9, 0)]
COUNTED = ("jobs", "instances", "public_instances")


def seen(folder: Path, asked: Table, rows: list[tuple[Any, ...]], **how: bool) -> list[tuple[Any, ...]]:
    """The keys of `rows` that are seen in a table, of three instances of which one is public."""
    instances = [("open", True), ("closed", False), ("odd", None)]
    written = {INSTANCE: instances, USAGE: JOBS, asked: rows}
    for each, lines in written.items():
        names = [column.name for column in each.columns]
        cells = [["" if cell is None else str(cell).lower() for cell in row[: len(names)]] for row in lines]
        text = "".join("\t".join(row) + "\n" for row in [names, *cells])
        (folder / f"{each.name}.tsv").write_text(text, encoding="utf-8")
    return ReportTables(folder, written, Threshold(), **how).rows(asked.name, columns=asked.key).rows()


@pytest.mark.parametrize(
    ("asked", "rows", "shown"),
    [
        (USAGE, JOBS, [("*", "both"), ("open", "both")]),
        (table("open", ("instance_id", "tool"), ShownToAll()), JOBS, None),
        (Table("silent", "", USAGE.key, USAGE.columns), JOBS, []),
        # The one job of `both` in the public instance is no evidence: it would have to be more than one.
        (
            table("change", USAGE.key, OfPublicInstances(Evidence("usage", "other.jobs > 1"))),
            JOBS,
            [("open", "both")],
        ),
        (table("tools", ("tool",), FromPublicInstances(Evidence("usage", "other.jobs > 0"))), COUNTS, [("both",)]),
        (table("tools", ("tool",), FromPublicInstances(Evidence("none", "TRUE"))), COUNTS, []),
        (
            table("counted", ("tool",), CountedInstances(), *COUNTED),
            COUNTS,
            [("both",), ("few jobs",), ("few instances",)],
        ),
        (table("enough", ("tool",), CountedInstances(enough=True), *COUNTED), COUNTS, [("both",)]),
    ],
)
def test_each_rule(
    tmp_path: Path, asked: Table, rows: list[tuple[Any, ...]], shown: list[tuple[str, ...]] | None
) -> None:
    everything = [row[: len(asked.key)] for row in rows]
    assert seen(tmp_path, asked, rows) == (everything if shown is None else shown)
    assert seen(tmp_path, asked, rows, private=True) == everything


def test_columns_of_which_less_is_shown() -> None:
    asked = table(
        "instance",
        ("instance_id",),
        OF_PUBLIC_INSTANCES,
        "owners",
        "secret",
        owners=Shown.WITHOUT_EMAILS,
        secret=Shown.AS_NULL,
    )
    rows = pl.LazyFrame({"instance_id": ["open"], "owners": ['["a <a@b.org>"]'], "secret": ["secret"]})
    assert visible(asked, rows, ["open"], Threshold()).collect().row(0) == ("open", '["a <[redacted]>"]', None)
