"""What reports have in common: windows, states, rates, hours, rows of all instances and of all versions together.

In `rows` the cubes of a partial hold all instances, with the column `instance_id`. Where a table adds rows up, start
from `with_all_instances(partial[CUBE.name])`, choose days by `filter(within(ledger, 30))`, then group by the table's
key: the rows of the instance `*` come out beside those of each instance. `with_all_versions` does the same for the
versions of a tool. `statistics` and `histogram` take what `measured_everywhere` makes of distributions.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.aggregate.distributions import Distributions
from grt_batch.aggregate.statistics import Measured
from grt_batch.columns.columns import Columns
from grt_batch.columns.quotient import quotient
from grt_batch.columns.texts import Texts, at
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, INSTANCE_KEY, Partial
from grt_batch.schema.records import ALL_VERSIONS, Field, Job
from grt_batch.schema.tables import Column, Type
from grt_batch.schema.tool_ids import SHED_ID, WITHOUT_VERSION

TOOL_KEY = (Job.tool_id.name, Job.tool_version.name)
"""The columns that name a tool."""


TOOL_COLUMNS = (
    Column("tool_id", Type.TEXT, "full id of the tool; over all versions without the version; empty where none"),
    Column("tool_version", Type.TEXT, "version of the tool, or * for all together; empty where the job has none"),
)
"""The columns of TOOL_KEY in a table with the rows of all versions."""


PERIODS = {"all": None, "30d": 30, "7d": 7}
"""The days of each period, None for all."""


def within(ledger: Ledger, days: int, *, ago: int = 0) -> pl.Expr:
    """Select the rows of a window of so many UTC days, which ends with the as-of day, or `ago` days before it.

    The rows have the column `day`. A job without create_time is in no window. A windowed cube reaches back WINDOW_DAYS.
    """
    last = ledger.as_of - timedelta(days=ago)
    return pl.col(Job.day.name).is_between(last - timedelta(days=days - 1), last)


def places_within(rows: Columns, ledger: Ledger, days: int, *, ago: int = 0) -> npt.NDArray[np.intp]:
    """Return the places of the rows that `within` selects, of the columns of a cube."""
    last = (ledger.as_of - date(1970, 1, 1)).days - ago
    day = rows[Job.day.name]
    return np.flatnonzero((day > last - days) & (day <= last))


def in_state(state: str) -> pl.Expr:
    """Select the rows of jobs in a state, by the column `state`."""
    # As a text: a dictionary without this state would refuse to compare.
    return pl.col(Job.state.name).cast(pl.String) == state


def jobs_in(state: str) -> pl.Expr:
    """Sum the jobs in a state, over rows with the columns `jobs` and `state`."""
    return pl.col("jobs").filter(in_state(state)).sum()


def outcomes() -> tuple[pl.Expr, ...]:
    """Sum `jobs`, and of them those in state `ok` and `error`, over rows with the columns `jobs` and `state`."""
    return pl.col("jobs").sum(), jobs_in("ok").alias("ok"), jobs_in("error").alias("error")


def error_rate() -> pl.Expr:
    """Compute error / (ok + error) of rows with these columns; null where a tool has no job in either state."""
    finished = pl.col("ok") + pl.col("error")
    return pl.when(finished > 0).then(quotient(pl.col("error"), finished)).alias("error_rate")


def hours(total: pl.Expr, field: Field) -> pl.Expr:
    """Convert the exact sum of a field of seconds to hours, of core seconds to core hours."""
    return field.in_units(total, 3600)


def with_all_instances(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a cube twice: as those of their instance, and as those of the instance `*`.

    What is grouped and added up then has rows of all instances together beside those of each.
    """
    everywhere = pl.lit(ALL_INSTANCES, frame.schema[INSTANCE]).alias(INSTANCE)
    return pl.concat([frame, frame.with_columns(everywhere)])


def with_all_versions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a cube twice: as those of their version, and as those of the version `*`, which have as
    `tool_id` that of a tool from a Tool Shed without the version. Other ids stay as they are.

    What is grouped by TOOL_KEY and added up then has rows of a tool over all its versions beside those of each, also
    where there is only one.
    """
    tools = Columns.of(frame.select(TOOL_KEY))
    twice = Columns.concat([tools, of_all_versions(tools)]).frame(dict.fromkeys(TOOL_KEY, pl.String()))
    return pl.concat([frame.drop(TOOL_KEY)] * 2).hstack(twice).select(frame.columns)


def with_all_instances_and_versions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a cube four times: as `with_all_versions` does it, for each instance and for `*`."""
    return with_all_instances(with_all_versions(frame))


def measured_everywhere(distributions: Distributions, partial: Partial) -> Measured:
    """Return what distributions have counted, for `statistics`: of each instance and of `*`, and where TOOL_KEY is
    among their keys, of each version of a tool and of `*`."""
    of_each = replace(distributions, keys=(INSTANCE_KEY, *distributions.keys))
    return Measured.of(of_each, partial.columns).each(everywhere)


def everywhere(rows: Columns) -> Columns:
    """Do what `with_all_instances_and_versions` does, with the columns of a cube."""
    versions = [of_all_versions(rows)] if all(name in rows for name in TOOL_KEY) else []
    both = Columns.concat([rows, *versions])
    return Columns.concat([both, repeated(both, INSTANCE, ALL_INSTANCES)])


def of_all_versions(rows: Columns) -> Columns:
    """Return the rows of a cube as those of their tool over all versions."""
    tool_id, tool_version = TOOL_KEY
    names = rows.texts[tool_id].names.str.replace(SHED_ID, WITHOUT_VERSION)
    texts = Texts(names.unique().sort())
    codes = at(texts.codes_of(names.to_list()), rows[tool_id])
    return repeated(rows.extended({tool_id: codes}, {tool_id: texts}), tool_version, ALL_VERSIONS)


def repeated(rows: Columns, name: str, text: str) -> Columns:
    """Return rows with a column that holds one text."""
    return rows.extended({name: np.zeros(rows.height, np.int32)}, {name: Texts.of([text])})
