"""The sink for TSV reports: a folder for each as-of date, and the link `latest`; both change atomically.

`<reports>/<as-of>` is a link to a folder below `<reports>/.sets`, `<reports>/latest` a link to `<reports>/<as-of>`.
A new set is written beside the old one; renaming a link publishes it. The reject files are a set of their own, with the
link `<reports>/rejects`: they belong to the archives, not to a date. What the gate holds back becomes the folder
`<reports>/held/<as-of>`, with its reject files in it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from grt_batch.core.errors import CannotWrite
from grt_batch.core.files import link_or_copy, sync_file, write_synced
from grt_batch.core.timing import Clock, Stage
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, Export, FolderExport
from grt_batch.schema.tables import REJECT_COLUMNS, Table
from grt_batch.sinks.made_folder import MakeFolder, linked
from grt_batch.sinks.report_file import PARTS, ReportedTable, ReportFile, load_parts, pack_parts
from grt_batch.sinks.sink import Sink, TableText

SETS = ".sets"


LATEST = "latest"


SUMMARY = "run.json"


REJECTS = "rejects"


HELD = "held"


PAGES, DOCUMENTS = "html", "documents"
"""The folders of report pages and of documents."""


MADE = (PAGES, DOCUMENTS)
"""The folders that are made of the tables of their set: no set takes over those of another."""


_REJECTED_FORMULA = re.compile(rb"(?m)^((?:[^\t\n]*\t){4})(?=[=+@-])")
"""Matches before the text of a rejected line, its fifth column, where that text begins like a formula."""


ReportedFile = tuple[Path, ReportedTable]
"""The file of a table, and what it holds."""


def reported_tables(reports: Path, as_of: date, before: Path | None = None) -> dict[str, ReportedFile]:
    """Return the files of tables that a run for an as-of date can take parts from, by the tables' names: those of the
    set `before`, by default those of that date, or else of the newest set."""
    found: dict[str, ReportedFile] = {}
    for folder in [before] if before else [reports / as_of.isoformat(), reports / LATEST]:
        for name, held in load_parts(folder).items():
            found.setdefault(name, (folder / f"{name}.tsv", held))
    return found


def sweep(reports: Path) -> None:
    """Remove the sets that no link leads to: what a killed run left behind, and what was replaced before the last one,
    since a reader may have opened that. Nobody writes one now. Raises CannotWrite."""
    try:
        links = [*reports.iterdir()] if reports.is_dir() else []
        wanted = {target_of(link) for link in links}
        for folder in (reports / SETS).glob("*"):
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise CannotWrite(folder=reports, what=error.strerror or error) from None


def target_of(link: Path) -> str | None:
    """Return the name of the set that a link leads to, None for anything else."""
    return link.readlink().name if link.is_symlink() else None


class ReportSet(Sink):
    """The publication of a run as a set of TSV files."""

    def __init__(
        self,
        reports: Path,
        as_of: date,
        run_id: str,
        exports: Iterable[str] = (),
        *,
        defuse: bool = False,
        clock: Clock | None = None,
        before: Path | None = None,
    ) -> None:
        """`exports` names the folders that the run writes; other folders of the same date are carried over. With
        `defuse` formulas in reject files are defused, as `defused` does it in tables. `before` is as in
        `reported_tables`."""
        self.reports = reports
        self._exports = frozenset((*exports, *MADE))
        self._defuse = defuse
        self._clock = clock or Clock()
        self._taken_from = before
        self.name = as_of.isoformat()
        self.folder = reports / SETS / f"{self.name}.{run_id}"
        self._rejects = reports / SETS / f"{REJECTS}.{run_id}"
        self._as_of = as_of
        self._files: dict[str, ReportFile] = {}
        self._written: list[tuple[FolderExport, Ledger]] = []
        self._published = False
        self._links: dict[Path, str] = {}

    def __enter__(self) -> Self:
        try:
            # Checked now, since the database publishes first.
            for link in (self.reports / name for name in (self.name, LATEST, REJECTS)):
                if link.exists() and not link.is_symlink():
                    raise CannotWrite(folder=link, what="it is no link of this program")
            self.folder.mkdir(parents=True)
            self._make_rejects()
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
                    unseen(link).unlink(missing_ok=True)

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        """Write the parts of a table that have text; `wait` makes `<table>.tsv` of them and of those to keep."""
        with self._clock.stage(Stage.TSV, text.bytes, table.name), self._blamed():
            if table.name not in self._files:
                before, held = self._known.get(table.name, (None, None))
                self._files[table.name] = ReportFile(table, self.folder, before, held)
            self._files[table.name].write(text, fingerprint)
            if not table.of_instances:
                self._finish(table.name)

    def write_export(self, export: Export, archives: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Write the folder of an export, which may link files of an earlier run."""
        if not isinstance(export, FolderExport):
            return
        target = self.folder / export.name
        earlier = (self.reports / name / export.name for name in (self.name, LATEST))
        with self._clock.stage(Stage.EXPORT):
            try:
                target.mkdir()
                export.write(target, archives, ledger, next((folder for folder in earlier if folder.is_dir()), None))
            except OSError as error:
                raise CannotWrite(folder=target, what=error.strerror or str(error)) from None
        self._written.append((export, ledger))

    def write_made(self, name: str, make: MakeFolder) -> None:
        """Write a folder that is made of the tables, once they are finished: see `wait`."""
        target = self.folder / name
        earlier = (self.reports / link / name for link in (self.name, LATEST))
        with self._clock.stage(Stage.EXPORT, of=name), self._blamed():
            target.mkdir()
            make(self.folder, target, next((folder for folder in earlier if folder.is_dir()), None))
            for file in sorted(target.rglob("*")):
                # What is linked was synced with its set.
                if file.is_file() and file.stat().st_nlink == 1:
                    sync_file(file)
            if not any(target.iterdir()):
                target.rmdir()

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write run.json."""
        self._write(SUMMARY, [orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)])

    def write_rejects(self, instance_id: str, archive: str, content: bytes) -> None:
        """Write the reject file of an archive, if it has any rejects."""
        if not content:
            return
        if self._defuse:
            content = _REJECTED_FORMULA.sub(rb"\1'", content)
        lines = b"".join(f"{archive}\t".encode() + line + b"\n" for line in content.removesuffix(b"\n").split(b"\n"))
        header = "\t".join(("archive", *REJECT_COLUMNS)).encode() + b"\n"
        try:
            (self._rejects / instance_id).mkdir(exist_ok=True)
            (self._rejects / instance_id / f"{archive}.tsv").write_bytes(header + lines)
        except OSError as error:
            raise CannotWrite(folder=self._rejects, what=error.strerror or error) from None

    def wait(self) -> None:
        """Finish the files."""
        with self._clock.stage(Stage.TSV), self._blamed():
            for name in list(self._files):
                self._finish(name)
        self._write(PARTS, [pack_parts(self._held)])

    def _finish(self, table: str) -> None:
        # A file that was carried over may be a hard link to that of the set before: it must not be written to.
        (self.folder / f"{table}.tsv").unlink(missing_ok=True)
        self._held[table] = self._files.pop(table).finish()

    def prepare(self, run: Mapping[str, Any]) -> None:
        """Pass on the folders of exports, and make the links that `publish` renames, which needs no room on the disk
        then."""
        with self._clock.stage(Stage.EXPORT):
            for export, ledger in self._written:
                export.pass_on(self.folder / export.name, ledger)
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
                unseen(link).unlink(missing_ok=True)
                make_link(unseen(link), target)
        except OSError as error:
            raise CannotWrite(folder=self.reports, what=error.strerror or error) from None

    def publish(self) -> None:
        """Rename the links. A reader may have opened the set that this replaces: it stays until the next run."""
        try:
            for link in self._links:
                unseen(link).replace(link)
                self._published = True
        except OSError as error:
            raise CannotWrite(folder=self.reports, what=error.strerror or error) from None

    def hold(self) -> Path:
        """Keep the set aside, in place of one that was held for the same date, and return its folder. It is not
        published, and no later run removes it."""
        place = self.reports / HELD / self.name
        try:
            place.parent.mkdir(exist_ok=True)
            self._rejects.rename(self.folder / REJECTS)
            if place.exists():
                # Below .sets, where it is removed at the end of this block.
                place.rename(self._rejects)
            self.folder.rename(place)
        except OSError as error:
            raise CannotWrite(folder=place, what=error.strerror or error) from None
        return place

    def _make_rejects(self) -> None:
        self._rejects.mkdir()

    def _write(self, name: str, content: Iterable[bytes]) -> None:
        with self._blamed():
            write_synced(self.folder / name, content)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Raise CannotWrite for an OSError."""
        try:
            yield
        except OSError as error:
            raise CannotWrite(folder=self.folder, what=error.strerror or str(error)) from None

    def _carry_over(self) -> None:
        """Link the tables and exports of this as-of date that the run does not write."""
        before = self.reports / self.name
        self._known = reported_tables(self.reports, self._as_of, self._taken_from)
        self._held = load_parts(before)
        if before.is_dir():
            for file in before.glob("*.tsv"):
                link_or_copy(file, self.folder / file.name)
            for folder in (entry for entry in before.iterdir() if entry.is_dir() and entry.name not in self._exports):
                shutil.copytree(folder, self.folder / folder.name, copy_function=linked)


def make_link(link: Path, target: str) -> None:
    """Make a link within the reports. Raises OSError."""
    try:
        link.symlink_to(target)
    except OSError as error:
        raise OSError(error.errno, f"no symbolic link can be made there ({error.strerror})") from None


def unseen(link: Path) -> Path:
    """Return the path of a new link until it replaces `link`."""
    return link.with_name(f".{link.name}.new")
