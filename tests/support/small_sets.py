"""Report sets of a few rows, written as a run writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from grt_batch.core.config import Config
from grt_batch.pipeline.gate import known_tables
from grt_batch.schema.tables import as_report, render

TABLES = {table.name: table for table in known_tables(Config())}


def write_rows(folder: Path, name: str, *rows: Mapping[str, Any]) -> None:
    """Write the file of a table; columns that a row does not name are null."""
    table = TABLES[name]
    frame = table.frame(pl.DataFrame(rows, schema=table.schema, orient="row"))
    (folder / f"{name}.tsv").write_bytes(b"".join(as_report(table, render(table, frame))))
