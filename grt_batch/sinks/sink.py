"""The protocol of a target that a run publishes to."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, Export
from grt_batch.schema.parts import WHOLE, Group, Years
from grt_batch.schema.tables import Table


@dataclass(frozen=True)
class Piece:
    """Rows that are next to each other in a table, as text: for the database, and for the report. They are those of an
    instance in a part of its group; for a table that is not kept apart all rows, and the instance is empty."""

    instance_id: str
    copy: tuple[builtins.bytes, ...]
    report: tuple[builtins.bytes, ...]


@dataclass(frozen=True)
class PartText:
    """A part of a table: rows of a group of instances and of some years. Parts of a table with the same `content` have
    the same rows; `pieces` are None where every target has them."""

    content: str
    years: Years | None = None
    pieces: tuple[Piece, ...] | None = None
    group: Group = WHOLE

    @property
    def copy(self) -> list[builtins.bytes]:
        """Return the text for the database."""
        return [text for piece in self.pieces or () for text in piece.copy]


@dataclass(frozen=True)
class TableText:
    """The rows of a group of instances in a table, part by part. All rows of a table that are made together are of the
    group WHOLE, even where its parts are not."""

    table: str
    group: Group
    parts: tuple[PartText, ...]

    @property
    def bytes(self) -> int:
        """Return the size of the text for the database."""
        return sum(len(text) for part in self.parts for text in part.copy)


class Sink(Protocol):
    """One target of a publication: a database, a set of reports.

    A `with` block is the only road to publication. Inside it a run writes tables, exports, reject files and the
    summary; `prepare` then does everything that may fail, and `publish` shows it all to readers at once. A block that
    ends without `publish` changes nothing. Each step raises GrtError where it fails.
    """

    def __enter__(self) -> Self:
        """Check that the target can be written."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not published."""

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        """Write the rows of a group of instances in a table, and keep the published rows of parts without text. Other
        groups of the table go, unless the run writes or keeps them too. The target may still be at it on return: see
        `wait`."""

    def write_export(self, export: Export, archives: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Write an export, if it belongs into this target."""
        return

    def write_rejects(self, instance_id: str, archive: str, content: bytes) -> None:
        """Write the reject file of an archive, if the target has such files."""
        return

    def wait(self) -> None:
        """Wait until everything is written."""
        return

    def prepare(self, run: Mapping[str, Any]) -> None:
        """Do everything that can fail before `publish`. `run` is the run's row of the table of runs."""

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the run's summary, if the target has one."""
        return

    def publish(self) -> None:
        """Show everything to readers at once."""
