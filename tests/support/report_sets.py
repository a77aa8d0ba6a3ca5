"""Report sets as runs publish them, with the tables that a test needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from grt_batch.schema.escapes import escape

Row = Mapping[str, object]

RUN = {
    "run_id": "one",
    "as_of": "2024-06-30",
    "started": "2024-06-30 12:00:00.000000",
    "finished": "2024-06-30 12:01:30.500000",
    "archives": {"found": 4, "published": 3, "quarantined": 1, "incomplete": 0, "removed": 0},
    "modules": ["tools", "instances"],
    "jobs": 77,
    "rejected": 5,
    "seconds": {"plan": 0.5, "reduce": 80},
}
FINISHED = 1719748890.5
"""When this run finished, in Unix seconds."""
STATUS = {"bytes": 10, "quota_bytes": None, "predicted_7d": None, "warning": 1, "days_silent": 1, "jobs_7d": 3,
          "jobs_30d": 4, "without_metrics": 0.25}  # fmt: skip
"""The row of instance_status of an instance where all is right, but for its id."""


def write_set(reports: Path, run: Mapping[str, object] | None = None, **tables: Sequence[Row]) -> None:
    """Write the newest report set anew."""
    folder = reports / "latest"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(RUN | dict(run or {})))
    for name, rows in tables.items():
        lines = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
        (folder / f"{name}.tsv").write_text("".join("\t".join(map(escape, line)) + "\n" for line in lines))


def write_held(reports: Path, as_of: str, **run: object) -> None:
    """Write a set that the gate holds back."""
    folder = reports / "held" / as_of
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(RUN | {"as_of": as_of, "state": "held", **run}))


def status(instance_id: str, **changes: object) -> Row:
    return {"instance_id": instance_id, **STATUS, **changes}


def change(tool_id: str, before: float, after: float, **changes: object) -> Row:
    rates = {"error_rate_before": before, "error_rate_after": after, "jobs_after": 50}
    row = {"instance_id": "*", "tool_id": tool_id, "tool_version": "*", **rates, "changed": "error_rate"}
    return row | changes


def archive(instance_id: str, name: str, **changes: object) -> Row:
    row = {"instance_id": instance_id, "archive": name, "generated": "2024-06-29 12:00:00.000000"}
    return {**row, "state": "published", "reason": None, **changes}


def _text(value: object) -> str:
    return "" if value is None else str(value)
