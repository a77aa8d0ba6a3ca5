"""What is read from TSV files is what was written there."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from grt_batch.pages.report_tables import ReportTables
from grt_batch.schema.tables import Column, Table, Type, as_report, render
from grt_batch.schema.visibility import ShownToAll
from grt_batch.sinks.public_views import Threshold

TEXTS = Table(
    "texts",
    "a table",
    ("instance_id", "text"),
    (
        Column("instance_id", Type.TEXT, ""),
        Column("text", Type.TEXT, ""),
        Column("maybe", Type.TEXT, ""),
        Column("number", Type.DOUBLE, ""),
        Column("sum", Type.NUMERIC, "", scale=2),
        Column("flag", Type.BOOLEAN, ""),
    ),
    visibility=ShownToAll(),
)
ROWS = [
    ("*", "", None, None, None, None),
    ("*", "a\tb\nc\rd\\e", "\\t", 0.25, 12345, True),
    ("*", "\\\\n", 'say "no"', 1e-7, -1, False),
    ("one", "é", " ", 1e22, 10**20, True),
]


def read(folder: Path, **how: bool) -> list[tuple[object, ...]]:
    tables = ReportTables(folder, [TEXTS], Threshold())
    return tables.rows("texts", columns=[column.name for column in TEXTS.columns], **how).rows()


def test_texts_and_numbers_come_back(tmp_path: Path) -> None:
    frame = TEXTS.frame(pl.DataFrame(ROWS, schema=TEXTS.schema, orient="row"))
    (tmp_path / "texts.tsv").write_bytes(b"".join(as_report(TEXTS, render(TEXTS, frame))))
    assert read(tmp_path) == [(*row[:4], None if row[4] is None else row[4] / 100, row[5]) for row in frame.rows()]
    assert [row[0] for row in read(tmp_path, of_all=True)] == ["*"] * 3
    assert [row[0] for row in read(tmp_path, of_all=False)] == ["one"]


def test_a_table_without_a_file_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path) == []
