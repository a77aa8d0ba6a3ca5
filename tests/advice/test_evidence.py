"""Evidence from the published tables."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from calling import query

from grt_batch.advice.evidence import GIB, Evidence, Needed, Version, gathered, read
from grt_batch.advice.rule import percentile
from grt_batch.core.config import Config
from grt_batch.core.errors import NoTable

ALL = re.compile("")


def test_rows_become_evidence() -> None:
    rows = {
        "tool_memory": [
            ("", 0, None, [[0, 1, 0]]),
            ("cut", None, Decimal("7200"), [[GIB, 3, 0], [2 * GIB, 1, 2]]),
            ("cut", 4 * GIB, None, [[3 * GIB, 0, 1]]),
            ("sort", 0, 3600, [[GIB, 1, 0]]),
        ],
        "tool_metric": [
            ("cut", "allocated_memory_bytes", 4, 8.0 * GIB, 9.0 * GIB),
            ("cut", "cores", 4, 2.0, 4.0),
            ("cut", "cpu_efficiency", 3, 0.5, 0.75),
        ],
        "tool_usage": [("cut", True), ("sort", None)],
        "versions": [("cut", "1.0", 3, None, Decimal("3600"), *(place * GIB for place in range(1, 8)))],
    }
    needed = Needed(0, 1, 1.125, 3, 0, 1.5), Needed(0, 2, 2.25, 1, 2, 0.5), Needed(4, 3, 3.25, 0, 1, 0)
    cut, sort = gathered(rows, {"cut": 2})
    peaks = tuple(zip((25, 50, 75, 90, 95, 99, 100), (1, 2, 3, 4, 5, 6, 7), strict=True))
    versions = (Version("1.0", 3, 0, 1.0, peaks),)
    assert cut == Evidence("cut", 2, True, needed, given=8, cores=2, efficiency=0.75, used=3, versions=versions)
    assert sort == Evidence("sort", 0, False, (Needed(0, 1, 1.125, 1, 0, 1.0),))
    assert (cut.jobs, cut.killed) == (4, 3)
    assert gathered(rows, {}, alone=True)[0].servers == 1


def test_before_the_first_run_that_is_said(database: str) -> None:
    with pytest.raises(NoTable, match="tool_memory, tool_metric, tool_usage"):
        read(database, None, ALL)


def test_the_evidence_is_what_the_tables_say(ran: Config) -> None:
    found = {one.tool_id: one for one in read(ran.database, None, ALL)}
    statement = "SELECT tool_id, sum(jobs)::int FROM grt.tool_memory WHERE instance_id = '*' GROUP BY 1"
    counts = dict(query(ran.database, statement))
    counts.pop("", None)
    assert {tool_id: one.jobs for tool_id, one in found.items()} == counts
    (killed,) = query(ran.database, "SELECT sum(killed) FROM grt.tool_memory WHERE instance_id = '*'")[0]
    assert sum(one.killed for one in found.values()) == killed > 0
    rows = query(
        ran.database,
        "SELECT tool_id, n, p95, maximum FROM grt.tool_metric WHERE (instance_id, period, tool_version, metric)"
        " = ('*', 'all', '*', 'memory_bytes') AND n > 30",
    )
    assert len(rows) > 5
    for tool_id, n, p95, maximum in rows:
        one = found[tool_id]
        assert one.jobs == n
        peak = percentile(one.needed, 95) * GIB
        assert peak == pytest.approx(p95, rel=0.08)
        assert max(needed.high for needed in one.needed if needed.jobs) * GIB > maximum
        assert one.servers == len(
            query(ran.database, f"SELECT 1 FROM grt.tool_metric WHERE tool_id = '{tool_id}' AND instance_id <> '*' AND"
                  " (period, tool_version, metric) = ('all', '*', 'memory_bytes')")
        )  # fmt: skip


def test_of_one_instance_and_some_tools(ran: Config) -> None:
    ((name, jobs),) = query(
        ran.database, "SELECT instance_id, sum(jobs)::int FROM grt.tool_memory WHERE instance_id <> '*'"
        " AND tool_id <> '' GROUP BY 1 ORDER BY 2 DESC LIMIT 1",
    )  # fmt: skip
    found = read(ran.database, name, ALL)
    assert {one.servers for one in found} == {1}
    assert sum(one.jobs for one in found) == jobs
    some = read(ran.database, name, re.compile("/iuc/"))
    assert some == [one for one in found if "/iuc/" in one.tool_id]
    assert read(ran.database, "nobody", ALL) == []
