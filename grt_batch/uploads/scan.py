"""The upload folders: which instances there are and which archives they hold, in order."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from grt_batch.core.errors import NothingToRead, Quarantine, printable
from grt_batch.uploads.cold import ENDING, ColdCopy, read_cold
from grt_batch.uploads.metadata import MOST_BYTES, InstanceMetadata, Report, read_instance, read_report

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


_NAME = r"[0-9]+(?:\.[0-9]+)?"


COLD = ENDING.removeprefix(".")
"""What the file of a marker is among those of an archive."""


_ARCHIVE = re.compile(rf"({_NAME})\.(json|tar\.gz|{COLD})")


METADATA = "metadata.json"


_DAY = 86_400


_CLOCKS_DIFFER = 60
"""The seconds by which the clock of a file system may be ahead of this machine's without a word."""


ARCHIVES = "archives"
"""The folder of an instance's archives, in that of the instance."""


_DAMAGED = "a damaged marker, so that nobody knows where their copies in cold storage are"


RECEIVING = ".receiving-"
"""What the names of files begin with that the service has not received as a whole."""


def is_instance_id(text: str) -> bool:
    """Return whether a folder of this name is one of an instance."""
    return _INSTANCE.fullmatch(text) is not None


def is_archive_name(text: str) -> bool:
    """Return whether an archive can have this name."""
    return re.fullmatch(_NAME, text) is not None


