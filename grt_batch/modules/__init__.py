"""Everything that the author of a report imports, in one place; `reports/` has a report in each file.

A class that derives from `Module` is found by being in a file here, or in the folder `modules_dir` of the
configuration. docs/modules.md lists the fields of records, the measures and the helpers.
"""

from grt_batch.aggregate.measures import Count, Cube, Extent, JobRows, Squares, Sum
from grt_batch.aggregate.sketch import bin_field, quantiles
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, Module, Partial
from grt_batch.modules.helpers import PERIODS, TOOL_KEY, hours, jobs_in, with_all_instances, within
from grt_batch.schema.records import Dataset, Field, Job, Metric, Param, Records
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import NOT_SHOWN, OF_PUBLIC_INSTANCES

__all__ = [
    "ALL_INSTANCES",
    "INSTANCE",
    "NOT_SHOWN",
    "OF_PUBLIC_INSTANCES",
    "PERIODS",
    "TOOL_KEY",
    "Column",
    "Count",
    "Cube",
    "Dataset",
    "Extent",
    "Field",
    "Job",
    "JobRows",
    "Ledger",
    "Metric",
    "Module",
    "Param",
    "Partial",
    "Records",
    "Squares",
    "Sum",
    "Table",
    "Type",
    "bin_field",
    "hours",
    "jobs_in",
    "quantiles",
    "with_all_instances",
    "within",
]
