"""Two report sets: where they are, and the rows in which they differ."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from grt_batch.core.errors import NoReports
from grt_batch.differences.rows import CAME, CHANGED, ROWS, WENT, differing_rows
from grt_batch.schema.tables import Table
from grt_batch.sinks.report_set import HELD

COUNTS = (CAME, WENT, CHANGED)


DIFFERENCES = "differences.tsv"
"""The file of a held set with all rows in which it differs from the published one."""


@dataclass(frozen=True)
class Differences:
    """The `rows` in which two sets differ, as ROWS and the worst first: those of which most of their table differs.
    `keys` names the columns of the tables' keys."""

    rows: pl.DataFrame
    keys: dict[str, tuple[str, ...]]

    def by_table(self) -> list[tuple[str, dict[str, int]]]:
        """Return the tables that differ, and how many rows came, went and changed, the worst table first."""
        counts = self.rows.select("table", "what").to_struct("row").value_counts().unnest("row")
        worst_first = self.rows["table"].unique(maintain_order=True)
        found: dict[str, dict[str, int]] = {name: dict.fromkeys(COUNTS, 0) for name in worst_first}
        for table, what, count in counts.iter_rows():
            found[table][what] = count
        return list(found.items())

    def records(self, most: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows, or the `most` worst of them, as ROWS; the key by the names of its columns."""
        for row in self.rows.head(self.rows.height if most is None else most).iter_rows(named=True):
            yield {**row, "key": dict(zip(self.keys[row["table"]], row["key"], strict=True))}


def find_set(reports: Path, name: str) -> Path:
    """Return the folder of a report set by its name below `reports` (a date, latest, held/<date>, or held for the last
    one), or by its path. Raises NoReports."""
    if name == HELD:
        found = sorted((reports / HELD).glob("*"))[-1:]
    else:
        found = [folder for folder in (reports / name, Path(name)) if any(folder.glob("*.tsv"))]
    if not found:
        raise NoReports(name=name, reports=reports)
    return found[0]


def compare_sets(before: Path, after: Path, tables: Iterable[Table], ratio: float = 0.0) -> Differences:
    """Return the rows of these tables in which two report sets differ, by more than `ratio` where numbers changed. A
    table that a set does not have has no rows in it.

    Raises BadReports.
    """
    keys, frames = {}, [ROWS.to_frame()]
    for table in sorted(tables, key=lambda table: table.name):
        keys[table.name] = table.key
        places = (folder / f"{table.name}.tsv" for folder in (before, after))
        old, new = (file if file.is_file() else None for file in places)
        # Most tables of two sets are the same file.
        if old != new and not (old and new and filecmp.cmp(old, new, shallow=False)):
            frames.append(differing_rows(table, old, new, ratio))
    worst = (pl.col("ratio") * pl.col("share")).round_sig_figs(6)
    return Differences(pl.concat(frames).sort(worst, descending=True, maintain_order=True), keys)


def unknown_tables(folders: Iterable[Path], tables: Iterable[Table]) -> list[str]:
    """Return the tables of report sets that are none of these."""
    files = {file.name for folder in folders for file in folder.glob("*.tsv")} - {DIFFERENCES}
    return sorted({Path(name).stem for name in files} - {table.name for table in tables})
