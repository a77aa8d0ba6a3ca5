"""What a run would do and why: each archive's state, the bytes to read, and the ranks and time that they suggest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby
from math import inf
from pathlib import Path

import orjson

from grt_batch.config import Config
from grt_batch.errors import CannotWrite
from grt_batch.joined import Job
from grt_batch.ledger import Account
from grt_batch.module import Module
from grt_batch.partials import Store
from grt_batch.pipeline import account_key, load_account, wanted_by
from grt_batch.uploads import Archive, Uploads

BYTES_PER_SECOND = 15_000_000
"""Bytes of tar.gz that a rank gets through in a second, from archive to partials; a careful figure for the advice."""


class Step(Enum):
    """What a run does with an archive."""

    NEW = "new"
    CHANGED = "changed"
    CACHED = "cached"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Planned:
    """An archive before a run. `key` and `account` are what is known of it, empty and None where it must be read."""

    archive: Archive
    step: Step
    why: str
    key: str = ""
    account: Account | None = None

    @property
    def must_be_read(self) -> bool:
        """Whether the run reads its tar.gz."""
        return self.step in (Step.NEW, Step.CHANGED)


class Index:
    """Which file had which hash: so that a file is hashed once, and not again while its size, date and inode stay."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            known = orjson.loads(file.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            known = {}
        # A damaged index costs a reading of the archives, and nothing else.
        entries = known.items() if isinstance(known, dict) else ()
        self._known: dict[str, list[object]] = {name: entry for name, entry in entries if _is_entry(entry)}

    def sha256(self, archive: Archive) -> str | None:
        """The hash of this very file, None where it is another one or not known."""
        entry = self._known.get(self._name(archive))
        return str(entry[-1]) if entry and tuple(entry[:-1]) == archive.stamp else None

    def knows(self, archive: Archive) -> bool:
        """Whether a file of this name was read before."""
        return self._name(archive) in self._known

    def remember(self, archive: Archive, sha256: str) -> None:
        """Take note of a hash."""
        self._known[self._name(archive)] = [*archive.stamp, sha256]

    def save(self) -> None:
        """Write the index, at one stroke. Raises CannotWrite."""
        temporary = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(orjson.dumps(self._known))
            temporary.replace(self.file)
        except OSError as error:
            raise CannotWrite(folder=self.file.parent, what=error.strerror) from None

    @staticmethod
    def _name(archive: Archive) -> str:
        return f"{archive.instance_id}/{archive.name}"


def _is_entry(entry: object) -> bool:
    """Whether this is a size, a date, an inode and a hash."""
    return isinstance(entry, list) and len(entry) == 4 and isinstance(entry[-1], str)


def survey(uploads: Uploads, store: Store, index: Index, config: Config, modules: Sequence[Module]) -> list[Planned]:
    """What is known of each archive before a run of `modules`, in the order of `uploads`."""
    kinds = (Job.kind, *wanted_by(modules))
    planned = [_planned(archive, store, index, config, kinds) for archive in uploads.archives]
    return _mark_superseded(planned)


def mismatch(archive: Archive, account: Account) -> str | None:
    """Why an archive that was read belongs in quarantine, None for a good one."""
    claimed = archive.report.sha256 if archive.report else None
    if claimed is not None and claimed != account.sha256:
        damage = f" ({account.quarantine})" if account.quarantine else ""
        return f"the hash in {archive.name}.json is {claimed[:12]}…, that of the tar.gz {account.sha256[:12]}…{damage}"
    return account.quarantine


def _planned(archive: Archive, store: Store, index: Index, config: Config, kinds: Sequence[str]) -> Planned:
    if archive.incomplete:
        return Planned(archive, Step.INCOMPLETE, archive.incomplete)
    if archive.quarantine:
        return Planned(archive, Step.QUARANTINED, archive.quarantine)
    sha256 = index.sha256(archive)
    if sha256 is None:
        if index.knows(archive):
            return Planned(archive, Step.CHANGED, "its tar.gz is another than when it was read")
        return Planned(archive, Step.NEW, "never read")
    key = account_key(sha256, config)
    account = load_account(store, key)
    if account is None:
        return Planned(archive, Step.NEW, "its partial results are gone, or of another version")
    missing = [kind for kind in kinds if not store.has(kind, key)]
    if missing and account.quarantine is None:
        return Planned(archive, Step.NEW, f"its {' and '.join(missing)} are not in the store")
    reason = mismatch(archive, account)
    if reason:
        return Planned(archive, Step.QUARANTINED, reason, key, account)
    return Planned(archive, Step.CACHED, "read before", key, account)


def _mark_superseded(planned: Sequence[Planned]) -> list[Planned]:
    """Tell which cached archives a newer one may report again, by their ranges of job ids."""
    result = list(planned)
    for _, places in groupby(range(len(planned)), key=lambda place: planned[place].archive.instance_id):
        cached = [place for place in places if planned[place].step is Step.CACHED]
        for place, newer in zip(cached, newer_reports([planned[place] for place in cached]), strict=True):
            if newer:
                names = ", ".join(other.archive.name for other in newer[:3])
                why = f"read before; jobs come again in {names}"
                result[place] = replace(planned[place], step=Step.SUPERSEDED, why=why)
    return result


def newer_reports(archives: Sequence[Planned]) -> list[list[Planned]]:
    """For each archive of an instance, oldest first, the newer ones that may report its jobs again.

    Usually there are none, since job ids rise: then the range of all newer ones together is enough to tell.
    """
    result: list[list[Planned]] = []
    lowest, highest = inf, -inf
    for i in range(len(archives) - 1, -1, -1):
        account = archives[i].account
        if account is None or account.first_id is None or account.last_id is None:
            result.append([])
            continue
        meets = account.first_id <= highest and lowest <= account.last_id
        result.append([other for other in archives[i + 1 :] if overlaps(account, other.account)] if meets else [])
        lowest, highest = min(lowest, account.first_id), max(highest, account.last_id)
    return result[::-1]


def overlaps(one: Account | None, other: Account | None) -> bool:
    """Whether the ranges of job ids of two archives meet."""
    if one is None or other is None or one.quarantine or other.quarantine:
        return False
    if one.first_id is None or one.last_id is None or other.first_id is None or other.last_id is None:
        return False
    return one.first_id <= other.last_id and other.first_id <= one.last_id


@dataclass(frozen=True)
class Advice:
    """How a run may be started: MPI ranks, and minutes to ask a batch system for."""

    bytes_to_read: int
    ranks: int
    minutes: int


def advise(planned: Sequence[Planned], config: Config) -> Advice:
    """One rank coordinates; one more for each `bytes_per_rank` to read, 2 at least, `max_ranks` at most in all.

    Time for twice the work and a quarter of an hour, since a batch system kills whoever takes longer.
    """
    to_read = sum(item.archive.bytes for item in planned if item.must_be_read)
    wanted = 1 + max(2, -(-to_read // max(1, config.bytes_per_rank)))
    ranks = max(1, min(wanted, config.max_ranks))
    seconds = to_read / (BYTES_PER_SECOND * max(1, ranks - 1))
    return Advice(to_read, ranks, 15 + int(2 * seconds / 60))
