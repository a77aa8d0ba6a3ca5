"""What the members of an archive hold: their columns, types, units and null rules.

The columns are those of Galaxy's `scripts/grt/export.py`; a header line in a member wins over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from grt_batch.schema.plausible import FIRST_SECOND, LAST_SECOND, MOST_BYTES, MOST_CORES, MOST_SECONDS

NULL = -(2**63)
"""Null in an int64 column between the decoder and the join (no exporter can write this number)."""


NO_LIMIT = 2**62
"""Anything at or above this is a cgroup's "no limit", not a measurement."""


NONE_TEXT = b"None"
"""How the exporter writes null, in every column."""


MOST_COLUMNS = 64
"""The kernels hold the fields of a line in arrays of this size."""


class Kind(Enum):
    """A kind of member, by the end of its base name."""

    JOBS = "jobs"
    METRIC_NUM = "metric_num"
    METRIC_TXT = "metric_txt"
    PARAMS = "params"
    DATASETS = "datasets"

    @classmethod
    def of_member(cls, name: str) -> Kind | None:
        """The kind of the member called `name` (a path of the exporter's machine), None for a file of no kind."""
        base = name.replace("\\", "/").rpartition("/")[2]
        return next((kind for kind in cls if base == f"{kind.value}.tsv" or base.endswith(f".{kind.value}.tsv")), None)


class MemberType(Enum):
    """The type of a column; the value is what a reject says it should have been."""

    JOB_ID = "an integer"
    INTEGER = "an integer or null"
    TEXT = "text"
    FREE_TEXT = "text that may hold a tab"
    NUMBER = "a number or null"
    DATE = "a date or null"
    DIRECTION = "input or output"


@dataclass(frozen=True)
class MemberColumn:
    """One column of a member."""

    name: str
    type: MemberType


@dataclass(frozen=True)
class Layout:
    """The columns of one member, in the order in which they stand in its lines."""

    kind: Kind
    columns: tuple[MemberColumn, ...]

    def position(self, name: str) -> int:
        """Where the column stands in a line, -1 where this member has no such column."""
        return next((i for i, column in enumerate(self.columns) if column.name == name), -1)


_COLUMNS: dict[Kind, tuple[MemberColumn, ...]] = {
    Kind.JOBS: (
        MemberColumn("id", MemberType.JOB_ID),
        MemberColumn("tool_id", MemberType.FREE_TEXT),
        MemberColumn("tool_version", MemberType.FREE_TEXT),
        MemberColumn("state", MemberType.TEXT),
        MemberColumn("create_time", MemberType.DATE),
    ),
    Kind.METRIC_NUM: (
        MemberColumn("job_id", MemberType.JOB_ID),
        MemberColumn("plugin", MemberType.FREE_TEXT),
        MemberColumn("name", MemberType.FREE_TEXT),
        MemberColumn("value", MemberType.NUMBER),
    ),
    Kind.METRIC_TXT: (
        MemberColumn("job_id", MemberType.JOB_ID),
        MemberColumn("plugin", MemberType.FREE_TEXT),
        MemberColumn("name", MemberType.FREE_TEXT),
        MemberColumn("value", MemberType.FREE_TEXT),
    ),
    Kind.PARAMS: (
        MemberColumn("job_id", MemberType.JOB_ID),
        MemberColumn("name", MemberType.FREE_TEXT),
        MemberColumn("value", MemberType.FREE_TEXT),
    ),
    Kind.DATASETS: (
        MemberColumn("job_id", MemberType.JOB_ID),
        MemberColumn("dataset_id", MemberType.INTEGER),
        MemberColumn("extension", MemberType.TEXT),
        MemberColumn("file_size", MemberType.INTEGER),
        MemberColumn("param_name", MemberType.FREE_TEXT),
        MemberColumn("type", MemberType.DIRECTION),
    ),
}


_WITHOUT_HEADER: dict[Kind, tuple[Layout, ...]] = {kind: (Layout(kind, columns),) for kind, columns in _COLUMNS.items()}


