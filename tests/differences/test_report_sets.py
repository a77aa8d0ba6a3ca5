"""Two report sets: where they are, and the rows in which they differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.core.errors import NoReports
from grt_batch.differences.report_sets import compare_sets, find_set, unknown_tables
from grt_batch.schema.tables import Column, Table, Type

ONE, TWO, SAME = (
    Table(name, name, ("key",), (Column("key", Type.TEXT, "key"), Column("jobs", Type.BIGINT, "jobs")))
    for name in ("one", "two", "same")
)


def write(folder: Path, **tables: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in tables.items():
        (folder / f"{name}.tsv").write_text(f"key\tjobs\n{text}")
    return folder


def test_the_worst_come_first(tmp_path: Path) -> None:
    """Those rows of which most of their table differs."""
    before = write(tmp_path / "a", one="x\t10\ny\t90\n", two="p\t1\nq\t1\n", same="s\t1\n")
    after = write(tmp_path / "b", one="x\t5\ny\t81\nz\t0\n", two="p\t1\n", same="s\t1\n")
    found = compare_sets(before, after, [TWO, ONE, SAME])
    rows = [(row["table"], row["key"]["key"], row["what"]) for row in found.records()]
    assert rows == [
        ("two", "q", "went"),
        ("one", "y", "changed"),
        ("one", "x", "changed"),
        ("one", "z", "came"),
    ]
    assert [row["key"]["key"] for row in found.records(1)] == ["q"]
    assert found.by_table() == [
        ("two", {"came": 0, "went": 1, "changed": 0}),
        ("one", {"came": 1, "went": 0, "changed": 2}),
    ]
    assert [row["key"]["key"] for row in compare_sets(before, after, [ONE], 0.1).records()] == ["x", "z"]


def test_a_table_may_come_or_go(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a", one="x\t1\n"), write(tmp_path / "b", two="p\t1\n", three="")
    found = compare_sets(before, after, [ONE, TWO, SAME])
    assert [(row["table"], row["what"]) for row in found.records()] == [("one", "went"), ("two", "came")]
    assert unknown_tables((before, after), [ONE, TWO]) == ["three"]


def test_sets_without_differences_have_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", one="x\t1\n")
    found = compare_sets(folder, folder, [ONE])
    assert (found.rows.height, found.by_table(), list(found.records())) == (0, [], [])


def test_sets_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reports, elsewhere = tmp_path / "reports", write(tmp_path / "elsewhere", one="")
    days = [write(reports / name, one="") for name in ("2024-06-30", "held/2024-06-29", "held/2024-07-01")]
    assert find_set(reports, "2024-06-30") == days[0]
    assert find_set(reports, "held/2024-06-29") == days[1]
    assert find_set(reports, "held") == days[2]
    assert find_set(reports, "elsewhere") == Path("elsewhere")
    assert find_set(reports, str(elsewhere)) == elsewhere
    (reports / "empty").mkdir()
    for name in ("2024-01-01", "empty", "latest"):
        with pytest.raises(NoReports, match=name):
            find_set(reports, name)
    with pytest.raises(NoReports):
        find_set(tmp_path, "held")
