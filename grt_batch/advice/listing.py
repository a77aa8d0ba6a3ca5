"""Advice as rows, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from grt_batch.advice.advice import Advice, Settled
from grt_batch.advice.rule import Memory
from grt_batch.schema.escapes import escape

_COLUMNS = (
    "tool_id", "why_not", "servers", "jobs", "killed", "peak_gib", "mem_before", "mem", "mem_by_size", "mem_by_version",
    "cores_before",
    "cores", "killed_share_before", "killed_share", "gib_hours_before", "gib_hours", "worth_a_change",
)  # fmt: skip


_DIGITS = 4


def as_tsv(advices: Iterable[Advice]) -> bytes:
    """Return TSV as the reports have it: a header, null is empty."""
    lines = [_COLUMNS, *(tuple(map(_text, _row(advice).values())) for advice in advices)]
    return "".join("\t".join(map(escape, line)) + "\n" for line in lines).encode()


def as_json(advices: Iterable[Advice]) -> bytes:
    """Return a JSON list with an object for each tool."""
    return orjson.dumps([_row(advice) for advice in advices], option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def differences(changes: Sequence[tuple[str, Advice, Settled]]) -> tuple[list[str], list[list[str]]]:
    """Return titles and cells of a table of the changes, given what to call each tool; the largest effect first."""
    titles = ["tool", "jobs", "killed", "mem (GiB)", "cores", "% killed by", "GiB hours", "saved"]
    order = sorted(changes, key=lambda change: (-abs(_saved(change[1])), change[0]))
    return titles, [_difference(*change) for change in order]


def effect(changes: Iterable[tuple[str, Advice, Settled]]) -> tuple[float, float]:
    """Return the memory-hours before and after these changes, of the tools of which both are known."""
    known = [advice for _, advice, change in changes if change.memory and advice.hours_before is not None]
    return sum(advice.hours_before or 0 for advice in known), sum(advice.hours_now or 0 for advice in known)


def _difference(tool: str, advice: Advice, change: Settled) -> list[str]:
    before, now = advice.old, change.memory is not None
    known = now and advice.hours_before is not None
    return [
        tool,
        str(advice.evidence.jobs),
        str(advice.evidence.killed),
        f"{_range(before.memory)} -> {_range(change.memory)}" if now else _range(before.memory),
        f"{before.cores:g} -> {change.cores:g}" if change.cores is not None and before.cores is not None else "",
        f"{100 * (advice.killed_before or 0):.1f} -> {100 * (advice.killed_now or 0):.1f}" if known else "",
        f"{advice.hours_before:.4g} -> {advice.hours_now:.4g}" if known else "",
        f"{_saved(advice):.4g}" if known else "",
    ]


def _saved(advice: Advice) -> float:
    return (advice.hours_before or 0) - (advice.hours_now or 0)


def _range(memory: Memory | None) -> str:
    """Return the memory; of several values the least and the greatest."""
    if memory is None:
        return "?"
    values = [*([mem for _, mem in memory.steps] or [memory.mem]), *(mem for _, mem in memory.versions)]
    return f"{values[0]:.4g}" if len(values) == 1 else f"{min(values):.4g} to {max(values):.4g}"


def _row(advice: Advice) -> dict[str, Any]:
    evidence, old, memory = advice.evidence, advice.old, advice.memory
    values = (
        evidence.tool_id,
        advice.why or None,
        evidence.servers,
        evidence.jobs,
        evidence.killed,
        advice.peak,
        old.memory.mem if old.memory else None,
        memory.mem if memory else None,
        [list(step) for step in memory.steps] if memory else [],
        [list(one) for one in memory.versions] if memory else [],
        old.cores,
        advice.cores,
        advice.killed_before,
        advice.killed_now,
        advice.hours_before,
        advice.hours_now,
        advice.worth_a_change,
    )
    return {name: _rounded(value) for name, value in zip(_COLUMNS, values, strict=True)}


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return " ".join(f"{of if isinstance(of, str) else f'{of:g}'}:{mem:g}" for of, mem in value)
        case float():
            return f"{value:g}"
    return str(value)
