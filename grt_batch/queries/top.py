"""The tools that matter most, on one screen: what the ready queries answer, in the units of people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from grt_batch.core.errors import printable
from grt_batch.core.wording import hours, share, spent
from grt_batch.queries.results import Answer, with_ids
from grt_batch.schema.tool_ids import TOOL_ID, told_apart


def _count(value: int) -> str:
    return f"{value:,}"


_Shown = tuple[str, str, Callable[[Any], str]]


_JOBS: _Shown = ("jobs", "jobs", _count)


_FAILED: _Shown = ("failed", "error_rate", share)


@dataclass(frozen=True)
class Block:
    """A part of the screen: its title, the query that it shows and its parameters, and the columns, each with the
    title above it, its name in the query, and how it is written."""

    title: str
    query: str
    parameters: Mapping[str, str]
    columns: Sequence[_Shown]


BLOCKS = (
    Block(
        "Most used",
        "tool-usage",
        {},
        (_JOBS, _FAILED, ("core hours", "core_hours", hours), ("instances", "instances", _count)),
    ),
    Block(
        "Slowest",
        "tool-runtimes",
        {"by": "median", "min_jobs": "5"},
        (
            _JOBS,
            ("median", "runtime_p50_seconds", spent),
            ("95 % within", "runtime_p95_seconds", spent),
            ("longest", "runtime_max_seconds", spent),
        ),
    ),
    Block(
        "Most failing",
        "tool-errors",
        {},
        (_JOBS, ("errors", "error", _count), _FAILED, ("out of memory", "oom", _count)),
    ),
    Block(
        "Most wasteful",
        "tool-waste",
        {},
        (
            _JOBS,
            ("idle core h", "idle_core_hours", hours),
            ("CPU used", "cpu_share", share),
            ("unused GB h", "unused_memory_gb_hours", hours),
            ("memory used", "memory_share", share),
        ),
    ),
)


_GAP = 2


_LEAST_NAME = 14


_GRAVE, _BAD = 0.5, 0.2
"""The shares of failed jobs that are coloured."""


Paint = Callable[[str, str], str]
"""Returns a text in a style: `title`, `head`, `bad` or `grave`."""


def lines_of(block: Block, answer: Answer, width: int | None, paint: Paint = lambda text, style: text) -> list[str]:
    """Return the lines of a block; numbers end below each other. Where the screen has no room, names are cut, and then
    the last columns left out."""
    answer = with_ids(answer, told_apart)
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    if not rows:
        return [paint(block.title, "title"), "  nothing"]
    columns = [[title, *(_cell(row[name], write) for row in rows)] for title, name, write in block.columns]
    names = [printable(str(row[TOOL_ID])) for row in rows]
    room = max(map(len, [block.title, *names]))
    if width is not None:
        columns = _fitting(columns, width - _LEAST_NAME)
        room = max(_LEAST_NAME, min(room, width - sum(map(_wide, columns))))
    head, *lines = ("".join(cell.rjust(_wide(column)) for cell, column in zip(line, columns, strict=True))
                    for line in zip(*columns, strict=True))  # fmt: skip
    painted = [paint(block.title.ljust(room), "title") + paint(head, "head")]
    for name, row, numbers in zip(names, rows, lines, strict=True):
        painted.append(paint(_cut(name, room).ljust(room) + numbers, _style(row.get("error_rate"))))
    return painted


def _wide(column: Sequence[str]) -> int:
    return max(map(len, column)) + _GAP


def _fitting(columns: Sequence[list[str]], width: int) -> list[list[str]]:
    """Return the first columns, as many as there is room for, and one at least."""
    ends = accumulate(map(_wide, columns))
    return [
        column for number, (column, end) in enumerate(zip(columns, ends, strict=True)) if end <= width or not number
    ]


def _cell(value: Any, write: Callable[[Any], str]) -> str:
    return "-" if value is None else write(value)


def _cut(name: str, room: int) -> str:
    """Return the end of a name, which tells most, if there is no room for all of it."""
    return name if len(name) <= room else f"…{name[len(name) - room + 1 :]}"


def _style(error_rate: float | None) -> str:
    if error_rate is None or error_rate < _BAD:
        return ""
    return "grave" if error_rate >= _GRAVE else "bad"
