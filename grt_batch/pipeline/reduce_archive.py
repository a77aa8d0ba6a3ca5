"""An archive, from its tar.gz to one partial per module.

`reduce_archive` cuts the work into tasks. `run_tasks` carries them out and returns the results in the order of the
tasks, as `map` does: in a serial run in this process, over MPI by the workers. So any number of ranks gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from grt_batch.columns.packing import pack, unpack
from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import StoreDamaged
from grt_batch.core.memory import give_back
from grt_batch.core.timing import Stage
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Module, wanted_by
from grt_batch.modules.registry import discover
from grt_batch.pipeline.aggregation import aggregate
from grt_batch.pipeline.keys import (
    ACCOUNT,
    PARTIAL,
    REJECT_FILE,
    SUPERSEDED,
    account_key,
    load_account,
    partial_key,
)
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.schema.records import RECORDS, Job, Record, Records
from grt_batch.store.store import Store


@dataclass(frozen=True)
class ReduceOrder:
    """Reduce an archive: read it, unless `key` names what was read of it, and make the missing partials.

    Without a `tar` it cannot be read, and only those partials are made whose records are in the store. `superseded` is
    the store's key of the job ids that a newer archive reports again, "" for none; `since` is the first day that
    windowed cubes count by itself. With `again` the store is ignored, except for what `key` names.
    """

    instance_id: str
    archive: str
    tar: str
    bytes: int
    modules: tuple[str, ...]
    since: date
    claimed_sha256: str = ""
    key: str = ""
    superseded: str = ""
    again: bool = False

    @property
    def place(self) -> str:
        """Return what the order is about, for error messages."""
        return f"{self.instance_id}/{self.archive}"

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> ReduceOutcome:
        """Reduce the archive. Raises StoreDamaged and CannotWrite."""
        return reduce_archive(self, config, store, run_tasks, progress)


@dataclass(frozen=True)
class ReduceOutcome:
    """The outcome of an order. The partials are in the store."""

    instance_id: str
    archive: str
    key: str
    account: Account


def reduce_archive(
    order: ReduceOrder, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> ReduceOutcome:
    """Carry out an order. `progress` is called with the bytes of the tar.gz just processed; the store's clock runs."""
    with store.clock.stage(Stage.LEAD, of=order.place):
        return _reduce_archive(order, config, store, run_tasks, progress)


def _reduce_archive(
    order: ReduceOrder, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> ReduceOutcome:
    done = 0

    def advance(read: int) -> None:
        nonlocal done
        progress(read - done)
        done = read

    known = discover(config.modules_dir)
    modules = [known[name] for name in order.modules]
    key = order.key or _key_of_known_content(order, config, store)
    account = load_account(store, key) if key else None
    frames: Records | None = None
    if account is None:
        account, frames = _read_and_store(order, modules, config, store, run_tasks, advance)
        if not account.sha256:
            return ReduceOutcome(order.instance_id, order.archive, "", account)
        key = account_key(account.sha256, config)
    missing = _missing(order, key, modules, store) if account.quarantine is None else []
    if missing:
        if frames is None:
            frames = _load_frames(store, key, wanted_by(missing))
        if frames is None:
            store.drop(ACCOUNT, key)
            return _reduce_archive(order, config, store, run_tasks, progress)
        frames = _without_superseded(frames, store, order.superseded)
        for module, partial in aggregate(frames, missing, order.since, config, run_tasks):
            with store.clock.stage(Stage.STORE):
                store.put(PARTIAL, partial_key(key, module, order.superseded, order.since), module.pack(partial))
    advance(order.bytes)
    give_back(account.text_bytes)
    return ReduceOutcome(order.instance_id, order.archive, key, account)


def _key_of_known_content(order: ReduceOrder, config: Config, store: Store) -> str:
    """Return the account key of a file whose content was read under another name or date, "" for a new one.

    Its N.json tells; then hashing it is enough.
    """
    if order.again or not order.claimed_sha256:
        return ""
    if not store.has(ACCOUNT, account_key(order.claimed_sha256, config)):
        return ""
    with store.clock.stage(Stage.READ):
        return account_key(file_sha256(Path(order.tar)), config)


def _read_and_store(
    order: ReduceOrder,
    modules: Sequence[Module],
    config: Config,
    store: Store,
    run_tasks: RunTasks,
    progress: Callable[[int], None],
) -> tuple[Account, Records | None]:
    """Read an archive, and store its account, its records and its reject file. Raises StoreDamaged without a file."""
    if not order.tar:
        raise StoreDamaged(store=store.root)
    tar, wanted = Path(order.tar), wanted_by(modules)
    account, frames, rejects = read_archive(tar, config, wanted, run_tasks, store.clock, progress)
    give_back(account.text_bytes)
    if account.sha256:
        key = account_key(account.sha256, config)
        with store.clock.stage(Stage.STORE):
            if frames is not None:
                for record, table in frames.tables.items():
                    store.put(record.kind, key, pack({record.kind: table}))
                store.put(REJECT_FILE, key, rejects)
            # Last: an account means that everything else is stored.
            store.put(ACCOUNT, key, account.to_json())
    return account, frames


def _missing(order: ReduceOrder, key: str, modules: Sequence[Module], store: Store) -> list[Module]:
    """Return the modules whose partials are to be made."""
    missing = [
        module
        for module in modules
        if order.again or not store.has(PARTIAL, partial_key(key, module, order.superseded, order.since))
    ]
    return missing if order.tar else _computable(store, key, missing)


def job_ids(store: Store, key: str) -> pl.Series | None:
    """Return the ids of the jobs that were read of an archive, in order; None where the store does not have them."""
    raw = store.get(Job.kind, key)
    return None if raw is None else pl.Series("job_id", unpack(raw)[Job.kind][Job.job_id.name])


def _computable(store: Store, key: str, modules: Sequence[Module]) -> list[Module]:
    """Return the modules that find in the store all they need of an archive, also as another version read it."""
    good = {kind for kind in (Job.kind, *wanted_by(modules)) if _usable(store.get(kind, key), RECORDS[kind])}
    return [module for module in modules if good.issuperset((Job.kind, *wanted_by([module])))]


def _usable(raw: bytes | None, record: type[Record]) -> bool:
    """Whether stored records have the fields that records have now."""
    return raw is not None


def _load_frames(store: Store, key: str, wanted: Iterable[str]) -> Records | None:
    """Return the joined records of an archive; None where some are damaged, which are then dropped."""
    frames = {}
    with store.clock.stage(Stage.LOAD):
        for kind in (Job.kind, *wanted):
            raw = store.get(kind, key)
            if raw is None:
                store.drop(kind, key)
                return None
            frames[RECORDS[kind]] = unpack(raw)[kind]
    return Records(frames)


def _without_superseded(frames: Records, store: Store, superseded: str) -> Records:
    """Return the records of the jobs that no newer archive reports again."""
    if not superseded:
        return frames
    raw = store.get(SUPERSEDED, superseded)
    if raw is None:
        raise FileNotFoundError(f"the store lost the superseded jobs {superseded}")
    ids = np.frombuffer(raw, np.int64)
    return frames.without(ids)
