"""An archive, from its tar.gz to one partial per module. This defines what any number of ranks must equal.

`reduce_archive` is what a controller does. Its work is cut into tasks; `run_tasks` carries them out and gives the
results in the order of the tasks, as `map` does. Serially it is `map` itself; over MPI the workers stand behind it.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import polars as pl

from grt_batch.archive import ArchiveReader, Block, Header, Limits
from grt_batch.config import Config
from grt_batch.decode import Decoded, Reject, decode
from grt_batch.errors import Quarantine
from grt_batch.jobs import Joiner
from grt_batch.joined import Job, Records
from grt_batch.ledger import Account
from grt_batch.module import Module, Partial, discover
from grt_batch.partials import Store, digest, pack_frame, pack_partial, unpack_frame
from grt_batch.records import Kind
from grt_batch.tables import escape

READER_VERSION = 2
"""Raised whenever the decoder or the join gives other columns: every archive is then read again."""

ACCOUNT, JOBS, REJECTS, PARTIAL, SUPERSEDED = "account", "jobs", "rejects", "partial", "superseded"
"""The kinds of entries in the store."""


class Task(Protocol):
    """A piece of work that needs nothing but itself: any rank can do it, and do it again."""

    name: ClassVar[str]

    @property
    def place(self) -> str:
        """What it is about, for the error that it may end in."""

    def run(self) -> Any:
        """Do it."""


@dataclass(frozen=True)
class DecodeTask:
    """Decode one block."""

    block: Block
    number: int
    name: ClassVar[str] = "decode"

    @property
    def place(self) -> str:
        """The member that the block is of, and the block's number in the archive."""
        return f"{self.block.layout.kind.value}, block {self.number}"

    def run(self) -> Decoded:
        """The columns and rejects of the block."""
        return decode(self.block)


@dataclass(frozen=True)
class AggregateTask:
    """Aggregate some joined jobs."""

    modules: tuple[str, ...]
    jobs: pl.DataFrame
    name: ClassVar[str] = "aggregate"

    @property
    def place(self) -> str:
        """The range of the jobs' ids."""
        ids = self.jobs[Job.job_id.name]
        return f"the jobs from {ids[0]} to {ids[-1]}"

    def run(self) -> dict[str, Partial]:
        """A partial for each module, by its name."""
        known = discover()
        return {name: known[name].aggregate(Records({Job: self.jobs})) for name in self.modules}


RunTasks = Callable[[Iterator[Task]], Iterator[Any]]


def run_here(tasks: Iterator[Task]) -> Iterator[Any]:
    """Carry out tasks one after another in this process."""
    return (task.run() for task in tasks)


