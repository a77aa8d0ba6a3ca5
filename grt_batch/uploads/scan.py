"""The upload folders: which instances there are and which archives they hold, in order."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from grt_batch.core.errors import NothingToRead, Quarantine, printable
from grt_batch.uploads.metadata import MOST_BYTES, InstanceMetadata, Report, read_instance, read_report

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


_ARCHIVE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\.(json|tar\.gz)")


METADATA = "metadata.json"


_DAY = 86_400


_CLOCKS_DIFFER = 60
"""The seconds by which the clock of a file system may be ahead of this machine's without a word."""


@dataclass(frozen=True)
class Archive:
    """The pair N.json and N.tar.gz in the folder of an instance.

    `stamp` is the size, time and inode of the tar.gz. `report` is None where N.json is missing or bad. At most one of
    `incomplete` and `quarantine` holds a reason; both are None for an archive that can be read. The files of a
    `remembered` archive are missing or `incomplete`; everything else is as an earlier run found it. `doubts` say what
    cannot be right about its dates.
    """

    instance_id: str
    name: str
    tar: Path
    bytes: int
    stamp: tuple[int, int, int]
    report: Report | None
    incomplete: str | None = None
    quarantine: str | None = None
    remembered: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[Decimal, Decimal, str]:
        """Return the sort key: the number in `generated`, then the number in the name."""
        number = Decimal(self.name)
        return (self.report.generated if self.report else number, number, self.name)


@dataclass(frozen=True)
class Instance:
    """The folder of one Galaxy server, with its archives, oldest first."""

    instance_id: str
    metadata: InstanceMetadata
    archives: tuple[Archive, ...]


