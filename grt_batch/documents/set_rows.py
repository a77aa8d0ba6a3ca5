"""The rows of a report set, some tools of one instance at a time: as they are written, and those that may be seen.

The files are sorted by the instance, then by the tool, so little is read and kept at a time, however large they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from grt_batch.documents.sorted_file import SortedFile
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.modules.helpers import PERIODS
from grt_batch.pages.report_tables import ReportTables, parsed, unescaped
from grt_batch.pages.visible import PUBLIC, condition, evidence_of, visible
from grt_batch.schema.tables import Table, Type
from grt_batch.schema.tool_ids import TOOL_ID
from grt_batch.sinks.public_views import Threshold

USAGE, METRIC, HISTOGRAM, PARAM, VALUE = "tool_usage", "tool_metric", "tool_histogram", "param", "param_value"
"""The tables that documents are made of."""


PERIOD = "period"


_INSTANCES = "instance"


_TYPES = {Type.BIGINT: pl.Int64(), Type.INTEGER: pl.Int64(), Type.BOOLEAN: pl.Boolean()}
"""All other values stay the texts that they are: no digit of a number is lost."""


@dataclass(frozen=True)
class Tools:
    """Some tools that stand next to each other: the first and the last of their ids."""

    first: str
    last: str


class SetRows:
    """The rows of a report set; with `private` also those that are not public."""

    def __init__(self, folder: Path, tables: Iterable[Table], threshold: Threshold, *, private: bool = False) -> None:
        """Open nothing yet."""
        self._folder = folder
        self._tables = {table.name: table for table in tables}
        self._threshold = threshold
        self._private = private
        self._files = {name: SortedFile(folder / f"{name}.tsv") for name in (USAGE, METRIC, HISTOGRAM, PARAM, VALUE)}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Open the files. Raises OSError."""
        with ExitStack() as opened:
            for file in self._files.values():
                opened.enter_context(file)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def table(self, name: str) -> Table:
        """Return the declaration of a table."""
        return self._tables[name]

    @cached_property
    def _public(self) -> list[str]:
        """The ids of the instances that are public."""
        return self._known.filter(PUBLIC)[INSTANCE].to_list()

    @cached_property
    def instances(self) -> list[str]:
        """The instances with rows that may be seen, in order, after all together."""
        return [ALL_INSTANCES, *(self._known[INSTANCE] if self._private else self._public)]

    @cached_property
    def _known(self) -> pl.DataFrame:
        """The ids of all instances, and whether they are public."""
        tables = ReportTables(self._folder, self._tables.values(), self._threshold, private=True)
        return tables.rows(_INSTANCES, columns=(INSTANCE, PUBLIC)).sort(INSTANCE)

    def tools(self, instance_id: str, most: int) -> Iterator[Tools]:
        """Yield the tools that jobs of an instance ran, at most so many ids at a time."""
        everything = next(period for period, days in PERIODS.items() if days is None)
        lines = self._files[USAGE].lines((instance_id, everything), (instance_id, everything))
        rows = self._parsed(self._tables[USAGE], [lines], [TOOL_ID]).unique(maintain_order=True)
        ids = unescaped(rows, self._tables[USAGE])[TOOL_ID]
        for begin in range(0, len(ids), most):
            yield Tools(ids[begin], ids[min(begin + most, len(ids)) - 1])

    def rows(self, name: str, instance_id: str, tools: Tools, *where: pl.Expr) -> pl.DataFrame:
        """Return the rows of some tools that may be seen and for which the conditions hold, in the order of the key. A
        table without instances has those of all together.

        Whole numbers and truths have their types; other numbers are the decimal texts of the file.
        """
        table = self._tables[name]
        lines = self._lines(table, instance_id, tools)
        rows = self._parsed(table, lines, [column.name for column in table.columns]).lazy().filter(*where)
        if not self._private:
            rows = visible(table, self._shown_by_others(table, rows), self._public, self._threshold)
        if INSTANCE in table.key:
            rows = rows.filter(pl.col(INSTANCE) == instance_id)
        return unescaped(rows.collect(), table)

    def _shown_by_others(self, table: Table, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows of single instances, and those of all together to which a public one contributed."""
        evidence = evidence_of(table)
        if evidence is None:
            return rows
        key = [name for name in table.key if name != INSTANCE]
        shown = rows.filter(pl.col(INSTANCE).is_in(self._public), condition(evidence)).select(key).unique()
        of_all = pl.col(INSTANCE) == ALL_INSTANCES
        together = rows.filter(of_all).join(shown, on=key, how="semi", nulls_equal=True, maintain_order="left")
        return pl.concat([together, rows.filter(~of_all)])

    def _parsed(self, table: Table, blocks: Iterable[bytes], columns: Collection[str]) -> pl.DataFrame:
        lines = (line for block in blocks for line in block.splitlines())
        return parsed(table, lines, [column.name for column in table.columns], columns, _TYPES)

    def _lines(self, table: Table, instance_id: str, tools: Tools) -> Iterator[bytes]:
        """Yield the lines of some tools, and those that decide whether they may be seen: the rows of all instances
        together rest on those of public ones."""
        instances = self.instances if instance_id == ALL_INSTANCES and not self._private else [instance_id]
        for instance in instances if INSTANCE in table.key else [""]:
            for period in sorted(PERIODS) if PERIOD in table.key else [""]:
                before = tuple(name for name in (instance, period) if name)
                yield self._files[table.name].lines((*before, tools.first), (*before, tools.last))
