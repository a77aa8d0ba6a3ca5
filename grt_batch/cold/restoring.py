"""Raw archives come back from cold storage: all are asked for first, then what can be read is fetched.

The markers remember what is under way, so that a later call goes on with it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grt_batch.cold.policy import RESTORED, RUN, WANTED, Marked, is_wanted, marked_archives
from grt_batch.cold.store import TIERS, Failed, StoredObject, Tier
from grt_batch.cold.stores import ColdStores
from grt_batch.cold.tally import Tally
from grt_batch.core.config import Config
from grt_batch.core.errors import BadColdStore, CannotWrite
from grt_batch.core.files import sync_file, sync_folder
from grt_batch.uploads.cold import ENDING, ColdCopy, write_cold
from grt_batch.uploads.scan import ARCHIVES, instance_folders, stamp_of

TIER = "tier"
"""In the `request` of a marker: by which tier its object was asked for, "" where the store did not say."""


def tiers_from(tier: Tier) -> tuple[Tier, ...]:
    """Return the tiers that are tried: after expedited, standard; else the one that is asked for."""
    return TIERS[:2] if tier == TIERS[0] else (tier,)


@dataclass(frozen=True)
class Wish:
    """How archives are asked for: by which tier, for how many days, and whether a run follows. Without a tier it is
    that of the call that asked for an archive before, else the fastest."""

    tier: Tier | None
    days: int
    then_run: bool = False

    def tier_for(self, copy: ColdCopy) -> Tier:
        """Return the tier for an archive."""
        if self.tier is not None:
            return self.tier
        before = [tier for tier in TIERS if tier == copy.request.get(WANTED)]
        return before[0] if before else TIERS[0]


class Restoring:
    """One call that brings archives back. `waiting` counts those that are still under way."""

    def __init__(self, stores: ColdStores, tally: Tally, wish: Wish) -> None:
        self.waiting = 0
        self._stores, self._tally, self._wish = stores, tally, wish
        self._tiers: dict[tuple[str, Tier], Sequence[Tier]] = {}

    def restore(self, archives: Iterable[Marked]) -> None:
        """Ask for all archives, then fetch what can be read. Raises CannotWrite."""
        ready: list[tuple[Marked, ColdCopy]] = []
        # What the store refuses now is asked for by the next call.
        for one in [self._wanted(one) for one in archives]:
            if self._tally.gives_up:
                break
            try:
                copy, is_ready = self._asked(one)
            except Failed as error:
                self._tally.fails(one.label, error)
                continue
            if is_ready:
                ready.append((one, copy))
            else:
                self.waiting += 1
                self._tally.says(one.label, f"under way since {copy.thawing}{_by(copy)}")
        for one, copy in ready:
            if self._tally.gives_up:
                break
            try:
                fetch(one, copy, self._stores)
            except Failed as error:
                self._tally.fails(one.label, error)
            else:
                self._tally.takes(one.label, "restored", copy.bytes)

    def would(self, archives: Iterable[Marked]) -> Iterator[tuple[Marked, ColdCopy, str]]:
        """Yield what would be done with each archive: its bytes are fetched, asked for by a tier, or under way."""
        for one in archives:
            try:
                copy, found = self._found(one)
            except Failed as error:
                self._tally.fails(one.label, error)
                continue
            tier = " or ".join(tiers_from(self._wish.tier_for(copy)))
            what = {"readable": "would be fetched", "frozen": f"would be asked for, {tier}", "thawing": "is under way"}
            yield one, copy, f"{what[found.state]}{f' from {found.storage_class}' if found.storage_class else ''}"

    def _wanted(self, one: Marked) -> Marked:
        """Return an archive whose marker says that it is wanted here."""
        if isinstance(one.copy, Failed):
            return one
        wanted = {WANTED: self._wish.tier_for(one.copy), **({RUN: True} if self._wish.then_run else {})}
        request = {**one.copy.request, **wanted}
        copy = replace(one.copy, request=request)
        if copy != one.copy:
            _mark(one.marker, copy)
        return replace(one, copy=copy)

    def _found(self, one: Marked) -> tuple[ColdCopy, StoredObject]:
        """Return what the marker and the store say. Raises Failed."""
        copy = one.copy
        if isinstance(copy, Failed):
            raise copy
        try:
            found = self._stores.of(copy.url).find(copy.url)
        except BadColdStore as error:
            raise Failed(f"{one.marker.name}: {error.happened}") from None
        if found is None:
            raise Failed(f"its copy is gone: {copy.url} is not there")
        if found.bytes != copy.bytes:
            raise Failed(f"{copy.url} is another object: it has {found.bytes} bytes, not {copy.bytes}")
        return copy, found

    def _asked(self, one: Marked) -> tuple[ColdCopy, bool]:
        """Return an archive's marker, which says that it was asked for, and whether it can be fetched now."""
        copy, found = self._found(one)
        request, thawing = copy.request, copy.thawing
        if found.state == "thawing":
            thawing = thawing or _now()
        elif found.state == "frozen":
            kind = found.storage_class, self._wish.tier_for(copy)
            tiers = self._tiers.get(kind, tiers_from(kind[1]))
            tier = self._stores.of(copy.url).thaw(copy.url, tiers, self._wish.days)
            if tier is not None:
                # A tier that the store did not have for this object it most likely has for none.
                self._tiers[kind] = tiers[tiers.index(tier) :]
            thawing, request = _now(), {**request, TIER: tier or ""}
        asked = replace(copy, thawing=thawing, request=request)
        if asked != copy:
            _mark(one.marker, asked)
        return asked, found.state == "readable"


