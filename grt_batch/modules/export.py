"""The contract of an export: a module that passes records on instead of counting them."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Module, Partial
from grt_batch.schema.records import Records
from grt_batch.schema.tables import Table

PARTS = "parts"
"""The one frame of an export's partial."""


PART = pl.Schema(
    {"name": pl.String(), "jobs": pl.Int64(), "rows": pl.Int64(), "bytes": pl.Int64(), "data": pl.Binary()}
)
"""The name of a part, its jobs, rows and bytes before compression, and its data."""


@dataclass(frozen=True)
class Part:
    """A piece of an export; parts with the same `name` are concatenated. `bytes` is its size before compression."""

    name: str
    jobs: int
    rows: int
    bytes: int
    data: builtins.bytes


class LoadParts(Protocol):
    """Reads the parts of an archive."""

    def __call__(self, names: Collection[str] | None = None) -> Sequence[Part]:
        """Return all parts, or those with these names, in order."""


@dataclass(frozen=True)
class ArchiveParts:
    """The parts of an archive. Archives with the same `key` have the same parts."""

    instance_id: str
    key: str
    load: LoadParts


class Export(Module):
    """Passes records on instead of counting them. Its partial is finished work, in parts, which the coordinator appends
    to those of earlier archives.

    The law of exports: wherever the jobs are cut, parts with the same name hold together what one part of all jobs
    would hold.
    """

    opt_in = True
    cubes: ClassVar[tuple[Cube, ...]] = ()
    tables: ClassVar[tuple[Table, ...]] = ()

    def parts(self, records: Records) -> Iterator[Part]:
        """Yield the parts of some records, each name once."""
        raise NotImplementedError

    def empty(self) -> Partial:
        """Return no parts."""
        return {PARTS: pl.DataFrame(schema=PART)}

    def aggregate(self, records: Records) -> Partial:
        """Return the parts of some jobs with all their records."""
        rows = [(part.name, part.jobs, part.rows, part.bytes, part.data) for part in self.parts(records)]
        return {PARTS: pl.DataFrame(rows, schema=PART, orient="row")}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        """Return all parts, in the order of `partials`."""
        return {PARTS: pl.concat([partial[PARTS] for partial in partials])}

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return nothing: what an export publishes would not fit in the memory of one rank."""
        return {}


class FolderExport(Export):
    """An export to a folder of the report set, which appears as a whole."""

    def write(self, folder: Path, archives: Sequence[ArchiveParts], ledger: Ledger, before: Path | None) -> None:
        """Fill the empty `folder`. `archives` are in order, instance by instance; `before` is the folder of an earlier
        run, whose files never change and may be linked. Raises OSError and GrtError."""
        raise NotImplementedError


class TableExport(Export):
    """An export to tables that are partitioned by instance. A part has the name of its table and holds rows in
    PostgreSQL's binary COPY format, without header, trailer and the column instance_id."""
