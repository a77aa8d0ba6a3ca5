"""Compares a published table with what should stand in it, row by row."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from oracle import Answer

from grt_batch.schema.tables import Table

LAST_DIGITS = 1e-10
"""The relative error of the oracle's own floating-point numbers."""
SHOWN = 10
Row = tuple[Any, ...]


def differences(answer: Answer, file: Path, table: Table) -> list[str]:
    """What is wrong with the table in `file`, one line each; nothing where all is right."""
    names, *lines = (line.split("\t") for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    if names != answer.names:
        return [f"columns: {names} instead of {answer.names}"]
    readers = [_reader(kind) for kind in answer.types]
    found = _by_key([_read(readers, line) for line in lines], names, table.key)
    wanted = _by_key([tuple(map(_plain, answer.types, row)) for row in answer.rows], names, table.key)
    errors = {column.name: column.tolerance for column in table.columns}
    wrong = [f"missing: {wanted[place]}" for place in wanted.keys() - found.keys()]
    wrong += [f"too many: {found[place]}" for place in found.keys() - wanted.keys()]
    for place in wanted.keys() & found.keys():
        for name, is_, should in zip(names, found[place], wanted[place], strict=True):
            if is_ != should and not _near(is_, should, errors[name]):
                wrong.append(f"{place}: {name} is {is_!r}, should be {should!r}")
    more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    return sorted(wrong)[:SHOWN] + more


def _by_key(rows: list[Row], names: list[str], key: Sequence[str]) -> dict[Row, Row]:
    """Rows by their key and a number: a key need not be unique, and a file cannot tell null from an empty text."""
    places = [names.index(name) for name in key]
    groups: defaultdict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[place] for place in places)].append(row)
    for group in groups.values():
        if len(group) > 1:
            group.sort(key=repr)
    return {(*place, n): row for place, group in groups.items() for n, row in enumerate(group)}


def _near(found: Any, wanted: Any, error: float) -> bool:
    """Whether numbers agree: exactly, unless the column or the oracle rounds."""
    if not isinstance(found, int | float | Decimal) or not isinstance(wanted, int | float | Decimal):
        return False
    rounded = error + LAST_DIGITS * isinstance(wanted, float)
    return rounded > 0 and math.isclose(found, wanted, rel_tol=rounded)


def _reader(kind: str) -> Callable[[str], Any]:
    if kind.startswith(("DECIMAL", "UNION")):
        return Decimal
    return {
        "BIGINT": int, "INTEGER": int, "HUGEINT": int, "DOUBLE": float, "DATE": date.fromisoformat, "VARCHAR": _text,
        "TIMESTAMP": datetime.fromisoformat, "BOOLEAN": {"true": True, "false": False}.__getitem__, "JSON": json.loads,
    }[kind]  # fmt: skip


def _read(readers: Sequence[Callable[[str], Any]], line: Sequence[str]) -> Row:
    return tuple(read(field) if field else None for read, field in zip(readers, line, strict=True))


def _plain(kind: str, value: Any) -> Any:
    """A value of DuckDB as `_read` would give it: a JSON as what it says, and no empty text."""
    if kind == "JSON":
        return json.loads(value)
    return None if value == "" else value


def _text(field: str) -> str:
    escapes = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: escapes[match[1]], field)
