"""The comparison tells whatever is not as it should be, and nothing else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from comparison import differences
from oracle import Answer

from grt_batch.schema.tables import Column, Table, Type

TABLE = Table(
    "of_tests",
    "A table with something of everything.",
    ("tool_id", "day"),
    (
        Column("tool_id", Type.TEXT, "a text"),
        Column("day", Type.DATE, "a day"),
        Column("jobs", Type.BIGINT, "a count"),
        Column("seconds", Type.NUMERIC, "a sum", scale=7),
        Column("rate", Type.DOUBLE, "derived"),
        Column.estimate("runtime_p50", Type.DOUBLE, "a percentile"),
        Column("broken", Type.BOOLEAN, "a truth"),
        Column("owners", Type.JSON, "anything"),
    ),
)
ANSWER = Answer(
    [column.name for column in TABLE.columns],
    ["VARCHAR", "DATE", "BIGINT", "DECIMAL(38,7)", "DOUBLE", "DOUBLE", "BOOLEAN", "JSON"],
    [
        ("a\tb", None, 1, Decimal("0.1000000"), 0.5, 100.0, True, '{"a": [1]}'),
        ("c", date(2024, 6, 30), 2, Decimal(0), None, None, False, "[]"),
    ],
)
RIGHT = 'a\\tb\t\t1\t0.1\t0.500000002\t101.01\ttrue\t{"a":[1]}\nc\t2024-06-30\t2\t0\t\t\tfalse\t[]\n'


def told(tmp_path: Path, text: str, names: list[str] = ANSWER.names) -> list[str]:
    file = tmp_path / "table.tsv"
    file.write_text("\t".join(names) + "\n" + text, encoding="utf-8")
    return differences(ANSWER, file, TABLE)


def test_what_is_right_is_not_told(tmp_path: Path) -> None:
    assert told(tmp_path, RIGHT) == []
    assert told(tmp_path, "".join(reversed(RIGHT.splitlines(keepends=True)))) == []


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("\t1\t", "\t2\t", "jobs"),
        ("\t0.1\t", "\t0.1000001\t", "seconds"),
        ("0.500000002", "0.500000003", "rate"),
        ("101.01", "101.1", "runtime_p50"),
        ("101.01", "", "runtime_p50"),
        ("true", "false", "broken"),
        ("[1]", "[2]", "owners"),
        ("2024-06-30\t2\t0\t\t", "2024-06-30\t2\t0\t0.0\t", "rate"),
        ("a\\tb", "ab", "missing"),
        ("c\t2024-06-30", "c\t2024-06-29", "too many"),
        ("a\\tb\t\t1", "c\t2024-06-30\t1", "missing"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, right: str, wrong: str, name: str) -> None:
    assert right in RIGHT
    assert any(name in line for line in told(tmp_path, RIGHT.replace(right, wrong)))


def test_rows_and_columns_are_counted(tmp_path: Path) -> None:
    first, second = RIGHT.splitlines(keepends=True)
    assert "missing" in told(tmp_path, first)[0]
    assert "too many" in told(tmp_path, first + second + second)[0]
    assert "columns" in told(tmp_path, RIGHT, [*ANSWER.names[1:], "tool_id"])[0]
