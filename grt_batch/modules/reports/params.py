"""Which parameters and settings are popular, and how often does each end in error?

A value is unwrapped from the JSON that exporters of different years put around it. A value that names datasets,
`{"values": [{"src": "hda", "id": 12}]}` or the bare id of an input of the same job and name, says nothing about the
settings: it is left out, and counted in `naming_datasets`. Where a parameter has more than a thousand different values,
those with the least hashes are kept, with exact counts; then `sampled` is true and `values` an estimate. The numbers of
instances decide which values the schema grt_public shows.
"""

from __future__ import annotations

import polars as pl

from grt_batch.aggregate.bottom_k import BottomKCube
from grt_batch.aggregate.measures import Count, Cube
from grt_batch.frames.dictionaries import alike
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, Module, Partial
from grt_batch.modules.helpers import outcomes
from grt_batch.schema.records import Param, Records
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import CountedInstances

MOST_VALUES = 1000
"""The most values that are counted of each parameter of a tool's version; of more values, a sample of this size."""


_PARAM = (Param.tool_id, Param.tool_version, Param.name)


PARAMS = Cube("params", _PARAM, (Count("jobs"), Count("naming_datasets", Param.names_data)), of=Param)


VALUES = BottomKCube(
    "values",
    (*_PARAM, Param.value, Param.state),
    (Count("jobs"),),
    of=Param,
    sampled=Param.value,
    by=_PARAM,
    most=MOST_VALUES,
)


_KEY = tuple(field.name for field in _PARAM)


_COLUMNS = (
    Column("tool_id", Type.TEXT, "full id of the tool; empty where the job has none"),
    Column("tool_version", Type.TEXT, "version of the tool; empty where the job has none"),
    Column("name", Type.TEXT, "the parameter, by its full name"),
)


PARAM = Table(
    "param",
    "The parameters of each tool, over all instances.",
    _KEY,
    (
        *_COLUMNS,
        Column("jobs", Type.BIGINT, "jobs that have the parameter"),
        Column(
            "values",
            Type.BIGINT,
            "different values, null and what was redacted among them, without those that only name datasets; "
            "an estimate where they are sampled",
        ),
        Column("sampled", Type.BOOLEAN, f"there are more than {MOST_VALUES:,}: param_value has a sample of them"),
        Column("naming_datasets", Type.BIGINT, "jobs whose value only names datasets: none is in param_value"),
        Column("instances", Type.BIGINT, "instances with such jobs"),
        Column("public_instances", Type.BIGINT, "those of them that are public"),
    ),
    visibility=CountedInstances(),
)


PARAM_VALUE = Table(
    "param_value",
    "How often a parameter has a value, and how often such a job fails, over all instances.",
    (*_KEY, "value"),
    (
        *_COLUMNS,
        Column("value", Type.TEXT, "the one value, unwrapped; empty where it is null"),
        Column("jobs", Type.BIGINT, "jobs, all of them, also where the values are a sample"),
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
    needs = (Param,)
    cubes = (PARAMS, VALUES)
    tables = (PARAM, PARAM_VALUE)

    def aggregate(self, records: Records) -> Partial:
        """Return the parameters, and the values of those that do not name datasets."""
        params = records[Param]
        return {PARAMS.name: PARAMS.add(params), VALUES.name: VALUES.add(params.filter(~Param.names_data.expr))}

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the tables, over all instances."""
        parts = [partial[cube.name] for cube in self.cubes]
        merged = [
            cube.merge(part.partition_by(INSTANCE, include_key=False))
            for cube, part in zip(self.cubes, parts, strict=True)
        ]
        params, values, *parts = alike([*merged, *parts], VALUES.texts)
        public = pl.col(INSTANCE).cast(pl.String).is_in(ledger.public)
        sizes = params.join(VALUES.sizes(values), on=_KEY, how="left").with_columns(
            pl.col("values").fill_null(0), pl.col("sampled").fill_null(value=False)
        )
        counted = VALUES.sample(values).group_by(PARAM_VALUE.key).agg(outcomes())
        return {
            PARAM.name: sizes.join(_spread(parts[0], _KEY, public), on=_KEY),
            PARAM_VALUE.name: counted.join(_spread(parts[1], PARAM_VALUE.key, public), on=PARAM_VALUE.key),
        }


def _spread(part: pl.DataFrame, key: tuple[str, ...], public: pl.Expr) -> pl.DataFrame:
    """Return for each key the number of instances with such jobs, and of public ones."""
    instance = pl.col(INSTANCE)
    return part.group_by(key).agg(
        instances=instance.n_unique().cast(pl.Int64),
        public_instances=instance.filter(public).n_unique().cast(pl.Int64),
    )
