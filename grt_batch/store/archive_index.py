"""The index of archives in the work folder: the hash of each file that was read, and the N.json of what was published.

A published archive whose files were removed still counts: its partial results are in the store, and its N.json is here.
So its numbers go with `--forget`, not when a disk is missing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from grt_batch.core.errors import CannotWrite, Quarantine
from grt_batch.core.files import atomic_write, sync_folder
from grt_batch.ledger.ledger import ArchiveEntry, Ledger
from grt_batch.uploads.metadata import InstanceMetadata, Report, read_report
from grt_batch.uploads.scan import Archive, Instance, Uploads

FILE = "index.json"


_FORMAT = 2


ArchiveName = tuple[str, str]
"""The names of an instance and an archive."""


@dataclass(frozen=True)
class IndexedArchive:
    """An archive that was read: the stamp and the hash of its tar.gz, and the store's key of what was read.

    `document` is its N.json if its numbers are in the tables, else None; `superseded` is then the store's key of the
    jobs that it leaves out, "" for none. `replaced` is the time, in UTC, when a run found other content under this
    name.
    """

    stamp: tuple[int, int, int]
    sha256: str
    key: str
    document: Mapping[str, Any] | None = None
    replaced: str | None = None
    superseded: str = ""

    @classmethod
    def from_json(cls, values: Any) -> IndexedArchive:
        """Return the archive that `asdict` made these values of. Raises TypeError or ValueError."""
        known = cls(**values)
        size, modified, inode = map(int, known.stamp)
        texts = (known.sha256, known.key, known.superseded, known.replaced or "")
        if not all(isinstance(text, str) for text in texts) or not isinstance(known.document, dict | None):
            raise TypeError
        return replace(known, stamp=(size, modified, inode))


@dataclass
class _Remembered:
    """An instance: its metadata.json, and its archives by name."""

    metadata: InstanceMetadata = field(default_factory=InstanceMetadata)
    archives: dict[str, IndexedArchive] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Any) -> _Remembered:
        metadata = values["metadata"]
        archives = {name: IndexedArchive.from_json(known) for name, known in values["archives"].items()}
        return cls(InstanceMetadata(**{**metadata, "owners": tuple(metadata["owners"])}), archives)


class ArchiveIndex:
    """The index of one folder of uploads. Its file also holds those of other folders, which stay as they are."""

    def __init__(self, work: Path, uploads: Path) -> None:
        """Read the index. `damaged` is true for a file that cannot be read."""
        self.file = work / FILE
        self.damaged = False
        self._saved = b""
        self.as_of: date | None = None
        self._roots: dict[str, dict[str, _Remembered]] = {}
        try:
            self._load(self.file.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.damaged = True
        # The path as given, not resolved: a moved folder with a link in its place keeps its index.
        root = os.fsencode(os.path.normpath(uploads.absolute())).decode("utf-8", "backslashreplace")
        self._instances = self._roots.setdefault(root, {})
        known = {name: replace(known, archives={**known.archives}) for name, known in self._instances.items()}
        self._before = self.as_of, known

    def _load(self, raw: bytes) -> None:
        document, self._saved = orjson.loads(raw), raw
        if document["format"] != _FORMAT:
            raise ValueError
        self.as_of = date.fromisoformat(document["as_of"]) if document["as_of"] else None
        self._roots = {
            root: {instance_id: _Remembered.from_json(values) for instance_id, values in instances.items()}
            for root, instances in document["uploads"].items()
        }

    def sha256(self, archive: Archive) -> str | None:
        """Return the hash of this very file, None for a file that has changed or is not known.

        Of a file that was restored from cold storage, or is there, its marker has the hash.
        """
        known = self._known(archive)
        if known and known.stamp == archive.stamp:
            return known.sha256
        return archive.cold.sha256 if archive.cold and archive.cold.stamp == archive.stamp else None

    def knows(self, archive: Archive) -> bool:
        """Return whether a file of this name was read before."""
        return self._known(archive) is not None

    def key(self, archive: Archive) -> str:
        """Return the store's key of what was read under this name, "" for nothing."""
        known = self._known(archive)
        return known.key if known else ""

    def superseded(self, archive: Archive) -> str:
        """Return the store's key of the jobs that the archive of this name left out when it was published."""
        known = self._known(archive)
        return known.superseded if known else ""

    def remember(self, archive: Archive, sha256: str, key: str) -> None:
        """Enter a file that was read."""
        before = self._known(archive)
        known = IndexedArchive(archive.stamp, sha256, key)
        if before and before.sha256 == sha256:
            known = replace(before, stamp=archive.stamp, key=key)
        elif before:
            known = replace(known, replaced=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}")
        self._instances.setdefault(archive.instance_id, _Remembered()).archives[archive.name] = known

    def learn(self, ledger: Ledger, superseded: Mapping[ArchiveName, str]) -> None:
        """Enter which archives are in the tables, in case their files are removed, and the jobs that they leave out."""
        self.as_of = ledger.as_of
        for instance in ledger.instances:
            remembered = self._instances.setdefault(instance.instance_id, _Remembered())
            remembered.metadata = instance.metadata
            for entry in instance.archives:
                known = remembered.archives.get(entry.archive.name) or _of_cold(entry)
                # What is lost of an archive that cannot be read may still be found.
                if known and not entry.archive.remembered and (entry.counts or entry.archive.readable):
                    name = instance.instance_id, entry.archive.name
                    same = entry.account is not None and entry.account.sha256 == known.sha256
                    remembered.archives[entry.archive.name] = replace(
                        known,
                        stamp=entry.archive.stamp if same else known.stamp,
                        key=entry.key or known.key,
                        document=entry.archive.report.document if entry.counts and entry.archive.report else None,
                        superseded=superseded.get(name, ""),
                    )

    def take_back(self) -> None:
        """Return to what was published when the index was read. Archives that came since are known by their hashes."""
        self.as_of, published = self._before
        for instance_id, now in self._instances.items():
            before = published.get(instance_id, _Remembered())
            now.metadata = before.metadata
            for name, known in now.archives.items():
                old = before.archives.get(name)
                if old is None:
                    now.archives[name] = replace(known, document=None, superseded="")
                else:
                    # Of other content under its name the hash is forgotten: the published one may come back.
                    now.archives[name] = replace(old, stamp=known.stamp) if old.sha256 == known.sha256 else old

    def remembered(self, instance_id: str, name: str) -> Archive | None:
        """Return an archive as it was published, None where none was under this name."""
        known = self._instances.get(instance_id, _Remembered()).archives.get(name)
        return None if known is None else as_published(instance_id, name, known)

    def recall(self, uploads: Uploads, forget: Collection[str] | None = ()) -> Uploads:
        """Return `uploads` with the published archives whose files are missing or incomplete.

        The instances in `forget` get none of them; None stands for all instances. What cannot be read is not forgotten,
        nor is what is in cold storage.
        """
        found = {instance.instance_id: instance for instance in (*uploads.bare, *uploads.instances)}
        instances = []
        for instance_id in sorted({*found, *self._instances}):
            before = self._instances.get(instance_id, _Remembered())
            instance = found.get(instance_id, Instance(instance_id, before.metadata, ()))
            unreadable = uploads.unreadable.get(instance_id)
            kept = unreadable or (forget is not None and instance_id not in forget)
            instance = self._with_remembered(instance, unreadable, None if kept else _in_cold_storage(instance))
            if instance.archives:
                instances.append(instance)
        return replace(uploads, instances=tuple(instances))

    def _with_remembered(self, instance: Instance, unreadable: str | None, only: Collection[str] | None) -> Instance:
        """Return an instance with those archives that are missing or incomplete; None stands for all names."""
        archives = {archive.name: archive for archive in instance.archives}
        for name in self._instances.get(instance.instance_id, _Remembered()).archives:
            found = archives.get(name)
            if (found is None or found.incomplete) and (only is None or name in only):
                archive = self.remembered(instance.instance_id, name)
                if archive:
                    archives[name] = replace(archive, incomplete=found.incomplete if found else unreadable)
        return replace(instance, archives=tuple(sorted(archives.values(), key=lambda archive: archive.order)))

    def drop_all_but(self, wanted: Iterable[Archive]) -> list[str]:
        """Forget all other archives of this folder. Return those that were published, as `<instance>/<archive>`."""
        names = {(archive.instance_id, archive.name) for archive in wanted}
        forgotten = []
        for instance_id, instance in list(self._instances.items()):
            for name, known in list(instance.archives.items()):
                if (instance_id, name) not in names:
                    del instance.archives[name]
                    forgotten += [f"{instance_id}/{name}"] if known.document is not None else []
            if not instance.archives:
                del self._instances[instance_id]
        return forgotten

    def instances(self) -> Iterator[tuple[bool, str, Mapping[str, IndexedArchive]]]:
        """Yield every instance of every folder: whether the folder is this one, its id, and its archives by name."""
        for instances in self._roots.values():
            for instance_id, instance in instances.items():
                yield instances is self._instances, instance_id, instance.archives

    def replaced(self) -> Iterator[tuple[str, str, str]]:
        """Yield the archives that replaced others of the same name: instance, archive, and the time in UTC."""
        for _, instance_id, archives in self.instances():
            for name, known in archives.items():
                if known.replaced:
                    yield instance_id, name, known.replaced

    def save(self) -> None:
        """Write the index atomically, if it has changed. Raises CannotWrite."""
        document = {
            "format": _FORMAT,
            "as_of": self.as_of,
            "uploads": {
                root: {instance_id: asdict(instance) for instance_id, instance in instances.items()}
                for root, instances in self._roots.items()
            },
        }
        raw = orjson.dumps(document)
        if raw == self._saved and not self.damaged:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            aside = self.file.with_suffix(".damaged") if self.damaged else None
            atomic_write(self.file, [raw], self.file.with_suffix(".new"), aside=aside)
            # An archive in the index may be removed from the uploads: the index must survive a power cut.
            sync_folder(self.file.parent)
            self._saved, self.damaged = raw, False
        except OSError as error:
            raise CannotWrite(folder=self.file.parent, what=error.strerror or error) from None

    def _known(self, archive: Archive) -> IndexedArchive | None:
        instance = self._instances.get(archive.instance_id)
        return instance.archives.get(archive.name) if instance else None


def _in_cold_storage(instance: Instance) -> set[str]:
    return {archive.name for archive in instance.archives if archive.is_cold}


def _of_cold(entry: ArchiveEntry) -> IndexedArchive | None:
    """Return an archive that another index has known, before it went into cold storage; None for any other one."""
    if not entry.archive.is_cold or entry.account is None:
        return None
    return IndexedArchive(entry.archive.stamp, entry.account.sha256, entry.key)


class UnsavedIndex(ArchiveIndex):
    """The index as somebody needs it who publishes nothing: what it learns, it forgets in the end."""

    def save(self) -> None:
        """Leave the file as it is."""


def as_published(instance_id: str, name: str, known: IndexedArchive) -> Archive | None:
    """Return an archive whose numbers are in the tables, without a report if this program rejects its N.json."""
    if known.document is None:
        return None
    try:
        report: Report | None = read_report(orjson.dumps(known.document), name)
    except Quarantine:
        report = None
    tar = Path(f"{name}.tar.gz")
    return Archive(instance_id, name, tar, known.stamp[0], known.stamp, report, remembered=True)