@dataclass(frozen=True)
class Order:
    """Reduce this archive: read it unless `key` names what was read of it, and make the missing partials.

    `superseded` is the store's key of the job ids that a newer archive reports again, empty for none. With `again`
    nothing that is in the store is taken for granted, but what `key` names.
    """

    instance_id: str
    archive: str
    tar: str
    bytes: int
    modules: tuple[str, ...]
    claimed_sha256: str = ""
    key: str = ""
    superseded: str = ""
    again: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of an order. The partials are in the store."""

    instance_id: str
    archive: str
    key: str
    account: Account
    seconds: dict[str, float] = field(default_factory=dict)


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begin


def limits_of(config: Config) -> Limits:
    """The limits of reading, as configured."""
    return Limits(config.block_bytes, config.max_archive_bytes, config.max_ratio, config.max_line_bytes)


def account_key(sha256: str, config: Config) -> str:
    """The key of what is read of a tar.gz: its bytes, and all in the program and its configuration that matters."""
    parts = (config.max_archive_bytes, config.max_ratio, config.max_line_bytes, config.reject_text_bytes)
    return digest(ACCOUNT, READER_VERSION, sha256, *parts)


def partial_key(key: str, module: Module, superseded: str) -> str:
    """The key of the partial of one archive, `key` as in `account_key`."""
    return digest(PARTIAL, key, module.name, module.version, superseded)


def load_account(store: Store, key: str) -> Account | None:
    """What was read of an archive, None where that is not known (any more)."""
    raw = store.get(ACCOUNT, key)
    return None if raw is None else Account.from_json(raw)


def reduce_archive(
    order: Order, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> Outcome:
    """Carry out an order. `progress` is told the bytes of the tar.gz that were dealt with, as they are."""
    clock = Clock()
    key, told = order.key, 0

    def tell(done: int) -> None:
        nonlocal told
        progress(done - told)
        told = done

    claimed = account_key(order.claimed_sha256, config)
    if not key and not order.again and order.claimed_sha256 and store.has(ACCOUNT, claimed):
        # Known under another name or date: to hash it is enough.
        with clock.stage("read"):
            key = account_key(file_sha256(Path(order.tar)), config)
    account = load_account(store, key) if key else None
    jobs = None
    if account is None:
        account, jobs, rejects = read_archive(Path(order.tar), config, run_tasks, clock, tell)
        key = account_key(account.sha256, config)
        with clock.stage("store"):
            if jobs is not None:
                store.put(JOBS, key, pack_frame(jobs))
                store.put(REJECTS, key, rejects)
            store.put(ACCOUNT, key, account.to_json())
    if account.quarantine is None:
        missing = [
            module
            for module in (discover()[name] for name in order.modules)
            if order.again or not store.has(PARTIAL, partial_key(key, module, order.superseded))
        ]
        if missing:
            with clock.stage("store"):
                jobs = _load_jobs(store, key) if jobs is None else jobs
            if jobs is None:
                store.drop(ACCOUNT, key)
                return reduce_archive(order, config, store, run_tasks, progress)
            with clock.stage("aggregate"):
                partials = aggregate(_current(jobs, store, order.superseded), missing, config, run_tasks)
            with clock.stage("store"):
                for module in missing:
                    packed = pack_partial(partials[module.name])
                    store.put(PARTIAL, partial_key(key, module, order.superseded), packed)
    tell(order.bytes)
    return Outcome(order.instance_id, order.archive, key, account, dict(clock.seconds))


def aggregate(
    jobs: pl.DataFrame, modules: Sequence[Module], config: Config, run_tasks: RunTasks
) -> Mapping[str, Partial]:
    """The partials of joined jobs, which are cut into tasks: a job is never cut, so any cut gives the same."""
    names = tuple(module.name for module in modules)
    tasks = (AggregateTask(names, part) for part in jobs.iter_slices(config.aggregate_jobs) if part.height)
    results: list[dict[str, Partial]] = list(run_tasks(tasks))
    return {
        module.name: module.merge([result[module.name] for result in results] or [module.empty()]) for module in modules
    }


def read_archive(
    tar: Path, config: Config, run_tasks: RunTasks, clock: Clock, tell: Callable[[int], None]
) -> tuple[Account, pl.DataFrame | None, bytes]:
    """Decode and join all members of one tar.gz: its account, its jobs, and its reject file.

    For an archive that cannot be read the account says why, and there are no jobs.
    """
    reader = ArchiveReader(tar, limits_of(config))
    joiner, rejects = Joiner(), _RejectFile(config.reject_text_bytes)
    waiting: deque[Block] = deque()
    numbers = itertools.count(1)

    def tasks() -> Iterator[DecodeTask]:
        stream = reader.blocks()
        while True:
            with clock.stage("read"):
                item = next(stream, None)
            if item is None:
                return
            if isinstance(item, Header):
                rejects.begin(item)
            else:
                tell(reader.bytes_read)
                waiting.append(item)
                yield DecodeTask(item, next(numbers))

    try:
        with clock.stage("decode"):
            for decoded in run_tasks(tasks()):
                rejects.add(waiting.popleft(), decoded)
                joiner.add(decoded)
        clock.seconds["decode"] -= clock.seconds["read"]
        with clock.stage("join"):
            jobs, repeated = joiner.join()
    except Quarantine as error:
        size = tar.stat().st_size
        return Account(sha256=file_sha256(tar), bytes=size, quarantine=error.reason), None, b""
    ids = jobs[Job.job_id.name]
    account = Account(
        sha256=reader.sha256,
        bytes=reader.bytes_read,
        text_bytes=reader.text_bytes,
        passed_over=reader.passed_over,
        replaced=joiner.replaced,
        members={kind.value: members for kind, members in joiner.members.items() if members.lines},
        reasons=sorted((kind.value, reason, n) for (kind, reason), n in joiner.reasons.items()),
        jobs=jobs.height,
        repeated=repeated,
        first_id=int(ids[0]) if jobs.height else None,
        last_id=int(ids[-1]) if jobs.height else None,
    )
    return account, jobs, rejects.content()


def file_sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def job_ids(store: Store, key: str) -> pl.Series | None:
    """The ids of the jobs that were read of an archive, ascending; None where they are not known (any more)."""
    raw = store.get(JOBS, key)
    return None if raw is None else unpack_frame(raw, [Job.job_id.name])[Job.job_id.name]


def _load_jobs(store: Store, key: str) -> pl.DataFrame | None:
    raw = store.get(JOBS, key)
    return None if raw is None else unpack_frame(raw)


def _current(jobs: pl.DataFrame, store: Store, superseded: str) -> pl.DataFrame:
    """The jobs that no newer archive reports again."""
    if not superseded:
        return jobs
    raw = store.get(SUPERSEDED, superseded)
    if raw is None:
        raise FileNotFoundError(f"the store lost the superseded jobs {superseded}")
    gone = np.frombuffer(raw, np.int64)
    return jobs.filter(~np.isin(jobs[Job.job_id.name].to_numpy(), gone, assume_unique=True))


class _RejectFile:
    """The reject file of one archive: member, line (from 1, the header counted), reason, bytes, text."""

    def __init__(self, text_bytes: int) -> None:
        self._text_bytes = text_bytes
        self._lines: dict[tuple[Kind, int], int] = {}
        self._content: list[bytes] = []

    def begin(self, header: Header) -> None:
        self._lines[header.layout.kind, header.member] = 2 if header.has_header else 1

    def add(self, block: Block, decoded: Decoded) -> None:
        place = block.layout.kind, block.member
        self._content += _reject_lines(block.layout.kind, self._lines[place], decoded.rejects, self._text_bytes)
        self._lines[place] += decoded.lines

    def content(self) -> bytes:
        return b"".join(self._content)


REJECT_COLUMNS = ("member", "line", "reason", "bytes", "text")


def _reject_lines(kind: Kind, first: int, rejects: Iterable[Reject], text_bytes: int) -> Iterator[bytes]:
    for reject in rejects:
        text = escape(reject.text[:text_bytes].decode("utf-8", "replace"))
        fields = (kind.value, str(first + reject.line), reject.reason, str(len(reject.text)), text)
        yield ("\t".join(fields) + "\n").encode()
