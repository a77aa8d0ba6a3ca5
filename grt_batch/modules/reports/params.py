"""Which parameters and settings are popular, and how often does each end in error?

A value is unwrapped from the JSON that exporters of different years put around it, and what is nested in it are
parameters of their own. A value that names datasets, `{"values": [{"src": "hda", "id": 12}]}` or the bare id of an
input of the same job and name, says nothing about the settings: it is left out, and counted in `naming_datasets`.

The most used values of each parameter are listed, `popular_values` of the configuration at most; of a parameter with
more values, none that only one job is known to have used. A value that at least 1 % of the parameter's jobs used is
always among them; only where a job can use several values of a parameter, more than the most may be so popular. Of
parameters with thousands of values, the rarest were let go on the way (see `grt_batch.aggregate.popular`): then `jobs`,
`ok`, `error` and the numbers of instances may be too low, which `at_least` says. The numbers of instances decide which
values the schema grt_public shows.

Rows with the tool_version `*` are those of a tool over all its versions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from grt_batch.aggregate.grouping import Groups
from grt_batch.aggregate.measures import Count, Cube
from grt_batch.aggregate.popular import Popular
from grt_batch.columns.columns import Array, Columns
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, Counted, Module, Partial
from grt_batch.modules.helpers import TOOL_COLUMNS, of_all_versions
from grt_batch.schema.records import Leaf
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import CountedInstances

_PARAM = (Leaf.tool_id, Leaf.tool_version, Leaf.name)


PARAMS = Cube("params", _PARAM, (Count("jobs", Leaf.first), Count("naming_datasets", Leaf.names_data)), of=Leaf)


POPULAR = Popular(PARAMS, Leaf.value, but=Leaf.names_data)


VALUES, CUTS = POPULAR.values, POPULAR.cuts


_KEY = tuple(field.name for field in _PARAM)


_COLUMNS = (*TOOL_COLUMNS, Column("name", Type.TEXT, "the parameter, by its full name"))


PARAM = Table(
    "param",
    "The parameters of each tool, over all instances.",
    _KEY,
    (
        *_COLUMNS,
        Column("jobs", Type.BIGINT, "jobs that have the parameter, whatever its value"),
        Column.estimate(
            "distinct_values",
            Type.BIGINT,
            "different values, null and what was redacted among them, without those that only name datasets; exact up "
            f"to {2 * POPULAR.least:,}, beyond that it may be an estimate, within 3 %",
            error=0.03,
        ),
        Column(
            "listed_jobs",
            Type.BIGINT,
            "the jobs of all values that param_value lists, added up: a job that uses several values counts with each",
        ),
        Column("naming_datasets", Type.BIGINT, "jobs whose value names datasets: such values are not in param_value"),
        Column("instances", Type.BIGINT, "instances with such jobs"),
        Column("public_instances", Type.BIGINT, "those of them that are public"),
    ),
    visibility=CountedInstances(),
)


PARAM_VALUE = Table(
    "param_value",
    "How often a parameter has a value, and how often such a job fails, over all instances: the most used values.",
    (*_KEY, "value"),
    (
        *_COLUMNS,
        Column("value", Type.TEXT, "the one value, unwrapped; empty where it is null"),
        Column("jobs", Type.BIGINT, "jobs with the value"),
        Column(
            "at_least",
            Type.BOOLEAN,
            "jobs is a lower bound, less than 1 % of the parameter's jobs too low; so are the numbers that follow",
        ),
        Column("ok", Type.BIGINT, "jobs in state ok"),
        Column("error", Type.BIGINT, "jobs in state error"),
        Column("instances", Type.BIGINT, "instances with such jobs"),
        Column("public_instances", Type.BIGINT, "those of them that are public"),
    ),
    visibility=CountedInstances(enough=True),
)


class Params(Module):
    """Which parameters and settings are popular, and how often does each end in error?"""

    name = "params"
    settings = ("popular_values",)
    needs = (Leaf,)
    cubes = POPULAR.cubes
    tables = (PARAM, PARAM_VALUE)

    def gathered(self, parts: Sequence[Counted]) -> Counted:
        """Merge what was counted of whole archives, and let go the rarest values of parameters that have too many."""
        return POPULAR.gathered(parts)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the tables, over all instances."""

        def merged(cube: Cube) -> Columns:
            parts = [rows := partial.columns[cube.name], of_all_versions(rows)]
            return cube.merge(parts).extended(_spread(parts, cube.key_names, ledger.public))

        params, values, cuts = map(merged, self.cubes)
        params, listed = POPULAR.most_used(params, values, cuts, ledger.config.popular_values)
        return {PARAM.name: params.frame(PARAM.schema), PARAM_VALUE.name: listed.frame(PARAM_VALUE.schema)}


def _spread(parts: Sequence[Columns], key: Sequence[str], public: Collection[str]) -> dict[str, Array]:
    """Return the number of instances with such jobs, and of public ones, for each key in order."""
    rows = Columns.concat([part.select((*key, INSTANCE)) for part in parts])
    rows = rows.rows(Groups.of(rows, (*key, INSTANCE)).firsts)
    groups, instances = Groups.of(rows, key), rows.texts[INSTANCE]
    of_public = np.isin(rows[INSTANCE], [instances.code(instance_id) for instance_id in public])
    return {"instances": groups.sizes, "public_instances": groups.added(of_public)}
