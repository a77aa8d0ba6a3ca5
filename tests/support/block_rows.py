"""Reads the columns of decoded blocks as rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from build import decoded

from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import FRAGMENT
from grt_batch.schema.members import Kind

CREATED = "2018-03-01 15:03:43.801539"
MICROS = int(datetime(2018, 3, 1, 15, 3, 43, tzinfo=UTC).timestamp()) * 1_000_000 + 801_539
SECOND = 10**7
Job = tuple[int, int, str | None, str | None, str | None]


def jobs(result: Decoded) -> list[Job]:
    """(id, created, tool_id, tool_version, state) of each record."""
    columns = (result.columns[name].tolist() for name in ("id", "create_time", "tool", "state"))
    return [
        (job, created, *result.texts["tool"][tool], *result.texts["state"][state])
        for job, created, tool, state in zip(*columns, strict=True)
    ]


def datasets(result: Decoded) -> list[tuple[int, int, int]]:
    """(job id, size, output) of each record."""
    return list(zip(*(result.columns[name].tolist() for name in ("id", "size", "output")), strict=True))


def metrics(result: Decoded) -> dict[int, dict[int, int]]:
    """The values of each job that were seen, by metric."""
    rows = zip(*(result.columns[name].tolist() for name in ("id", "values", "seen")), strict=True)
    found = [(job, {i: value for i, value in enumerate(values) if seen >> i & 1}) for job, values, seen in rows]
    assert len({job for job, _ in found}) == len(found)
    return dict(found)


def rejects(result: Decoded) -> list[tuple[int, str, bytes]]:
    """(line, reason, text) of each rejected line or fragment."""
    assert all((reject.reason == FRAGMENT) == reject.fragment for reject in result.rejects)
    return [(reject.line, reject.reason, reject.text) for reject in result.rejects]


def only_reason(kind: Kind, text: bytes, **more: Any) -> str:
    """The reason of the one line, which is rejected."""
    result = decoded(kind, text, **more)
    assert (result.lines, result.accepted, result.salvaged) == (1, 0, 0)
    [reject] = result.rejects
    assert reject.line == 0
    assert not reject.fragment
    return reject.reason
