"""The TSV file of a table, put together from parts: new text, and text of parts that the set before has already.

A report set says in `.parts.json` where in its files each part stands. So what did not change is copied from file to
file, and need not be rendered. Text whose checksum is another one was changed by somebody else: it is rendered again.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from zlib import crc32

import msgspec

from grt_batch.core.files import append_range, link_or_copy, sync_file
from grt_batch.schema.escapes import unescape
from grt_batch.schema.parts import Group
from grt_batch.schema.tables import Table, as_report, with_empty_nulls
from grt_batch.sinks.sink import PartText, Piece, TableText

PARTS = ".parts.json"


_READ_BYTES = 1 << 18


@dataclass(frozen=True, order=True)
class Extent:
    """Where a piece of a part stands in a file: the part's content, and the offset, bytes and CRC-32 of the text.

    The pieces of a file are in the order of their instances, and of the `place` of their years.
    """

    instance_id: str
    place: int
    content: str
    offset: int
    bytes: int
    checksum: int


@dataclass(frozen=True)
class ReportedGroup:
    """The parts of a group of instances, without their text, and the fingerprint of all its rows."""

    fingerprint: str
    parts: tuple[PartText, ...]


@dataclass(frozen=True)
class ReportedTable:
    """What the file of a table holds."""

    groups: dict[str, ReportedGroup]
    extents: tuple[Extent, ...]

    @property
    def bytes(self) -> int:
        """Return the size of a file that nobody changed; 0 for one without rows, where it is not known."""
        return self.extents[-1].offset + self.extents[-1].bytes if self.extents else 0

    @property
    def contents(self) -> set[str]:
        """Return the contents of all parts."""
        return {part.content for group in self.groups.values() for part in group.parts}

    def has(self, group: Group, fingerprint: str, contents: Container[str]) -> bool:
        """Return whether a group has this fingerprint, and all of its parts are among these contents."""
        found = self.groups.get(group.name)
        if found is None or found.fingerprint != fingerprint:
            return False
        return all(part.content in contents for part in found.parts)

    def intact(self, file: Path) -> set[str]:
        """Return the contents of the parts whose text stands in the file unchanged."""
        if not self.bytes:
            return set()
        with file.open("rb") as text:
            odd = {extent.content for extent in self.extents if _checksum(text, extent) != extent.checksum}
        return {extent.content for extent in self.extents} - odd


def _checksum(text: IO[bytes], extent: Extent) -> int:
    checksum, left = 0, extent.bytes
    text.seek(extent.offset)
    while left and (part := text.read(min(left, _READ_BYTES))):
        checksum = crc32(part, checksum)
        left -= len(part)
    return checksum


def rows_of(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield these columns of a report as texts, empty where they are null. There are no rows where it cannot be read or
    lacks a column, and none for a damaged line."""
    with suppress(OSError), file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        titles = next(lines, "").rstrip("\n").split("\t")
        places = [titles.index(name) for name in columns] if set(columns) <= set(titles) else []
        for line in lines if places else ():
            cells = line.rstrip("\n").split("\t")
            if len(cells) == len(titles):
                yield tuple(unescape(cells[place]) for place in places)


def load_parts(folder: Path) -> dict[str, ReportedTable]:
    """Return what the files of a report set hold, by the tables' names, where they have the size that they had.

    No table is known of a set that no run wrote as it is.
    """
    try:
        recorded = msgspec.json.decode((folder / PARTS).read_bytes(), type=dict[str, ReportedTable])
        sizes = {name: (folder / f"{name}.tsv").stat().st_size for name in recorded if _file(folder, name).is_file()}
    except (OSError, msgspec.MsgspecError):
        return {}
    return {name: recorded[name] for name, size in sizes.items() if recorded[name].bytes in (0, size)}


def pack_parts(tables: Mapping[str, ReportedTable]) -> bytes:
    """Return the content of `.parts.json`."""
    return msgspec.json.encode(tables, order="deterministic")


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}.tsv"


class ReportFile:
    """The file of a table in the making. New text goes into a file beside it, in the order in which it comes.

    `before` is the file of the set before, where there is one, and `known` what it holds.
    """

    def __init__(self, table: Table, folder: Path, before: Path | None, known: ReportedTable | None) -> None:
        """Nothing is written yet."""
        self._header = b"".join(as_report(table, ()))
        self._path, self._beside = _file(folder, table.name), folder / f".{table.name}.new"
        self._before, self._known = before, known
        self._groups: dict[str, ReportedGroup] = {}
        self._sources: dict[Extent, Path] = {}

    def write(self, text: TableText, fingerprint: str) -> None:
        """Write the parts that have text, and note the others. Raises OSError."""
        with self._beside.open("ab") as file:
            if not file.tell():
                file.write(self._header)
            for part in text.parts:
                if part.pieces is None:
                    self._keep(part.content)
                for piece in part.pieces or ():
                    self._append(file, piece, part)
        parts = tuple(replace(part, pieces=None) for part in text.parts)
        self._groups[text.group.name] = ReportedGroup(fingerprint, parts)

    def _keep(self, content: str) -> None:
        extents = [extent for extent in (self._known.extents if self._known else ()) if extent.content == content]
        if not extents or self._before is None:
            raise OSError(f"another program changed {self._path.name}")
        self._sources |= dict.fromkeys(extents, self._before)

    def _append(self, file: IO[bytes], piece: Piece, part: PartText) -> None:
        offset, checksum = file.tell(), 0
        for text in piece.report:
            shown = with_empty_nulls(text)
            checksum = crc32(shown, checksum)
            file.write(shown)
        place = part.years.place if part.years else 0
        self._sources[Extent(piece.instance_id, place, part.content, offset, file.tell() - offset, checksum)] = (
            self._beside
        )

    def finish(self) -> ReportedTable:
        """Put the file together, and return what it holds. Raises OSError."""
        extents = sorted(self._sources)
        placed, offset = [], len(self._header)
        for extent in extents:
            placed.append(replace(extent, offset=offset))
            offset += extent.bytes
        sources = set(self._sources.values())
        if placed == extents and sources <= {self._beside}:
            self._beside.replace(self._path)
            sync_file(self._path)
        elif placed == extents and self._before and sources == {self._before} and self._before.stat().st_size == offset:
            self._beside.unlink()
            link_or_copy(self._before, self._path)
        else:
            self._copy(extents)
            self._beside.unlink()
        return ReportedTable(self._groups, tuple(placed))

    def _copy(self, extents: Sequence[Extent]) -> None:
        """Copy the pieces from file to file."""
        with ExitStack() as files:
            target = files.enter_context(self._path.open("wb"))
            target.write(self._header)
            opened = {path: files.enter_context(path.open("rb")) for path in {*self._sources.values()}}
            for extent in extents:
                source = opened[self._sources[extent]]
                append_range(target, source, extent.offset, extent.offset + extent.bytes)
        sync_file(self._path)
