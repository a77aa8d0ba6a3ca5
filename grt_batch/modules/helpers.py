"""What reports have in common: windows, states, rates, hours, rows of all instances and of all versions together.

In `rows` the cubes of a partial hold all instances, with the column `instance_id`. Where a table adds rows up, start
from `with_all_instances(partial[CUBE.name])`, choose days by `filter(within(ledger, 30))`, then group by the table's
key: the rows of the instance `*` come out beside those of each instance. `with_all_versions` does the same for the
versions of a tool. Where numbers follow from whole cubes, as statistics do, add what all versions make by
`with_versions_merged`, take the cubes apart by `by_instance`, add `*` by `with_all_merged`, and put the rows together
by `rows_of_each`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.columns.quotient import quotient
from grt_batch.frames.dictionaries import alike, categories, replaced
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, Partial
from grt_batch.schema.records import ALL_VERSIONS, Field, Job
from grt_batch.schema.tables import Column, Type
from grt_batch.schema.tool_ids import SHED_ID

TOOL_KEY = (Job.tool_id.name, Job.tool_version.name)
"""The columns that name a tool."""


INSTANCE_KEY = Field(INSTANCE, pl.String(), "", "the instance")
"""The key that the cubes of `rows` have besides those that they declare."""


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


def of_all_versions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a cube as those of their tool over all versions: `tool_version` is `*`, and the `tool_id` of a
    tool from a Tool Shed has no version. Other ids stay as they are."""
    tool_id, tool_version = TOOL_KEY
    ids = frame[tool_id]
    return frame.with_columns(
        replaced(ids, categories(ids).str.replace(SHED_ID, "${shed}/repos/${owner}/${repository}/${name}")),
        pl.lit(ALL_VERSIONS, pl.Enum([ALL_VERSIONS])).alias(tool_version),
    )


def with_all_versions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a cube twice: as those of their version, and as those of the version `*`.

    What is grouped by TOOL_KEY and added up then has rows of a tool over all its versions beside those of each, also
    where there is only one.
    """
    return pl.concat(alike([frame, of_all_versions(frame)], TOOL_KEY))


def with_all_instances_and_versions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a cube four times: as `with_all_versions` does it, for each instance and for `*`."""
    return with_all_instances(with_all_versions(frame))


def with_versions_merged(partial: Partial, cubes: Iterable[Cube]) -> Partial:
    """Add to cubes of `rows` what all versions of a tool make together, in each instance."""
    cubes = (replace(cube, keys=(INSTANCE_KEY, *cube.keys)) for cube in cubes)
    return {cube.name: cube.merge([partial[cube.name], of_all_versions(partial[cube.name])]) for cube in cubes}


def by_instance(partial: Partial, cubes: Iterable[Cube]) -> dict[str, Partial]:
    """Take cubes apart by instance: each partial is what the cubes have counted in that instance."""
    found: dict[str, Partial] = {}
    for cube in cubes:
        parts = partial[cube.name].partition_by(INSTANCE, include_key=False, as_dict=True)
        for (instance_id,), frame in parts.items():
            found.setdefault(instance_id, {})[cube.name] = frame
    return found


def with_all_merged(parts: Mapping[str, Partial], cubes: Iterable[Cube]) -> dict[str, Partial]:
    """Add the partial of all instances, `*`, to those that `by_instance` returns."""
    together = {
        cube.name: cube.merge([part[cube.name] for part in parts.values() if cube.name in part]) for cube in cubes
    }
    return {**parts, ALL_INSTANCES: together}


def rows_of_each(parts: Mapping[str, Partial], rows: Callable[[Partial], pl.DataFrame]) -> pl.DataFrame:
    """Compute the rows of each partial, and put them together with the column `instance_id`."""
    return put_together(
        [rows(part).with_columns(pl.lit(instance_id).alias(INSTANCE)) for instance_id, part in parts.items()]
    )


def put_together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate frames whose texts are encoded by different dictionaries."""
    texts = {name for frame in frames for name, kind in frame.schema.items() if isinstance(kind, pl.Enum)}
    return pl.concat(alike(frames, texts))