@dataclass(frozen=True)
class Archive:
    """The pair N.json and N.tar.gz in the folder of an instance.

    `stamp` is the size, time and inode of the tar.gz. `report` is None where N.json is missing or bad. At most one of
    `incomplete` and `quarantine` holds a reason; both are None for an archive that can be read. The files of a
    `remembered` archive are missing or `incomplete`; everything else is as an earlier run found it. `doubts` say what
    cannot be right about its dates or its marker.

    `cold` is a copy in cold storage, by a marker that can be read. An archive `is_cold` where its marker lies in the
    place of its tar.gz: then `bytes` and `stamp` are those of the file that was there.
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
    cold: ColdCopy | None = None
    is_cold: bool = False

    @property
    def readable(self) -> bool:
        """Return whether its tar.gz is here: what is known of any other archive cannot be made again."""
        return not (self.remembered or self.is_cold)

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


def archive_files(folder: Path, passed: list[str] | None = None) -> dict[str, dict[str, os.DirEntry[str]]]:
    """Return the files of each archive of an instance by their endings: `json`, `tar.gz` and `cold`; see `is_whole`.

    They are `<folder>/archives/<N>.*`, or `<folder>/<N>.*` as the first GRT server wrote them. What else lies there is
    appended to `passed`, with the reason. Raises OSError.
    """
    found: dict[str, dict[str, os.DirEntry[str]]] = {}
    passed = [] if passed is None else passed
    inner = folder / ARCHIVES
    for place in (inner, folder) if _is_folder(inner) else (folder,):
        for entry in _entries(place):
            match = _ARCHIVE.fullmatch(entry.name)
            label = f"{folder.name}/{printable(entry.name)}"
            if match and _is(entry, "file") and _is_there(entry):
                if match[2] in found.setdefault(match[1], {}):
                    passed.append(f"{label}: is in archives/ too")
                found[match[1]].setdefault(match[2], entry)
            elif entry.name.startswith(RECEIVING):
                passed.append(f"{label}: is being received")
            elif not (place == folder and (entry.name == METADATA or (entry.name == ARCHIVES and _is_folder(inner)))):
                passed.append(f"{label}: not an archive")
    return found


def is_whole(files: Collection[str]) -> bool:
    """Return whether an archive with such files is whole: N.json, and N.tar.gz here or in cold storage."""
    return "json" in files and not {"tar.gz", COLD}.isdisjoint(files)


def _instance(folder: Path, clock: _Clock, passed: list[str]) -> Instance:
    files = archive_files(folder, passed)
    archives = [_archive(folder, name, entries, clock) for name, entries in files.items()]
    archives.sort(key=lambda archive: archive.order)
    return Instance(folder.name, instance_metadata(folder), tuple(archives))


@dataclass(frozen=True)
class Pair:
    """The two files of an archive, unread: the stamp of the tar.gz, as in `Archive`, and when either last changed.

    Where the archive `is_cold`, its marker stands for the tar.gz.
    """

    stamp: tuple[int, int, int]
    changed: float
    is_cold: bool = False


def glance(root: Path) -> dict[tuple[str, str], Pair]:
    """Return the pairs below `root` by instance and name, without opening a file. What cannot be read is left out."""
    found: dict[tuple[str, str], Pair] = {}
    for instance_id, name, files in files_below(root):
        with suppress(OSError):
            if is_whole(files):
                found[instance_id, name] = _pair(files)
    return found


def files_below(root: Path) -> Iterator[tuple[str, str, Mapping[str, os.DirEntry[str]]]]:
    """Yield the instance, name and files of each archive below `root`. Folders that cannot be read are left out."""
    folders: list[Path] = []
    with suppress(NothingToRead):
        folders = instance_folders(root)
    for folder in folders:
        with suppress(OSError):
            yield from ((folder.name, name, files) for name, files in archive_files(folder).items())


def instance_folders(root: Path) -> list[Path]:
    """Return the folders that may be of instances. Raises NothingToRead where `root` cannot be read."""
    try:
        return [Path(entry.path) for entry in _entries(root) if is_instance_id(entry.name) and _is(entry, "dir")]
    except OSError as error:
        raise NothingToRead(folder=root, what=error.strerror or error) from None


def _pair(files: Mapping[str, os.DirEntry[str]]) -> Pair:
    is_cold = "tar.gz" not in files
    stats = [files[ending].stat() for ending in (COLD if is_cold else "tar.gz", "json")]
    return Pair(stamp_of(stats[0]), max(stat.st_mtime for stat in stats), is_cold)


def archive_at(place: Path) -> Archive:
    """Return the archive whose N.tar.gz or N.json is at `place`, with any instance's name. N.json may be missing.

    Raise NothingToRead where the file has another name, or N.tar.gz is missing and not in cold storage.
    """
    match = _ARCHIVE.fullmatch(place.name)
    if match is None:
        raise NothingToRead(folder=place.parent, what=f"{place.name} is not the name of an archive")
    both = {f"{match[1]}.{ending}": ending for ending in ("json", "tar.gz", COLD)}
    files = {both[entry.name]: entry for entry in _entries(place.absolute().parent) if entry.name in both}
    if not {"tar.gz", COLD} & files.keys():
        raise NothingToRead(folder=place.parent, what=f"{match[1]}.json has no {match[1]}.tar.gz")
    return _archive(Path("instance"), match[1], files, _Clock(time.time()))


def _archive(folder: Path, name: str, files: dict[str, os.DirEntry[str]], clock: _Clock) -> Archive:
    report, incomplete, quarantine = None, None, None
    # A marker is written as a whole, so it is never too young.
    stats = {ending: entry.stat() for ending, entry in files.items() if ending != COLD}
    tar, changed = files.get("tar.gz"), max((found.st_mtime for found in stats.values()), default=0.0)
    is_cold = tar is None and COLD in files
    cold, damage = _marker(files)
    if "json" not in files:
        incomplete = f"{name}.{COLD if is_cold else 'tar.gz'} has no {name}.json"
    elif is_cold and cold is None:
        incomplete = f"{name}.tar.gz is in cold storage, nobody knows where: {damage}"
    elif tar is None and not is_cold:
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
    stamp = stamp_of(stats["tar.gz"]) if tar else cold.stamp if cold else (0, 0, 0)
    beside = files.get("json") or files.get(COLD)
    return Archive(
        instance_id=folder.name,
        name=name,
        tar=Path(tar.path) if tar else (Path(beside.path).parent if beside else folder) / f"{name}.tar.gz",
        bytes=stats["tar.gz"].st_size if tar else cold.bytes if cold else 0,
        stamp=stamp,
        report=report,
        incomplete=incomplete,
        quarantine=quarantine,
        doubts=(*clock.doubts(changed, report), *([_DAMAGED] if tar and damage else [])),
        cold=cold,
        is_cold=is_cold,
    )


def _marker(files: Mapping[str, os.DirEntry[str]]) -> tuple[ColdCopy | None, str]:
    """Return what the marker of an archive says, None without one, and what is wrong with it."""
    try:
        return (read_cold(Path(files[COLD].path)) if COLD in files else None), ""
    except Quarantine as error:
        return None, error.reason


def stamp_of(stat: os.stat_result) -> tuple[int, int, int]:
    """Return what tells a file from another that has its name later: size, time and inode."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


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


def instance_metadata(folder: Path) -> InstanceMetadata:
    """Return what an instance says of itself; nothing, where it has no metadata.json."""
    path = folder / METADATA
    if not os.path.lexists(path):
        return InstanceMetadata()
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
