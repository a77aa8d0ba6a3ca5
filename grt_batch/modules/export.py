"""The contract of an export: a module that passes records on instead of counting them."""

from __future__ import annotations

import builtins
import struct
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import orjson
import polars as pl
from isal import isal_zlib

from grt_batch.aggregate.measures import Cube
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Module, Partial
from grt_batch.schema.records import Records
from grt_batch.schema.tables import Table

_SIZE = struct.Struct("<I")


_LEVEL = 1


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
    """Passes records on instead of counting them. Its partial is finished work, a list of parts, which the coordinator
    appends to those of earlier archives.

    The law of exports: wherever the jobs are cut, parts with the same name hold together what one part of all jobs
    would hold.
    """

    opt_in = True
    cubes: ClassVar[tuple[Cube, ...]] = ()
    tables: ClassVar[tuple[Table, ...]] = ()

    def parts(self, records: Records) -> Iterator[Part]:
        """Yield the parts of some records, each name once."""
        raise NotImplementedError

    def empty(self) -> Any:
        """Return no parts."""
        return []

    def merge(self, parts: Sequence[Any]) -> Any:
        """Return the parts of all, lists of `Part`, in their order."""
        return [part for some in parts for part in some]

    def pack(self, counted: Any) -> builtins.bytes:
        """Return parts as bytes, for the store."""
        packed = [builtins.bytes(isal_zlib.compress(part.data, _LEVEL)) for part in counted]
        head = orjson.dumps(
            [(part.name, part.jobs, part.rows, part.bytes, len(raw)) for part, raw in zip(counted, packed, strict=True)]
        )
        return b"".join([_SIZE.pack(len(head)), head, *packed])

    def unpack(self, raw: builtins.bytes, cubes: Container[str] | None = None) -> Any:
        """Return the parts that `pack` packed, or only those with the names `cubes`."""
        view = memoryview(raw)
        (size,) = _SIZE.unpack_from(view)
        at = _SIZE.size + size
        parts = []
        for name, jobs, rows, plain, length in orjson.loads(view[_SIZE.size : at]):
            if cubes is None or name in cubes:
                parts.append(
                    Part(name, jobs, rows, plain, builtins.bytes(isal_zlib.decompress(view[at : at + length])))
                )
            at += length
        return parts

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return nothing: what an export publishes would not fit in the memory of one rank."""
        return {}


class FolderExport(Export):
    """An export to a folder of the report set, which appears as a whole."""

    def write(self, folder: Path, archives: Sequence[ArchiveParts], ledger: Ledger, before: Path | None) -> None:
        """Fill the empty `folder`. `archives` are in order, instance by instance; `before` is the folder of an earlier
        run, whose files never change and may be linked. Raises OSError and GrtError."""
        raise NotImplementedError

    def pass_on(self, folder: Path, ledger: Ledger) -> None:
        """Copy the filled `folder` to where others take it from, when nothing but the publication is left of the run.
        Raises GrtError, and then nothing is published."""
        return


class TableExport(Export):
    """An export to tables that are partitioned by instance. A part has the name of its table and holds rows in
    PostgreSQL's binary COPY format, without header, trailer and the column instance_id."""
