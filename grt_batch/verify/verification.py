"""Verification: run again into a scratch folder, and compare the tables with what is published.

The last published run is verified, with its as-of day, its modules, and only those archives that it knew.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import orjson

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite
from grt_batch.core.wording import counted, listed
from grt_batch.ledger.ledger import ARCHIVE, RUN, State
from grt_batch.ledger.people import FindPeople, nobody
from grt_batch.modules.base import Module
from grt_batch.modules.export import FolderExport
from grt_batch.modules.registry import chosen, discover
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.keys import items_derived, items_read
from grt_batch.pipeline.merge import merge_input_of
from grt_batch.pipeline.plan import find_uploads, survey
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.sinks import report_set
from grt_batch.store.archive_index import FILE, ArchiveIndex, ArchiveName
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Uploads
from grt_batch.verify.comparison import LOST, SAME, Comparison, compare_reports, differing, differing_numbers
from grt_batch.verify.published import LastRun, last_run, published_archives

_TOTALS = ("archives", "jobs", "lines", "accepted", "salvaged", "rejected", "fragments", "superseded", "bytes")
"""The numbers of run.json that depend on what was read, not on the run."""


_SCRATCH = "verify-"


_FROM_STORE = "taken from the store, not from the raw archives"


@dataclass(frozen=True)
class Verification:
    """The result: by table how the reports and the database differ, SAME where they do not, and notes."""

    run_id: str
    as_of: date
    reports: Mapping[str, str]
    database: Mapping[str, str]
    notes: Sequence[str]

    @property
    def different(self) -> list[str]:
        """Return the tables and files that differ somewhere."""
        names = {**self.reports, **self.database}
        return [name for name in names if {self.reports.get(name, SAME), self.database.get(name, SAME)} != {SAME}]


def verify_published(
    config: Config,
    url: str,
    executor: Executor,
    modules: Sequence[str] = (),
    scratch: Path | None = None,
    people: FindPeople = nobody,
) -> Verification:
    """Compute what the last run published, or only these `modules` of it, and compare. Nothing is changed.

    The caller holds the run's lock. `url` is that of the database. The scratch folder is made in `scratch` or in the
    work folder. `people` knows the owners of the instances as that run found them. Raises NothingPublished, and what a
    run raises.
    """
    published = last_run(config.reports, url)
    request_modules = tuple(modules or published.summary["modules"])
    wanted = chosen(request_modules, config.modules_dir)
    with _scratch(scratch or config.work, config.work) as place:
        fresh = replace(
            config,
            work=place / "work",
            reports=place / "reports",
            settle_seconds=0,
            splitter_copy_to="",
            store_max_bytes=0,
        )
        selection = _Selection(config, fresh, published, wanted)
        request = RunRequest(fresh, published.as_of, request_modules, without_cold=True, run_id="verification")
        in_database: dict[str, str] = {}
        comparison = Comparison(in_database, published.run_id, url)
        uploads = selection.select(find_uploads(fresh, ArchiveIndex(fresh.work, fresh.uploads)))
        execute(
            request,
            executor,
            lambda: nullcontext(url),
            uploads=uploads,
            instead_of_databases=comparison,
            people=people,
        )
        in_reports = dict(_compared(config.reports, fresh.reports, published, wanted))
        remarks = _remarks(published, wanted, discover(config.modules_dir))
        notes = [*selection.notes, *_changed(published, fresh.reports), *remarks]
    return Verification(published.run_id, published.as_of, in_reports, in_database, notes)


@contextmanager
def _scratch(parent: Path, work: Path) -> Iterator[Path]:
    """Make a temporary folder with a copy of the index, which knows the archives whose files were removed."""
    try:
        for left in work.glob(f"{_SCRATCH}*"):
            # Left by a verification that was killed.
            shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=parent)
    except OSError as error:
        raise CannotWrite(folder=parent, what=error.strerror or error) from None
    with folder as name:
        (Path(name) / "work").mkdir()
        with suppress(FileNotFoundError):
            shutil.copyfile(work / FILE, Path(name) / "work" / FILE)
        yield Path(name)


@dataclass
class _Selection:
    """The archives to verify: those that the published run knew.

    The numbers of archives that were removed, or are in cold storage, are taken from the store, as a run does. `notes`
    name these archives, and those that have changed.
    """

    config: Config
    fresh: Config
    published: LastRun
    modules: Sequence[Module]
    notes: list[str] = field(default_factory=list)

    def select(self, uploads: Uploads) -> Uploads:
        """Return the archives as the published run found them, as far as possible."""
        known = self.published.archives
        there = {(archive.instance_id, archive.name): archive for archive in uploads.archives}
        whole = {name for name, archive in there.items() if not archive.remembered and not archive.incomplete}
        unfinished = {name for name, row in known.items() if row["state"] == State.INCOMPLETE.value}
        gone = {name for name, archive in there.items() if name in known and archive.remembered}
        self._note(there.keys() - known.keys(), "came after that run: left out")
        cold = {name for name, archive in there.items() if name in known and archive.is_cold}
        self._note(gone, f"removed since that run: {_FROM_STORE}")
        size = sum(there[name].bytes for name in cold)
        self._note(cold, f"in cold storage, with {counted(size, 'byte')}: {_FROM_STORE}")
        self._note(known.keys() - there.keys(), "removed and forgotten since that run: cannot be computed again")
        self._note(unfinished & whole, "completed since that run: left for the next run")
        instances = []
        for instance in uploads.instances:
            archives = tuple(
                replace(archive, incomplete=known[name]["reason"]) if name in unfinished & whole else archive
                for name, archive in there.items()
                if name in known and name[0] == instance.instance_id
            )
            instances += [replace(instance, archives=archives)] if archives else []
        selected = replace(uploads, instances=tuple(instances))
        self._take_over(selected)
        return selected

    def _take_over(self, uploads: Uploads) -> None:
        """Copy the entries of archives that cannot be read from the store to that of the scratch folder."""
        if all(archive.readable for archive in uploads.archives):
            return
        store, scratch = Store(self.config.work / "store"), Store(self.fresh.work / "store")
        index = ArchiveIndex(self.config.work, self.config.uploads)
        planned = survey(uploads, store, index, self.config, self.modules, self.published.as_of)
        for item in planned:
            if item.counts and not item.archive.readable:
                given = merge_input_of(item, index.superseded(item.archive), self.published.as_of)
                made = items_derived(given.key, given.superseded, given.since, self.modules)
                for kind, key, _ in (*items_read(item.key), *made):
                    content = store.get(kind, key)
                    if content is not None:
                        scratch.put(kind, key, content)

    def _note(self, names: Iterable[ArchiveName], what: str) -> None:
        self.notes += _noted(names, what)


def _noted(names: Iterable[ArchiveName], what: str) -> list[str]:
    """Return a line about these archives, none for no archive."""
    texts = sorted("/".join(name) for name in names)
    if not texts:
        return []
    return [f"{counted(len(texts), 'archive')} ({listed(texts)}) {what}"]


def _compared(reports: Path, fresh: Path, published: LastRun, modules: Sequence[Module]) -> Iterator[tuple[str, str]]:
    """Yield each file that the published run has written, and how it differs."""
    day = published.as_of.isoformat()
    for table in (ARCHIVE, *(table for module in modules for table in module.tables)):
        computed = _read(fresh / day / f"{table.name}.tsv")
        if computed is not None:
            found = _read(reports / day / f"{table.name}.tsv")
            yield table.name, LOST if found is None else compare_reports(table, computed, found)
    for module in modules:
        if isinstance(module, FolderExport):
            yield f"{module.name}/", _compared_folders(fresh / day / module.name, reports / day / module.name)
    yield f"{report_set.REJECTS}/", _compared_folders(fresh / report_set.REJECTS, reports / report_set.REJECTS)
    totals = orjson.loads((fresh / day / report_set.SUMMARY).read_bytes())
    yield RUN.name, differing_numbers([name for name in _TOTALS if totals[name] != published.summary.get(name)])


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _compared_folders(computed: Path, found: Path) -> str:
    """Return how two folders differ, file by file."""
    names = {
        str(file.relative_to(folder)) for folder in (computed, found) for file in folder.rglob("*") if file.is_file()
    }
    return differing([name for name in names if _read(computed / name) != _read(found / name)], "file")


def _changed(published: LastRun, fresh: Path) -> list[str]:
    """Return a line about the archives whose files are not those that were published."""
    computed = published_archives(fresh / published.as_of.isoformat())
    rows = ((name, row, published.archives.get(name)) for name, row in computed.items())
    changed = [name for name, row, before in rows if before and row["sha256"] != before["sha256"]]
    return _noted(changed, "changed since that run: another tar.gz")


def _remarks(published: LastRun, modules: Sequence[Module], known: Mapping[str, Module]) -> list[str]:
    """Return remarks on what was compared."""
    summary, remarks = published.summary, []
    if published.in_database != published.run_id:
        other = published.in_database or "none"
        remarks.append(f"the last run of the reports is {published.run_id}, that of the database {other}")
    if summary.get("version") != __version__:
        remarks.append(f"grt_batch {summary.get('version')} published it, and this is {__version__}")
    left = [name for name, module in known.items() if module not in modules and not module.opt_in]
    if left:
        remarks.append(f"not compared, since that run did not compute them: {', '.join(left)}")
    return remarks
