"""An archive, from its tar.gz to one partial per module. This defines what any number of ranks must equal.

`reduce_archive` is what a controller does. Its work is cut into tasks; `run_tasks` carries them out and gives the
results in the order of the tasks, as `map` does. Serially it is `map` itself; over MPI the workers stand behind it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from grt_batch.archive import ArchiveReader, Block, Header, Limits
from grt_batch.clock import Clock, Stage
from grt_batch.columns import Decoded, Reject
from grt_batch.config import Config
from grt_batch.errors import Quarantine, StoreDamaged
from grt_batch.jobs import Joiner
from grt_batch.joined import RECORDS, Job
from grt_batch.ledger import Account
from grt_batch.memory import give_back
from grt_batch.module import Module, Partial, discover
from grt_batch.packing import pack_frame, pack_partial, unpack_frame
from grt_batch.partials import Store, digest
from grt_batch.records import Kind
from grt_batch.redaction import Redaction
from grt_batch.tables import escape
from grt_batch.tasks import AggregateTask, DecodeTask, Frames, RunTasks
from grt_batch.texts import with_own_texts

READER_VERSION = 4
"""Raised whenever the decoder or the join gives other columns: every archive is then read again."""

ACCOUNT, REJECTS, PARTIAL, SUPERSEDED = "account", "rejects", "partial", "superseded"
"""The kinds of entries in the store, beside those of joined records, which have the record's kind."""


@dataclass(frozen=True)
class Order:
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

    def carry_out(self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]) -> Outcome:
        """Reduce the archive. Raises StoreDamaged, and CannotWrite."""
        return reduce_archive(self, config, store, run_tasks, progress)


@dataclass(frozen=True)
class Outcome:
    """What came of an order. The partials are in the store."""

    instance_id: str
    archive: str
    key: str
    account: Account


def limits_of(config: Config) -> Limits:
    """The limits of reading, as configured."""
    return Limits(config.block_bytes, config.max_archive_bytes, config.max_ratio, config.max_line_bytes)


def redaction_of(config: Config) -> Redaction:
    """What is redacted, as configured. Raises BadConfig."""
    redaction = Redaction(config.redact_patterns, config.redact_names)
    redaction.check()
    return redaction


def account_key(sha256: str, config: Config) -> str:
    """The key of what is read of a tar.gz: its bytes, and all in the program and its configuration that matters."""
    limits = (config.max_archive_bytes, config.max_ratio, config.max_line_bytes)
    rejects = (config.reject_text_bytes, config.max_reject_bytes)
    return digest(ACCOUNT, READER_VERSION, sha256, *limits, *rejects, config.redact_patterns, config.redact_names)


def partial_key(key: str, module: Module, superseded: str, since: date) -> str:
    """The key of the partial of one archive, `key` as in `account_key`."""
    return digest(PARTIAL, key, module.name, module.version, superseded, since if module.looks_back else "")


def wanted_by(modules: Iterable[Module]) -> tuple[str, ...]:
    """The kinds of joined records that modules need, besides the jobs."""
    needs = {need.kind for module in modules for need in module.needs}
    return tuple(kind for kind in RECORDS if kind in needs and kind != Job.kind)


def load_account(store: Store, key: str) -> Account | None:
    """What was read of an archive, None where that is not known (any more)."""
    raw = store.get(ACCOUNT, key)
    return None if raw is None else Account.from_json(raw)


