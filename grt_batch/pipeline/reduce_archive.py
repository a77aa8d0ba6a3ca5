"""An archive, from its tar.gz to one partial per module. This defines what any number of ranks must equal.

`reduce_archive` is what a controller does. Its work is cut into tasks; `run_tasks` carries them out and gives the
results in the order of the tasks, as `map` does. Serially it is `map` itself; over MPI the workers stand behind it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import StoreDamaged
from grt_batch.core.memory import give_back
from grt_batch.core.timing import Stage
from grt_batch.frames.dictionaries import with_own_texts
from grt_batch.frames.ipc import pack_frame, pack_frames, unpack_frame
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Module, Partial, wanted_by
from grt_batch.modules.registry import discover
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
from grt_batch.pipeline.tasks import AggregateTask, Frames, RunTasks
from grt_batch.schema.records import RECORDS, Job, Record
from grt_batch.store.store import Store


@dataclass(frozen=True)
class ReduceOrder:
    """Reduce this archive: read it unless `key` names what was read of it, and make the missing partials. Without a
    `tar` it cannot be read, and those partials are made that its records in the store still give.

    `superseded` is the store's key of the job ids that a newer archive reports again, empty for none; `since` is the
    first day that is counted by itself for the windows of the last days. With `again` nothing that is in the store is
    taken for granted, but what `key` names.
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
        """What it is about, for the error that it may end in."""
        return f"{self.instance_id}/{self.archive}"

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> ReduceOutcome:
        """Reduce the archive. Raises StoreDamaged, and CannotWrite."""
        return reduce_archive(self, config, store, run_tasks, progress)


@dataclass(frozen=True)
class ReduceOutcome:
    """What came of an order. The partials are in the store."""

    instance_id: str
    archive: str
    key: str
    account: Account


