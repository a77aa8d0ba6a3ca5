"""What the published tables say of the jobs of each tool. Memory and sizes are in GiB from here on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from grt_batch.aggregate.sketch import coarse_end
from grt_batch.core.errors import NoTable
from grt_batch.modules.base import ALL_INSTANCES
from grt_batch.modules.reports.inputs import MEMORY_STEP_BITS
from grt_batch.schema.tool_ids import without_version
from grt_batch.sinks.connection import reading
from grt_batch.sinks.schema import SCHEMA

GIB = 2**30
"""The bytes of the unit that TPV counts memory and sizes in."""


@dataclass(frozen=True)
class Needed:
    """Jobs of about the same input and memory.

    `size` is the least size of their input, 0 where it is unknown: TPV takes a job without inputs for one of size 0.
    `jobs` in state ok came to memory from `low` to `high`; `killed` more were killed there. `hours` are their part of
    the runtime of all jobs in state ok of this size.
    """

    size: float
    low: float
    high: float
    jobs: int
    killed: int
    hours: float


@dataclass(frozen=True)
class Version:
    """Jobs of one version of a tool, on more than one day.

    Of the `jobs` in state ok, `peaks` are the memory at some percentiles, as pairs (percent, memory) of which the last
    is the maximum; `killed` more were killed for memory. Jobs in state ok took `hours`.
    """

    name: str
    jobs: int
    killed: int
    hours: float
    peaks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Evidence:
    """What is known of a tool, over all its versions.

    `servers` measured the memory of its jobs; they ran on `several_days`, or on one. `given` memory and `cores` are the
    medians of what jobs were given, `efficiency` the 90th percentile of the share of their cores that they used; None
    where nobody measured it. `used` are the jobs behind that share. Of single `versions` less is known.
    """

    tool_id: str
    servers: int
    several_days: bool
    needed: tuple[Needed, ...]
    given: float | None = None
    cores: float | None = None
    efficiency: float | None = None
    used: int = 0
    versions: tuple[Version, ...] = ()

    @property
    def jobs(self) -> int:
        """The jobs in state ok whose memory was measured."""
        return sum(one.jobs for one in self.needed)

    @property
    def killed(self) -> int:
        """The jobs that were killed for memory."""
        return sum(one.killed for one in self.needed)


_READ = {
    "tool_memory": (
        "SELECT tool_id, low, runtime_seconds, peaks FROM {} WHERE instance_id = %(id)s ORDER BY 1, 2 NULLS FIRST"
    ),
    "tool_metric": (
        "SELECT tool_id, metric, n, p50, p90 FROM {} WHERE instance_id = %(id)s AND period = 'all'"
        " AND tool_version = '*' AND metric IN ('allocated_memory_bytes', 'cores', 'cpu_efficiency')"
    ),
    "tool_usage": (
        "SELECT tool_id, first_job::date < last_job::date FROM {} WHERE instance_id = %(id)s AND period = 'all'"
        " AND tool_version = '*'"
    ),
}
"""What is read of each table."""


_PERCENTS = (25, 50, 75, 90, 95, 99, 100)


_VERSIONS = """
    SELECT memory.tool_id, memory.tool_version, memory.n, used.oom, runtime.total,
        memory.p25, memory.p50, memory.p75, memory.p90, memory.p95, memory.p99, memory.maximum
    FROM {tool_metric} AS memory
        JOIN {tool_metric} AS runtime USING (instance_id, period, tool_id, tool_version)
        JOIN {tool_usage} AS used USING (instance_id, period, tool_id, tool_version)
    WHERE instance_id = %(id)s AND period = 'all' AND tool_version NOT IN ('*', '')
        AND memory.metric = 'memory_bytes' AND runtime.metric = 'runtime_seconds'
        AND used.first_job::date < used.last_job::date
    ORDER BY 1, 2"""


_SERVERS = "SELECT tool_id, count(DISTINCT instance_id) FROM {} WHERE jobs > 0 AND instance_id <> %(all)s GROUP BY 1"

Rows = Mapping[str, Sequence[tuple[Any, ...]]]


def read(url: str, instance: str | None, tools: re.Pattern[str]) -> list[Evidence]:
    """Return the evidence of the tools whose id has the pattern in it, in the order of their ids: that of all instances
    or of one. Raise DatabaseUnreadable or NoTable."""
    with reading(url) as link, link.cursor() as cursor:
        missing = [name for name in _READ if not _exists(cursor, name)]
        if missing:
            raise NoTable(query="advise", tables=", ".join(missing))
        values = {"id": instance or ALL_INSTANCES, "all": ALL_INSTANCES}
        rows = {name: _ask(cursor, statement, name, values) for name, statement in _READ.items()}
        servers = dict(_ask(cursor, _SERVERS, "tool_memory", values))
        tables = {name: sql.Identifier(SCHEMA, name) for name in _READ}
        cursor.execute(sql.SQL(_VERSIONS).format(**tables), values)
        rows["versions"] = cursor.fetchall()
    return [one for one in gathered(rows, servers, bool(instance)) if tools.search(one.tool_id)]


def gathered(rows: Rows, servers: Mapping[str, int], alone: bool = False) -> list[Evidence]:
    """Return the evidence of each tool in the rows of _READ and of "versions"; `alone` are those of a single server."""
    needed: dict[str, list[Needed]] = {}
    for tool_id, size, seconds, peaks in rows["tool_memory"]:
        hours = float(seconds or 0) / 3600 / max(sum(jobs for _, jobs, _ in peaks), 1)
        needed.setdefault(tool_id, []).extend(
            Needed(_gib(size or 0), _gib(low), _gib(coarse_end(low, MEMORY_STEP_BITS)), jobs, killed, hours * jobs)
            for low, jobs, killed in peaks
        )
    metrics = {(tool_id, metric): values for tool_id, metric, *values in rows["tool_metric"]}
    days: dict[str, bool | None] = dict(rows["tool_usage"])
    versions: dict[str, list[Version]] = {}
    for tool_id, name, jobs, killed, seconds, *peaks in rows["versions"]:
        at = tuple(zip(_PERCENTS, map(_gib, peaks), strict=True))
        version = Version(name, jobs, killed or 0, float(seconds) / 3600, at)
        versions.setdefault(without_version(tool_id), []).append(version)
    return [
        Evidence(
            tool_id,
            1 if alone else servers.get(tool_id, 0),
            bool(days.get(tool_id)),
            tuple(found),
            given=_value(metrics, (tool_id, "allocated_memory_bytes"), 1, GIB),
            cores=_value(metrics, (tool_id, "cores"), 1),
            efficiency=_value(metrics, (tool_id, "cpu_efficiency"), 2),
            used=int(metrics.get((tool_id, "cpu_efficiency"), (0,))[0]),
            versions=tuple(versions.get(tool_id, ())),
        )
        for tool_id, found in needed.items()
        if tool_id
    ]


def _value(metrics: Mapping[tuple[str, str], Sequence[Any]], key: tuple[str, str], place: int, one: int = 1) -> Any:
    return float(metrics[key][place]) / one if key in metrics else None


def _gib(of_bytes: Any) -> float:
    return float(of_bytes) / GIB


def _exists(cursor: Any, table: str) -> bool:
    cursor.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.{table}",))
    return cursor.fetchone()[0] is not None


def _ask(cursor: Any, statement: str, table: str, values: Mapping[str, str]) -> list[tuple[Any, ...]]:
    cursor.execute(sql.SQL(statement).format(sql.Identifier(SCHEMA, table)), values)
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