def reduce_archive(
    order: Order, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> Outcome:
    """Carry out an order. `progress` is told the bytes of the tar.gz that were dealt with, as they are. The clock of
    the store counts what it takes."""
    with store.clock.stage(Stage.LEAD, of=order.place):
        return _reduce_archive(order, config, store, run_tasks, progress)


def _reduce_archive(
    order: Order, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> Outcome:
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
    modules = [discover()[name] for name in order.modules]
    frames: dict[str, pl.DataFrame] | None = None
    if account is None:
        wanted = wanted_by(modules)
        if not order.tar:
            raise StoreDamaged(store=store.root)
        account, frames, rejects = read_archive(Path(order.tar), config, wanted, run_tasks, clock, tell)
        give_back(account.text_bytes)
        if not account.sha256:
            return Outcome(order.instance_id, order.archive, "", account)
        key = account_key(account.sha256, config)
        with clock.stage(Stage.STORE):
            if frames is not None:
                for kind, frame in frames.items():
                    store.put(kind, key, pack_frame(frame))
                store.put(REJECTS, key, rejects)
            store.put(ACCOUNT, key, account.to_json())
    if account.quarantine is None:
        missing = [
            module
            for module in modules
            if order.again or not store.has(PARTIAL, partial_key(key, module, order.superseded, order.since))
        ]
        if not order.tar:
            missing = _computable(store, key, missing) if account.reader == READER_VERSION else []
        if missing:
            with clock.stage(Stage.LOAD):
                frames = _load_frames(store, key, wanted_by(missing)) if frames is None else frames
            if frames is None:
                store.drop(ACCOUNT, key)
                return _reduce_archive(order, config, store, run_tasks, progress)
            frames = _current(frames, store, order.superseded)
            for module, partial in aggregate(frames, missing, order.since, config, run_tasks):
                with clock.stage(Stage.STORE):
                    packed = pack_partial(partial)
                    store.put(PARTIAL, partial_key(key, module, order.superseded, order.since), packed)
    tell(order.bytes)
    give_back(account.text_bytes)
    return Outcome(order.instance_id, order.archive, key, account)


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
    tasks = (AggregateTask(names, part, since) for part in _cut(frames, config.aggregate_jobs))
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


def read_archive(
    tar: Path,
    config: Config,
    wanted: tuple[str, ...],
    run_tasks: RunTasks,
    clock: Clock,
    tell: Callable[[int], None],
) -> tuple[Account, dict[str, pl.DataFrame] | None, bytes]:
    """Decode and join all members of one tar.gz: its account, its jobs and the `wanted` kinds of records, and its
    reject file.

    For an archive that cannot be read the account says why, and there are no records; where the file itself cannot be
    read, the hash is empty.
    """
    reader = ArchiveReader(tar, limits_of(config), clock)
    redaction = redaction_of(config)
    joiner, rejects = Joiner(wanted), _RejectFile(config, redaction)
    waiting: deque[Block] = deque()
    numbers = itertools.count(1)

    def tasks() -> Iterator[DecodeTask]:
        stream = reader.blocks()
        while True:
            with clock.stage(Stage.GUNZIP):
                item = next(stream, None)
            if item is None:
                return
            if isinstance(item, Header):
                rejects.begin(item)
            else:
                tell(reader.bytes_read)
                waiting.append(item)
                yield DecodeTask(item, next(numbers), wanted, redaction)

    try:
        for decoded in run_tasks(tasks()):
            rejects.add(waiting.popleft(), decoded)
            joiner.add(decoded)
        with clock.stage(Stage.JOIN, reader.text_bytes):
            joined, repeated = joiner.join()
    except Quarantine as error:
        sha256 = file_sha256(tar)
        size = tar.stat().st_size if sha256 else 0
        # The name of a member is a path of the exporter's machine.
        reason = redaction.lines(pl.Series([error.reason])).item()
        return Account(sha256=sha256, bytes=size, reader=READER_VERSION, quarantine=reason), None, b""
    for kind, redacted in rejects.redacted.items():
        joiner.members[kind].redacted += redacted
    jobs = joined[Job]
    ids, last_day = jobs[Job.job_id.name], jobs[Job.day.name].max()
    account = Account(
        sha256=reader.sha256,
        bytes=reader.bytes_read,
        reader=READER_VERSION,
        text_bytes=reader.text_bytes,
        passed_over=reader.passed_over,
        replaced=joiner.replaced,
        members={kind.value: members for kind, members in joiner.members.items() if members.lines},
        reasons=sorted((kind.value, reason, n) for (kind, reason), n in joiner.reasons.items()),
        jobs=jobs.height,
        repeated=repeated,
        first_id=int(ids[0]) if jobs.height else None,
        last_id=int(ids[-1]) if jobs.height else None,
        last_day=last_day.isoformat() if isinstance(last_day, date) else None,
    )
    return account, {record.kind: frame for record, frame in joined.items()}, rejects.content()


def file_sha256(path: Path) -> str:
    """The hash of a file, "" of one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def job_ids(store: Store, key: str) -> pl.Series | None:
    """The ids of the jobs that were read of an archive, ascending; None where they are not known (any more)."""
    raw = store.get(Job.kind, key)
    return None if raw is None else unpack_frame(raw, [Job.job_id.name])[Job.job_id.name]


def _computable(store: Store, key: str, modules: Sequence[Module]) -> list[Module]:
    """The modules of which all that they need of an archive can be read back."""
    good = {kind for kind in (Job.kind, *wanted_by(modules)) if store.get(kind, key) is not None}
    return [module for module in modules if good.issuperset((Job.kind, *wanted_by([module])))]


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


class _RejectFile:
    """The reject file of one archive: member, line (from 1, the header counted), reason, bytes, text."""

    def __init__(self, config: Config, redaction: Redaction) -> None:
        self._text_bytes = config.reject_text_bytes
        self._most, self._size = config.max_reject_bytes, 0
        self._redaction = redaction
        self.redacted: Counter[Kind] = Counter()
        self._lines: dict[tuple[Kind, int], int] = {}
        self._content: list[bytes] = []

    def begin(self, header: Header) -> None:
        self._lines[header.layout.kind, header.member] = 2 if header.has_header else 1

    def add(self, block: Block, decoded: Decoded) -> None:
        place = block.layout.kind, block.member
        if decoded.rejects:
            raw = pl.Series([reject.text.decode("utf-8", "replace") for reject in decoded.rejects])
            texts = self._redaction.lines(raw)
            self.redacted[block.layout.kind] += int((texts != raw).sum())
            first = self._lines[place]
            lines = _reject_lines(block.layout.kind, first, decoded.rejects, texts, self._text_bytes)
            self._content.append(b"".join(lines))
            self._size += len(self._content[-1])
            if 0 < self._most < self._size:
                raise Quarantine(f"its rejected lines take more than {self._most} bytes")
        self._lines[place] += decoded.lines

    def content(self) -> bytes:
        return b"".join(self._content)


REJECT_COLUMNS = ("member", "line", "reason", "bytes", "text")


def _reject_lines(
    kind: Kind, first: int, rejects: Iterable[Reject], texts: Iterable[str], text_bytes: int
) -> Iterator[bytes]:
    for reject, whole in zip(rejects, texts, strict=True):
        text = escape(whole.encode()[:text_bytes].decode("utf-8", "replace"))
        fields = (kind.value, str(first + reject.line), reject.reason, str(len(reject.text)), text)
        yield ("\t".join(fields) + "\n").encode()
