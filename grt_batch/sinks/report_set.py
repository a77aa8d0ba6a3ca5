"""The TSV reports: a folder for each as-of date, and `latest`, which change at one stroke.

`<reports>/<as-of>` is a link to a folder below `<reports>/.sets`, `<reports>/latest` a link to `<reports>/<as-of>`.
A new set is written beside the old one; a renamed link publishes it. The reject files are a set of their own, to which
`<reports>/rejects` is the link: they belong to the archives, not to a date.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from grt_batch.core.errors import CannotWrite
from grt_batch.core.files import write_synced
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, FolderExport
from grt_batch.schema.tables import REJECT_COLUMNS, Table, as_report

SETS = ".sets"


LATEST = "latest"


SUMMARY = "run.json"


REJECTS = "rejects"


_REJECTED_FORMULA = re.compile(rb"(?m)^((?:[^\t\n]*\t){4})(?=[=+@-])")
"""The text of a rejected line stands in the last of five columns."""


def published_fingerprints(reports: Path, as_of: date) -> dict[str, str]:
    """What the tables of an as-of date were made of that are there: digests, by the tables' names."""
    folder = reports / as_of.isoformat()
    try:
        told = orjson.loads((folder / SUMMARY).read_bytes())["fingerprints"]
        return {name: content for name, content in told.items() if (folder / f"{name}.tsv").is_file()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Whatever stands there, it is not what a run wrote: every table is written anew.
        return {}


class ReportSet:
    """One set of reports: written inside of a `with` block, seen by nobody before `publish`, gone without it."""

    def __init__(self, reports: Path, as_of: date, run_id: str, exports: Iterable[str] = ()) -> None:
        """`exports` are the folders that are written anew."""
        self.reports = reports
        self._exports = frozenset(exports)
        self.name = as_of.isoformat()
        self.folder = reports / SETS / f"{self.name}.{run_id}"
        self._rejects = reports / SETS / f"{REJECTS}.{run_id}"
        self._published = False
        self._links: dict[Path, str] = {}

    def __enter__(self) -> ReportSet:
        try:
            # What a killed run left behind; the lock of the work folder says that nobody writes here now.
            self._drop_sets(keep=())
            # Better now than after the database has shown the new tables.
            for link in (self.reports / name for name in (self.name, LATEST, REJECTS)):
                if link.exists() and not link.is_symlink():
                    raise CannotWrite(folder=link, what="it is no link of this program")
            self.folder.mkdir(parents=True)
            self._rejects.mkdir()
            self._carry_over()
        except OSError as error:
            raise CannotWrite(folder=self.reports, what=error.strerror or error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._published:
            for folder in (self.folder, self._rejects):
                shutil.rmtree(folder, ignore_errors=True)
            for link in self._links:
                with suppress(OSError):
                    _unseen(link).unlink(missing_ok=True)

    def write(self, table: Table, text: Iterable[bytes]) -> None:
        """Write one table, from what `render` gives of its rows."""
        self._write(f"{table.name}.tsv", as_report(table, text))

    def keep(self, table: Table) -> None:
        """Leave a table as the set before has it."""
        if not (self.folder / f"{table.name}.tsv").is_file():
            raise CannotWrite(folder=self.folder, what=f"{table.name}.tsv was taken away by somebody else")

    def export(self, export: FolderExport, parts: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Write the folder of an export; files that an earlier run has written may be linked."""
        target = self.folder / export.name
        earlier = (self.reports / name / export.name for name in (self.name, LATEST))
        try:
            target.mkdir()
            export.write(target, parts, ledger, next((folder for folder in earlier if folder.is_dir()), None))
        except OSError as error:
            raise CannotWrite(folder=target, what=error.strerror or str(error)) from None

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write run.json."""
        self._write(SUMMARY, [orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)])

    def write_rejects(self, instance_id: str, archive: str, content: bytes, *, defuse: bool = False) -> None:
        """Write the reject file of an archive, if it has any rejects; to `defuse` as in `defused`."""
        if not content:
            return
        if defuse:
            content = _REJECTED_FORMULA.sub(rb"\1'", content)
        lines = b"".join(f"{archive}\t".encode() + line + b"\n" for line in content.removesuffix(b"\n").split(b"\n"))
        header = "\t".join(("archive", *REJECT_COLUMNS)).encode() + b"\n"
        try:
            (self._rejects / instance_id).mkdir(exist_ok=True)
            (self._rejects / instance_id / f"{archive}.tsv").write_bytes(header + lines)
        except OSError as error:
            raise CannotWrite(folder=self._rejects, what=error.strerror or error) from None

    def ready(self) -> None:
        """Make the links that `publish` puts in place: that needs no room on the disk."""
        links = {
            self.reports / self.name: f"{SETS}/{self.folder.name}",
            self.reports / REJECTS: f"{SETS}/{self._rejects.name}",
        }
        try:
            latest = self.reports / LATEST
            if not latest.exists() or {file.name for file in latest.glob("*.tsv")} <= {
                file.name for file in self.folder.glob("*.tsv")
            }:
                links[latest] = self.name
            self._links = links
            for link, target in links.items():
                _unseen(link).unlink(missing_ok=True)
                _unseen(link).symlink_to(target)
        except OSError as error:
            raise CannotWrite(folder=self.reports, what=error.strerror or error) from None

    def publish(self) -> Path:
        """Show this set to readers, and return its folder as they see it."""
        if not self._links:
            self.ready()
        try:
            before = self._target(self.reports / self.name), self._target(self.reports / REJECTS)
            for link in self._links:
                _unseen(link).replace(link)
                self._published = True
            # Who opened the set that was just replaced may still read it, until the next run.
            self._drop_sets(keep=before)
        except OSError as error:
            raise CannotWrite(folder=self.reports, what=error.strerror or error) from None
        return self.reports / self.name

    def _write(self, name: str, content: Iterable[bytes]) -> None:
        try:
            # What was carried over is a file of the set before as well: it is replaced, never written to.
            (self.folder / name).unlink(missing_ok=True)
            write_synced(self.folder / name, content)
        except OSError as error:
            raise CannotWrite(folder=self.folder, what=error.strerror or error) from None

    def _carry_over(self) -> None:
        """Keep the tables of modules that do not run today, where this as-of date has them."""
        before = self.reports / self.name
        if before.is_dir():
            for file in before.glob("*.tsv"):
                (self.folder / file.name).hardlink_to(file)
            for folder in (entry for entry in before.iterdir() if entry.is_dir() and entry.name not in self._exports):
                shutil.copytree(folder, self.folder / folder.name, copy_function=os.link)

    def _drop_sets(self, keep: tuple[str | None, ...]) -> None:
        links = (self._target(entry) for entry in self.reports.iterdir()) if self.reports.is_dir() else ()
        wanted = {*links, *keep}
        for folder in (self.reports / SETS).glob("*"):
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _target(link: Path) -> str | None:
        """The set that a link leads to."""
        return link.readlink().name if link.is_symlink() else None


def _unseen(link: Path) -> Path:
    """The new link that takes the place of a `link` at one stroke."""
    return link.with_name(f".{link.name}.new")