def finish(config: Config) -> None:
    """Do what a call that was killed has left to do: remove what it had hidden of archives that are here, and note that
    these are. No other call may move archives meanwhile. Raises CannotWrite."""
    here = [one for one in marked_archives(config) if one.tar.exists()]
    left = [_hidden(one.tar) for one in here]
    for folder in instance_folders(config.uploads):
        left += (*folder.glob(f"{ARCHIVES}/.*{ENDING}.*"), *folder.glob(f".*{ENDING}.*"))
    for path in left:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CannotWrite(folder=path.parent, what=error.strerror or error) from None
    for one in here:
        if isinstance(one.copy, ColdCopy) and is_wanted(one):
            _mark(one.marker, _as_here(one.copy))


def fetch(one: Marked, copy: ColdCopy, stores: ColdStores) -> None:
    """Bring a readable copy to its place, with its old date. Raises Failed and CannotWrite."""
    hidden = _hidden(one.tar)
    try:
        if shutil.disk_usage(one.tar.parent).free < copy.bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _download(copy, stores, hidden)
        os.utime(hidden, ns=(copy.stamp[1], copy.stamp[1]))
        sync_file(hidden)
        # Before the file has its name, so that it is known by its stamp, and as restored, from the first moment.
        back = replace(copy, stamp=stamp_of(hidden.stat()), request={**copy.request, RESTORED: _now()})
        write_cold(one.marker, back)
        _place(hidden, one.tar)
        sync_folder(one.tar.parent)
        write_cold(one.marker, _as_here(back))
    except OSError as error:
        raise CannotWrite(folder=one.tar.parent, what=error.strerror or error) from None
    finally:
        with suppress(OSError):
            hidden.unlink()


def _as_here(copy: ColdCopy) -> ColdCopy:
    """Return a marker that waits for nothing."""
    return replace(copy, thawing="", request={name: what for name, what in copy.request.items() if name != WANTED})


def _hidden(tar: Path) -> Path:
    return tar.with_name(f".{tar.name}.new")


def _download(copy: ColdCopy, stores: ColdStores, target: Path) -> None:
    found = hashlib.sha256()
    with target.open("wb") as file:
        for data in stores.of(copy.url).read(copy.url):
            found.update(data)
            file.write(data)
    if found.hexdigest() != copy.sha256:
        raise Failed(f"{copy.url} is not what was moved there: its sha256 is {found.hexdigest()}, not {copy.sha256}")


def _place(hidden: Path, tar: Path) -> None:
    """Give a file its name, unless another has come there meanwhile. Raises Failed and OSError."""
    try:
        os.link(hidden, tar)
    except FileExistsError:
        raise Failed(f"another {tar.name} has come here meanwhile, and stays") from None
    except OSError:
        # Not every file system has hard links.
        if tar.exists():
            raise Failed(f"another {tar.name} has come here meanwhile, and stays") from None
        hidden.replace(tar)


def _mark(marker: Path, copy: ColdCopy) -> None:
    try:
        write_cold(marker, copy)
    except OSError as error:
        raise CannotWrite(folder=marker.parent, what=error.strerror or error) from None


def _by(copy: ColdCopy) -> str:
    tier: Any = copy.request.get(TIER)
    return f", {tier}" if tier else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