def reduce_archive(
    order: ReduceOrder, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> ReduceOutcome:
    """Carry out an order. `progress` is told the bytes of the tar.gz that were dealt with, as they are. The clock of
    the store counts what it takes."""
    with store.clock.stage(Stage.LEAD, of=order.place):
        return _reduce_archive(order, config, store, run_tasks, progress)


def _reduce_archive(
    order: ReduceOrder, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> ReduceOutcome:
    clock = store.clock
    key, told = order.key, 0

    def tell(done: int) -> None:
        nonlocal told
        progress(done - told)
        told = done

    claimed = account_key(order.claimed_sha256, config)
    if not key and not order.again and order.claimed_sha256 and store.has(ACCOUNT, claimed):
        # Known under another name or date: to hash it is enough.
        with clock.stage(Stage.READ):
            key = account_key(file_sha256(Path(order.tar)), config)
    account = load_account(store, key) if key else None
    known = discover(config.modules_dir)
    modules = [known[name] for name in order.modules]
    frames: dict[str, pl.DataFrame] | None = None
    if account is None:
        wanted = wanted_by(modules)
        if not order.tar:
            raise StoreDamaged(store=store.root)
        account, frames, rejects = read_archive(Path(order.tar), config, wanted, run_tasks, clock, tell)
        give_back(account.text_bytes)
        if not account.sha256:
            return ReduceOutcome(order.instance_id, order.archive, "", account)
        key = account_key(account.sha256, config)
        with clock.stage(Stage.STORE):
            if frames is not None:
                for kind, frame in frames.items():
                    store.put(kind, key, pack_frame(frame))
                store.put(REJECT_FILE, key, rejects)
            store.put(ACCOUNT, key, account.to_json())
    if account.quarantine is None:
        missing = [
            module
            for module in modules
            if order.again or not store.has(PARTIAL, partial_key(key, module, order.superseded, order.since))
        ]
        if not order.tar:
            missing = _computable(store, key, missing)
        if missing:
            with clock.stage(Stage.LOAD):
                frames = _load_frames(store, key, wanted_by(missing)) if frames is None else frames
            if frames is None:
                store.drop(ACCOUNT, key)
                return _reduce_archive(order, config, store, run_tasks, progress)
            frames = _current(frames, store, order.superseded)
            for module, partial in aggregate(frames, missing, order.since, config, run_tasks):
                with clock.stage(Stage.STORE):
                    packed = pack_frames(partial)
                    store.put(PARTIAL, partial_key(key, module, order.superseded, order.since), packed)
    tell(order.bytes)
    give_back(account.text_bytes)
    return ReduceOutcome(order.instance_id, order.archive, key, account)


def aggregate(
    frames: dict[str, pl.DataFrame], modules: Sequence[Module], since: date, config: Config, run_tasks: RunTasks
) -> Iterator[tuple[Module, Partial]]:
    """The partials of joined records, which are cut into tasks: a job is never cut, so any cut gives the same. The
    `frames` are gone before the first of them is there, and what each is merged of before the next."""
    needed = {Job.kind, *wanted_by(modules)}
    for kind in frames.keys() - needed:
        del frames[kind]
    names = tuple(module.name for module in modules)
    parts: dict[str, list[Partial]] = {name: [] for name in names}
    tasks = (AggregateTask(names, part, since, config.modules_dir) for part in _cut(frames, config.aggregate_jobs))
    for result in run_tasks(tasks):
        for name, partial in result.items():
            parts[name].append(partial)
    for module in modules:
        yield module, module.merge(parts.pop(module.name) or [module.empty()])


def _cut(frames: dict[str, pl.DataFrame], jobs: int) -> Iterator[Frames]:
    """The records of so many jobs at a time, with the texts of theirs. `frames` is emptied column by column, and each
    part goes by itself: they never stand there twice."""
    name = Job.job_id.name
    firsts = frames[Job.kind][name].gather_every(jobs)
    if len(firsts) == 1:
        # Nothing to cut, and all texts are its own.
        whole = dict(frames)
        frames.clear()
        yield whole
        return
    parts = [{kind: list[pl.Series]() for kind in frames} for _ in firsts]
    for kind in list(frames):
        frame = frames.pop(kind)
        bounds = [*frame[name].search_sorted(firsts, "left"), frame.height]
        for column in frame.columns:
            values = frame.drop_in_place(column)
            for part, (begin, end) in zip(parts, itertools.pairwise(bounds), strict=True):
                part[kind].append(_copy(values[begin:end]))
    while parts:
        yield {kind: with_own_texts(pl.DataFrame(columns)) for kind, columns in parts.pop(0).items()}


def _copy(piece: pl.Series) -> pl.Series:
    """A piece of a column without the memory of all of it."""
    return pl.concat([piece[:1], piece[1:]], rechunk=True)


def job_ids(store: Store, key: str) -> pl.Series | None:
    """The ids of the jobs that were read of an archive, ascending; None where they are not known (any more)."""
    raw = store.get(Job.kind, key)
    return None if raw is None else unpack_frame(raw, [Job.job_id.name])[Job.job_id.name]


def _computable(store: Store, key: str, modules: Sequence[Module]) -> list[Module]:
    """Return the modules that find in the store all they need of an archive, also as another version read it."""
    good = {kind for kind in (Job.kind, *wanted_by(modules)) if _usable(store.get(kind, key), RECORDS[kind])}
    return [module for module in modules if good.issuperset((Job.kind, *wanted_by([module])))]


def _usable(raw: bytes | None, record: type[Record]) -> bool:
    """Whether stored records have the fields that records have now."""
    schema = {} if raw is None else unpack_frame(raw).schema
    return all(
        field.name in schema and field.type in (schema[field.name], pl.String()) for field in record.stored_fields()
    )


def _load_frames(store: Store, key: str, wanted: Iterable[str]) -> dict[str, pl.DataFrame] | None:
    """The joined records of an archive, None where some of them are damaged; those are dropped."""
    frames: dict[str, pl.DataFrame] = {}
    for kind in (Job.kind, *wanted):
        raw = store.get(kind, key)
        if raw is None:
            store.drop(kind, key)
            return None
        frames[kind] = unpack_frame(raw)
    return frames


def _current(frames: dict[str, pl.DataFrame], store: Store, superseded: str) -> dict[str, pl.DataFrame]:
    """The records of the jobs that no newer archive reports again."""
    if not superseded:
        return frames
    raw = store.get(SUPERSEDED, superseded)
    if raw is None:
        raise FileNotFoundError(f"the store lost the superseded jobs {superseded}")
    gone = np.frombuffer(raw, np.int64)
    return {kind: frame.filter(~np.isin(frame[Job.job_id.name].to_numpy(), gone)) for kind, frame in frames.items()}
