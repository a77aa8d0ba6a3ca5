"""Everything that the author of a report imports, in one place; `reports/` has a report in each file.

A class that derives from `Module` is found by being in a file here, or in the folder `modules_dir` of the
configuration. docs/modules.md describes all these names, and the fields of the records.
"""

from grt_batch.aggregate.binned import quantiles
from grt_batch.aggregate.distributions import Distribution, Distributions, Ratio
from grt_batch.aggregate.measures import Count, Cube, Extent, JobRows, Squares, Sum, known_sum
from grt_batch.aggregate.sketch import bin_field
from grt_batch.aggregate.statistics import BOUNDS_SCALE, histogram, statistics
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, Module, Partial
from grt_batch.modules.helpers import (
    PERIODS,
    TOOL_COLUMNS,
    TOOL_KEY,
    error_rate,
    hours,
    in_state,
    jobs_in,
    measured_everywhere,
    outcomes,
    with_all_instances,
    with_all_instances_and_versions,
    with_all_versions,
    within,
)
from grt_batch.schema.figures import ALL_DIGITS
from grt_batch.schema.records import ALL_VERSIONS, Dataset, DerivedField, Field, Job, Leaf, Metric, Param, Records
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import (
    NOT_SHOWN,
    OF_PUBLIC_INSTANCES,
    CountedInstances,
    FromPublicInstances,
    OfPublicInstances,
    ShownToAll,
)

__all__ = [
    "ALL_DIGITS",
    "ALL_INSTANCES",
    "ALL_VERSIONS",
    "BOUNDS_SCALE",
    "INSTANCE",
    "NOT_SHOWN",
    "OF_PUBLIC_INSTANCES",
    "PERIODS",
    "TOOL_COLUMNS",
    "TOOL_KEY",
    "Column",
    "Count",
    "CountedInstances",
    "Cube",
    "Dataset",
    "DerivedField",
    "Distribution",
    "Distributions",
    "Extent",
    "Field",
    "FromPublicInstances",
    "InstanceEntry",
    "Job",
    "JobRows",
    "Leaf",
    "Ledger",
    "Metric",
    "Module",
    "OfPublicInstances",
    "Param",
    "Partial",
    "Ratio",
    "Records",
    "ShownToAll",
    "Squares",
    "Sum",
    "Table",
    "Type",
    "bin_field",
    "error_rate",
    "histogram",
    "hours",
    "in_state",
    "jobs_in",
    "known_sum",
    "measured_everywhere",
    "outcomes",
    "quantiles",
    "statistics",
    "with_all_instances",
    "with_all_instances_and_versions",
    "with_all_versions",
    "within",
]