@dataclass(frozen=True)
class Uploads:
    """All instances in the order of their ids, and the files and folders that were passed over, with the reason.

    `bare` are instances that have a metadata.json and no archives; `unreadable` gives the reason for each whose folder
    cannot be read.
    """

    root: Path
    instances: tuple[Instance, ...]
    passed_over: tuple[str, ...]
    bare: tuple[Instance, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def archives(self) -> Iterator[Archive]:
        """Yield every archive, instance by instance."""
        return (archive for instance in self.instances for archive in instance.archives)


def scan(root: Path, *, settle_seconds: int = 0, only: tuple[str, ...] = (), now: float | None = None) -> Uploads:
    """Read the folders below `root`, or those of the instances in `only`.

    Archives whose files changed within the last `settle_seconds` are incomplete. The date of a file that is dated
    further ahead than that says nothing: it is read. Raises NothingToRead where there is no folder, no archive, or none
    of one of `only`.
    """
    clock = _Clock(time.time() if now is None else now, settle_seconds)
    instances: list[Instance] = []
    bare: list[Instance] = []
    passed: list[str] = []
    unreadable: dict[str, str] = {}
    try:
        entries = _entries(root)
    except OSError as error:
        raise NothingToRead(folder=root, what=error.strerror or error) from None
    for entry in entries:
        label = printable(entry.name)
        if not _is(entry, "dir"):
            passed.append(f"{label}: not a folder")
        elif not _INSTANCE.fullmatch(entry.name):
            passed.append(f"{label}: not the name of an instance")
        elif not only or entry.name in only:
            others: list[str] = []
            try:
                instance = _instance(Path(entry.path), clock, others)
            except OSError as error:
                unreadable[entry.name] = f"its folder cannot be read: {error.strerror}"
                continue
            if instance.archives:
                instances.append(instance)
                passed += others
            else:
                passed.append(f"{label}: holds no archives")
                bare += [instance] if instance.metadata != InstanceMetadata() else []
    missing = set(only) - {instance.instance_id for instance in instances}
    others = [*(f"{name}: {reason}" for name, reason in unreadable.items()), *passed]
    seen = f" (passed over: {'; '.join(others[:3])}{' …' if len(others) > 3 else ''})" if others else ""
    if missing:
        names = ", ".join(printable(name) for name in sorted(missing))
        raise NothingToRead(folder=root, what=f"no archives of the instance {names}{seen}")
    if not instances:
        raise NothingToRead(folder=root, what=f"no folder holds archives{seen}")
    return Uploads(root, tuple(instances), tuple(passed), tuple(bare), unreadable)


@dataclass(frozen=True)
class _Clock:
    """The time of a scan, in Unix seconds, and how long a file must have been left alone."""

    now: float
    settle_seconds: float = 0

    def unsettled(self, changed: float) -> bool:
        """Return whether a file that changed then may still be written."""
        return abs(self.now - changed) < self.settle_seconds

    def doubts(self, changed: float, report: Report | None) -> Iterator[str]:
        """Yield what cannot be right about the dates of an archive whose files changed then."""
        if changed > self.now + _CLOCKS_DIFFER:
            yield "files dated in the future, which are read whatever settle_seconds says"
        if report is not None and report.misdated:
            yield "an impossible date in N.json, so that the name is taken for it"
        elif report is not None and report.generated > self.now + _DAY:
            yield "a date of N.json in the future, so that they count jobs in place of archives made until then"


def _instance(folder: Path, clock: _Clock, passed: list[str]) -> Instance:
    """Read one instance: `<folder>/archives/<N>.*`, or `<folder>/<N>.*` as the first GRT server wrote them."""
    pairs: dict[str, dict[str, os.DirEntry[str]]] = {}
    metadata = InstanceMetadata()
    inner = folder / "archives"
    for place in (inner, folder) if _is_folder(inner) else (folder,):
        for entry in _entries(place):
            match = _ARCHIVE.fullmatch(entry.name)
            label = f"{folder.name}/{printable(entry.name)}"
            if match and _is(entry, "file") and _is_there(entry):
                if match[2] in pairs.setdefault(match[1], {}):
                    passed.append(f"{label}: is in archives/ too")
                pairs[match[1]].setdefault(match[2], entry)
            elif entry.name == METADATA and place == folder:
                metadata = _read_metadata(Path(entry.path))
            elif Path(entry.path) != inner or not _is_folder(inner):
                passed.append(f"{label}: not an archive")
    archives = [_archive(folder, name, files, clock) for name, files in pairs.items()]
    archives.sort(key=lambda archive: archive.order)
    return Instance(folder.name, metadata, tuple(archives))


def archive_at(place: Path) -> Archive:
    """Return the archive whose N.tar.gz or N.json is at `place`, with any instance's name. N.json may be missing.

    Raise NothingToRead where the file has another name, or N.tar.gz is missing.
    """
    match = _ARCHIVE.fullmatch(place.name)
    if match is None:
        raise NothingToRead(folder=place.parent, what=f"{place.name} is not the name of an archive")
    both = {f"{match[1]}.{ending}": ending for ending in ("json", "tar.gz")}
    files = {both[entry.name]: entry for entry in _entries(place.absolute().parent) if entry.name in both}
    if "tar.gz" not in files:
        raise NothingToRead(folder=place.parent, what=f"{match[1]}.json has no {match[1]}.tar.gz")
    return _archive(Path("instance"), match[1], files, _Clock(time.time()))


def _archive(folder: Path, name: str, files: dict[str, os.DirEntry[str]], clock: _Clock) -> Archive:
    report, incomplete, quarantine = None, None, None
    stats = {ending: entry.stat() for ending, entry in files.items()}
    tar, changed = files.get("tar.gz"), max(found.st_mtime for found in stats.values())
    if "json" not in files:
        incomplete = f"{name}.tar.gz has no {name}.json"
    elif tar is None:
        incomplete = f"{name}.json has no {name}.tar.gz"
    elif any(clock.unsettled(found.st_mtime) for found in stats.values()):
        incomplete = "changed within the settle time"
    if "json" in files:
        try:
            raw = _read(Path(files["json"].path))
            if raw is None:
                raise Quarantine(f"{name}.json cannot be read")
            report = read_report(raw, name)
        except Quarantine as error:
            quarantine = None if incomplete else error.reason
    packed = stats.get("tar.gz")
    return Archive(
        instance_id=folder.name,
        name=name,
        tar=Path(tar.path) if tar else folder / f"{name}.tar.gz",
        bytes=packed.st_size if packed else 0,
        stamp=(packed.st_size, packed.st_mtime_ns, packed.st_ino) if packed else (0, 0, 0),
        report=report,
        incomplete=incomplete,
        quarantine=quarantine,
        doubts=tuple(clock.doubts(changed, report)),
    )


def _read(path: Path) -> bytes | None:
    """Return a document, one byte too many of one that is too large, or None for one that cannot be read."""
    try:
        # Opening a pipe would wait for its other end.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError:
        return None


def _read_metadata(path: Path) -> InstanceMetadata:
    raw = _read(path)
    return InstanceMetadata(problem=f"{METADATA} cannot be read") if raw is None else read_instance(raw)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(path: Path) -> bool:
    """Return whether there is such a folder. Raises OSError where that cannot be seen."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise


def _is_there(entry: os.DirEntry[str]) -> bool:
    """Return whether a file was not removed since it was listed. Raises OSError where that cannot be seen."""
    try:
        entry.stat()
    except FileNotFoundError:
        return False
    return True


def _is(entry: os.DirEntry[str], kind: Literal["dir", "file"]) -> bool:
    """Return whether an entry is a folder or a file; false for a broken or circular link."""
    try:
        return entry.is_dir() if kind == "dir" else entry.is_file()
    except OSError:
        return False
