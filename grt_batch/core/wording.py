"""English for numbers in messages."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return the count with its noun: `1 archive`, `2 archives`, `2 entries`, `2 days`."""
    if count == 1:
        return f"1 {noun}"
    regular = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count} {plural or regular}"


_NAMED = 3
"""The number of names in a line; where there are more, another command lists all."""


def listed(names: Sequence[str]) -> str:
    """Return the first names of many: `a, b, c …`."""
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def spent(seconds: float) -> str:
    """Return a span of time in the unit that a person would take: `4.2 s`, `12 min`, `3.5 h`, `2.1 d`."""
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= length:
            return f"{_short(seconds / length)} {unit}"
    return f"{_short(seconds)} s"


def hours(count: float) -> str:
    """Return hours of cores, of memory: `0.4`, `12`, `1,234`."""
    return _short(count)


def share(part: float) -> str:
    """Return a share of 0 to 1 in percent: `0.4 %`, `12 %`."""
    return f"{_short(100 * part)} %"


def on_one_line(error: Exception) -> str:
    """Return an error of a library on one line, with its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


def _short(value: float) -> str:
    """Return two digits of a small number, and all the whole ones of a large one."""
    return f"{value:.2g}" if 0 < abs(value) < 9.95 else f"{value:,.0f}"
