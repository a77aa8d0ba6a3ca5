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
"""What a part belongs to, and its jobs, rows and bytes before compression; and the part itself."""


@dataclass(frozen=True)
class Part:
    """A piece of an export: `name` says what it belongs to; parts of the same name are put one behind the other."""

    name: str
    jobs: int
    rows: int
    bytes: int
    data: builtins.bytes


class LoadParts(Protocol):
    """Reads the parts of an archive."""

    def __call__(self, names: Collection[str] | None = None) -> Sequence[Part]:
        """All of them, or those of these names, in their order."""


@dataclass(frozen=True)
class ArchiveParts:
    """The parts of an archive. `key` is that of all they are made of: the same key, the same parts."""

    instance_id: str
    key: str
    load: LoadParts


class Export(Module):
    """Passes records on instead of counting them. Its partial is what the workers have made of the records of an
    archive, in parts, which the coordinator puts behind those of the archives before.

    The law of exports: where the jobs are cut, parts of the same name say together what the part of all of them says.
    """

    opt_in = True
    cubes: ClassVar[tuple[Cube, ...]] = ()
    tables: ClassVar[tuple[Table, ...]] = ()

    def parts(self, records: Records) -> Iterator[Part]:
        """The parts of some records, each name once."""
        raise NotImplementedError

    def empty(self) -> Partial:
        """No parts."""
        return {PARTS: pl.DataFrame(schema=PART)}

    def aggregate(self, records: Records) -> Partial:
        """The parts of some jobs and all that was recorded of them."""
        rows = [(part.name, part.jobs, part.rows, part.bytes, part.data) for part in self.parts(records)]
        return {PARTS: pl.DataFrame(rows, schema=PART, orient="row")}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        """All parts, in the order of `partials`."""
        return {PARTS: pl.concat([partial[PARTS] for partial in partials])}

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Nothing: what an export publishes does not go through the memory of one rank."""
        return {}


class FolderExport(Export):
    """An export into a folder of the report set, which readers see as a whole or not at all."""

    def write(self, folder: Path, archives: Sequence[ArchiveParts], ledger: Ledger, before: Path | None) -> None:
        """Fill `folder`, which is empty. `archives` are in order, instance by instance; `before` is the folder of an
        earlier run, whose files never change and may be linked. Raises OSError, and GrtError."""
        raise NotImplementedError


class TableExport(Export):
    """An export into tables that are partitioned by instance; a part is named after its table, and holds rows in
    PostgreSQL's binary COPY format, without header and trailer and without the column instance_id."""
