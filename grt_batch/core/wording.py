"""English for numbers in messages."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return the count with its noun: `1 archive`, `2 archives`, `2 entries`."""
    if count == 1:
        return f"1 {noun}"
    regular = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count} {plural or regular}"