_WITHOUT_HEADER[Kind.JOBS] += (Layout(Kind.JOBS, (_COLUMNS[Kind.JOBS][0], *_COLUMNS[Kind.JOBS][1:4:2])),)


def layout_of(kind: Kind, lines: Sequence[bytes]) -> tuple[Layout, bool]:
    """The layout of a member that begins with `lines`, and whether the first of them is a header.

    A header is known by its first field. Without one the number of columns decides, by the majority of the lines,
    since the first may be broken. Raises ValueError for a header without the columns that identify a record.
    """
    known = {column.name.encode(): column for column in _COLUMNS[kind]}
    key = _COLUMNS[kind][0]
    first = lines[0].split(b"\t") if lines else [b""]
    if first[0].strip() in known and not first[0].strip().isdigit():
        names = [field.strip() for field in first]
        if key.name.encode() not in names or len(set(names)) < len(names):
            raise ValueError(f"the header of {kind.value} names no {key.name}, or a column twice")
        if len(names) > MOST_COLUMNS:
            raise ValueError(f"the header of {kind.value} has {len(names)} columns; known are {MOST_COLUMNS} at most")
        if kind is Kind.DATASETS and b"type" not in names:
            raise ValueError("the header of datasets names no type")
        extra = (MemberColumn(name.decode("utf-8", "replace"), MemberType.TEXT) for name in names)
        return Layout(kind, tuple(known.get(name, other) for name, other in zip(names, extra, strict=True))), True
    counts = Counter(line.count(b"\t") + 1 for line in lines)
    candidates = _WITHOUT_HEADER[kind]
    return max(candidates, key=lambda layout: counts[len(layout.columns)]), False


@dataclass(frozen=True)
class JobMetric:
    """A numeric metric that the measures are made of. Its column holds integers: the value times 10 ** `scale`.

    A plausible one is from `least` to `most`, as the column has it.
    """

    plugin: str
    name: str
    scale: int
    unit: str
    least: int = 0
    most: int = NO_LIMIT - 1


SECONDS_SCALE = 7
"""The exporter writes 7 decimals; seconds and cores are kept as integers of 1e-7, so that their sums are exact."""


SECOND = 10**SECONDS_SCALE
"""One second, or core, in these integers."""


NANOSECONDS_SCALE = 9
"""CPU time is kept as integers of 1e-9 s, as cgroup v1 counts it."""


METRICS = (
    JobMetric("core", "runtime_seconds", SECONDS_SCALE, "s", most=MOST_SECONDS * SECOND),
    JobMetric("core", "start_epoch", SECONDS_SCALE, "Unix s", FIRST_SECOND * SECOND, LAST_SECOND * SECOND),
    JobMetric("core", "end_epoch", SECONDS_SCALE, "Unix s", FIRST_SECOND * SECOND, LAST_SECOND * SECOND),
    JobMetric("core", "galaxy_slots", SECONDS_SCALE, "cores", 1, MOST_CORES * SECOND),
    JobMetric("core", "galaxy_memory_mb", SECONDS_SCALE, "MB of 2^20 B", most=(MOST_BYTES >> 20) * SECOND),
    JobMetric("cgroup", "memory.max_usage_in_bytes", 0, "B", most=MOST_BYTES),
    JobMetric("cgroup", "memory.peak", 0, "B", most=MOST_BYTES),
    JobMetric("cgroup", "cpuacct.usage", 0, "ns"),
    # The column of CPU time has nanoseconds.
    JobMetric("cgroup", "cpu.stat.usage_usec", 0, "µs", most=(NO_LIMIT - 1) // 1000),
    JobMetric("cgroup", "memory.limit_in_bytes", 0, "B"),
    JobMetric("cgroup", "memory.failcnt", 0, "hits of the limit"),
    JobMetric("cgroup", "memory.events.oom_kill", 0, "kills"),
)


RUNTIME, START, END, SLOTS, MEMORY_MB, MEMORY_V1, MEMORY_V2, CPU_V1, CPU_V2, LIMIT_V1, HITS_V1, KILLS_V2 = range(
    len(METRICS)
)
