"""The rows that are read tool by tool are those that are read at once, of the public and of all instances."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from small_sets import TABLES, write_rows

from grt_batch.documents.set_rows import HISTOGRAM, METRIC, PARAM, USAGE, VALUE, SetRows, Tools
from grt_batch.pages.report_tables import ReportTables
from grt_batch.sinks.public_views import Threshold


@pytest.mark.parametrize("private", [False, True])
def test_as_read_at_once(report_set: Path, private: bool) -> None:
    tables = TABLES.values()
    everything = ReportTables(report_set, tables, Threshold(), private=private)
    with SetRows(report_set, tables, Threshold(), private=private) as rows:
        for name in (USAGE, METRIC, HISTOGRAM):
            parts = [
                rows.rows(name, instance_id, tools)
                for instance_id in rows.instances
                for tools in rows.tools(instance_id, 7)
            ]
            found = pl.concat(parts).select(TABLES[name].key)
            # Only the key, since numbers are texts here.
            expected = everything.rows(name, columns=TABLES[name].key)
            types = {"low": pl.Float64} if "low" in found.columns else {}
            assert found.cast(types).sort(TABLES[name].key).equals(expected.sort(TABLES[name].key))
            assert found.height > 1000
        for name in (PARAM, VALUE):
            parts = [rows.rows(name, "*", tools) for tools in rows.tools("*", 7)]
            expected = everything.rows(name, columns=TABLES[name].schema.names())
            assert pl.concat(parts).equals(expected)


def test_odd_tools_are_found(tmp_path: Path) -> None:
    ids = ["", "a", "a\tb", "a\\", "aé", "é/x", "b|c"]
    write_rows(tmp_path, "instance", {"instance_id": "x", "public": True})
    usage = ({"instance_id": "x", "period": "all", "tool_id": tool, "tool_version": "1", "jobs": 1} for tool in ids)
    write_rows(tmp_path, USAGE, *usage)
    with SetRows(tmp_path, TABLES.values(), Threshold()) as rows:
        for most in (1, 2, 100):
            parts = list(rows.tools("x", most))
            found = [tool for tools in parts for tool in rows.rows(USAGE, "x", tools)["tool_id"]]
            assert found == sorted(ids)
        assert not list(rows.tools("y", 1))
        assert rows.rows(METRIC, "x", Tools("", "z")).height == 0
