"""Differences as text, for people and for programs."""

from __future__ import annotations

import json

import polars as pl
import pytest

from grt_batch.differences.report_sets import Differences
from grt_batch.differences.rows import ROWS
from grt_batch.differences.writing import as_json, as_table, as_tsv, summary

BWA = "toolshed.g2.bx.psu.edu/repos/devteam/bwa/bwa_mem"
ROWS_FOUND = [
    ("tool_usage", ["*", BWA], "changed", "jobs", "10", "5", 3, 0.5, 0.123456),
    ("param_value", ["", "x" * 100], "came", "", "", "", 0, 1.0, 0.01),
    ("param_value", ["a\\tb", "=1"], "went", "", "", "", 0, 1.0, 0.001),
]
KEYS = {"tool_usage": ("instance_id", "tool_id"), "param_value": ("name", "value")}
NONE = Differences(ROWS.to_frame(), KEYS)


@pytest.fixture
def found() -> Differences:
    return Differences(pl.DataFrame(ROWS_FOUND, schema=ROWS, orient="row"), KEYS)


def test_people_see_the_worst_on_a_screen(found: Differences) -> None:
    titles, rows = as_table(found, "row")
    assert titles == ("table", "row", "what", "column", "before", "after", "by")
    assert rows[0] == ["tool_usage", "* devteam/bwa_mem", "changed", "jobs (+2)", "10", "5", "50 %"]
    assert rows[1] == ["param_value", f"'' {'x' * 76}…", "came", "", "", "", ""]
    assert summary(found, "row") == "3 rows of 2 tables differ (1 came, 1 went, 1 changed)"
    many = Differences(pl.concat([found.rows] * 10), KEYS)
    assert len(as_table(many, "row")[1]) == 20
    assert summary(many, "row") == "30 rows of 2 tables differ (10 came, 10 went, 10 changed); the worst 20 are shown"
    assert summary(many, "table") == "30 rows of 2 tables differ (10 came, 10 went, 10 changed)"
    assert summary(Differences(found.rows[:1], KEYS), "row") == "1 row of 1 table differs (0 came, 0 went, 1 changed)"


def test_tables_are_counted(found: Differences) -> None:
    assert as_table(found, "table") == (
        ("table", "came", "went", "changed"),
        [["tool_usage", "0", "0", "1"], ["param_value", "1", "1", "0"]],
    )
    assert b"".join(as_tsv(found, "table")) == (
        b"table\tcame\twent\tchanged\ntool_usage\t0\t0\t1\nparam_value\t1\t1\t0\n"
    )
    assert json.loads(as_json(found, "table"))[1] == {"table": "param_value", "came": 1, "went": 1, "changed": 0}


def test_programs_get_all(found: Differences) -> None:
    lines = b"".join(as_tsv(found)).decode().splitlines()
    assert lines[0] == "\t".join(ROWS.names())
    assert lines[1] == f"tool_usage\tinstance_id=*, tool_id={BWA}\tchanged\tjobs\t10\t5\t3\t0.5\t0.1235"
    assert lines[3] == "param_value\tname=a\\tb, value==1\twent\t\t\t\t0\t1\t0.001"
    first, *others = json.loads(as_json(found, "row"))
    assert first == {
        "table": "tool_usage",
        "key": {"instance_id": "*", "tool_id": BWA},
        "what": "changed",
        "column": "jobs",
        "before": "10",
        "after": "5",
        "columns": 3,
        "ratio": 0.5,
        "share": 0.123456,
    }
    assert [row["key"]["name"] for row in others] == ["", "a\\tb"]


def test_no_differences_are_no_rows() -> None:
    assert summary(NONE, "row") == "no row differs"
    assert as_table(NONE, "row")[1] == as_table(NONE, "table")[1] == []
    assert json.loads(as_json(NONE, "row")) == json.loads(as_json(NONE, "table")) == []
    assert b"".join(as_tsv(NONE)).count(b"\n") == 1
