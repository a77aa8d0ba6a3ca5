"""Helpers for the authors of reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.frames.dictionaries import alike
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, Module, Partial
from grt_batch.schema.records import RECORDS, Field, Job


def concat_instances(cubes: Sequence[Cube], merged: Mapping[str, Partial]) -> Partial:
    """The cubes of all instances with the column `instance_id`, which knows `*` too. All columns of a name have one
    dictionary, so that rows of several cubes can be put together."""
    instances = pl.Enum(sorted({ALL_INSTANCES, *merged}))
    names = [cube.name for cube in cubes for _ in merged]
    frames = [
        partial[cube.name].select(pl.lit(instance_id, instances).alias(INSTANCE), pl.all())
        for cube in cubes
        for instance_id, partial in merged.items()
    ]
    together: dict[str, list[pl.DataFrame]] = {cube.name: [] for cube in cubes}
    for name, frame in zip(names, alike(frames, {text for cube in cubes for text in cube.texts}), strict=True):
        together[name].append(frame)
    return {cube.name: pl.concat(together[cube.name], rechunk=True) for cube in cubes}


def with_all_instances(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of every instance, and once more all of them as those of the instance `*`."""
    everywhere = pl.lit(ALL_INSTANCES, frame.schema[INSTANCE]).alias(INSTANCE)
    return pl.concat([frame, frame.with_columns(everywhere)])


def within(ledger: Ledger, days: int, *, ago: int = 0) -> pl.Expr:
    """Which rows are of `days` UTC days, the last of them the as-of day, or `ago` days before it."""
    last = ledger.as_of - timedelta(days=ago)
    return pl.col(Job.day.name).is_between(last - timedelta(days=days - 1), last)


def jobs_in(state: str) -> pl.Expr:
    """The jobs in a state, of rows with the columns `jobs` and `state`."""
    # As a text: a dictionary without this state would refuse to compare.
    return pl.col("jobs").filter(pl.col("state").cast(pl.String) == state).sum()


def hours(total: pl.Expr, field: Field) -> pl.Expr:
    """Return hours (core hours) from the exact sum of a field of seconds (core seconds)."""
    return field.in_units(total, 3600)


TOOL_KEY = (Job.tool_id.name, Job.tool_version.name)


PERIODS = {"all": None, "30d": 30, "7d": 7}


SHED_ID = r"^(?<shed>[^/]+(?:/[^/]+)*?)/repos/(?<owner>[^/]+)/(?<repository>[^/]+)/(?<name>[^/]+)(?:/[^/]*)?$"


def wanted_by(modules: Iterable[Module]) -> tuple[str, ...]:
    """The kinds of joined records that modules need, besides the jobs."""
    needs = {need.kind for module in modules for need in module.needs}
    return tuple(kind for kind in RECORDS if kind in needs and kind != Job.kind)
