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

from collections.abc import Sequence

import polars as pl

from grt_batch.aggregate.measures import Count, Cube
from grt_batch.aggregate.popular import Popular
from grt_batch.frames.dictionaries import alike
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, Module, Partial
from grt_batch.modules.helpers import TOOL_COLUMNS, of_all_versions, with_all_versions
from grt_batch.schema.records import Leaf, Records
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import CountedInstances

_PARAM = (Leaf.tool_id, Leaf.tool_version, Leaf.name)


PARAMS = Cube("params", _PARAM, (Count("jobs", Leaf.first), Count("naming_datasets", Leaf.names_data)), of=Leaf)


POPULAR = Popular(PARAMS, Leaf.value)


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

    def aggregate(self, records: Records) -> Partial:
        """Return the parameters, and the values of those that do not name datasets."""
        leaves = records[Leaf]
        values = VALUES.add(leaves.filter(~Leaf.names_data.expr))
        return {PARAMS.name: PARAMS.add(leaves), VALUES.name: values, CUTS.name: CUTS.empty()}

    def gathered(self, partials: Sequence[Partial]) -> Partial:
        """Merge the partials of whole archives, and let go the rarest values of parameters that have too many."""
        return POPULAR.gathered(partials)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the tables, over all instances."""
        parts = [partial[cube.name] for cube in self.cubes]
        merged = [
            cube.merge([part, of_all_versions(part)])
            for cube, part in zip(self.cubes, (part.drop(INSTANCE) for part in parts), strict=True)
        ]
        params, values, cuts, *spread = alike([*merged, *map(with_all_versions, parts[:2])], VALUES.texts)
        params, listed = POPULAR.most_used(params, values, cuts, ledger.config.popular_values)
        public = pl.col(INSTANCE).cast(pl.String).is_in(ledger.public)
        jobs = listed.group_by(_KEY).agg(listed_jobs=pl.col("jobs").sum())
        params = params.join(jobs, on=_KEY, how="left").with_columns(pl.col("listed_jobs").fill_null(0))
        return {
            PARAM.name: params.join(_spread(spread[0], _KEY, public), on=_KEY),
            PARAM_VALUE.name: listed.join(_spread(spread[1], PARAM_VALUE.key, public), on=PARAM_VALUE.key),
        }


def _spread(part: pl.DataFrame, key: tuple[str, ...], public: pl.Expr) -> pl.DataFrame:
    """Return for each key the number of instances with such jobs, and of public ones."""
    instance = pl.col(INSTANCE)
    return part.group_by(key).agg(
        instances=instance.n_unique().cast(pl.Int64),
        public_instances=instance.filter(public).n_unique().cast(pl.Int64),
    )
