"""An archive, from its tar.gz to one partial per module.

`reduce_archive` cuts the work into tasks. `run_tasks` carries them out and returns the results in the order of the
tasks, as `map` does: in a serial run in this process, over MPI by the workers. So any number of ranks gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.core.memory import give_back
from grt_batch.core.timing import Stage
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Module, wanted_by
from grt_batch.modules.registry import discover
from grt_batch.pipeline.aggregation import aggregate
from grt_batch.pipeline.keys import ACCOUNT, IDS, PARTIAL, REJECT_FILE, account_key, load_account, partial_key
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.repeats import Rival, load_ids, put_superseded, repeated
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.schema.records import Job
from grt_batch.store.job_ids import JobIds, pack_ids
from grt_batch.store.store import Store


@dataclass(frozen=True)
class ReduceOrder:
    """Read an archive, unless the store has all that would be made of it: what was read, and its partials.

    Its partials leave out the jobs that `rivals` count, as far as the store knows these already. `key` names what was
    read of it before, "" if it was not read; `since` is the first day that windowed cubes count by itself. With `again`
    the store is ignored.
    """

    instance_id: str
    archive: str
    tar: str
    bytes: int
    modules: tuple[str, ...]
    since: date
    claimed_sha256: str = ""
    key: str = ""
    rivals: tuple[Rival, ...] = ()
    again: bool = False

    @property
    def place(self) -> str:
        """Return what the order is about, for error messages."""
        return f"{self.instance_id}/{self.archive}"

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> ReduceOutcome:
        """Reduce the archive. Raises CannotWrite."""
        return reduce_archive(self, config, store, run_tasks, progress)


@dataclass(frozen=True)
class ReduceOutcome:
    """The outcome of an order. The partials, without the `superseded` jobs, are in the store."""

    instance_id: str
    archive: str
    key: str
    account: Account
    superseded: str = ""


def reduce_archive(
    order: ReduceOrder, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> ReduceOutcome:
    """Carry out an order. `progress` is called with the bytes of the tar.gz just processed; the store's clock runs."""
    done = 0

    def advance(read: int) -> None:
        nonlocal done
        progress(read - done)
        done = read

    with store.clock.stage(Stage.LEAD, of=order.place):
        outcome = _known(order, config, store) or _read(order, config, store, run_tasks, advance)
        if outcome.key:
            advance(order.bytes)
        return outcome


def _known(order: ReduceOrder, config: Config, store: Store) -> ReduceOutcome | None:
    """Return the outcome where the store has all that would be made of the archive, None where it must be read."""
    key = "" if order.again else order.key or _key_of_known_content(order, config, store)
    account = load_account(store, key) if key else None
    if account is None:
        return None
    if account.quarantine is not None:
        return ReduceOutcome(order.instance_id, order.archive, key, account)
    ids = load_ids(store, IDS, key)
    superseded = None if ids is None else _superseded(order, store, ids)[1]
    if superseded is None or _missing(order, key, superseded, _modules(order, config), store):
        return None
    return ReduceOutcome(order.instance_id, order.archive, key, account, superseded)


def _key_of_known_content(order: ReduceOrder, config: Config, store: Store) -> str:
    """Return the account key of a file whose content was read under another name or date, "" for a new one.

    Its N.json tells; then hashing it is enough.
    """
    if not order.claimed_sha256 or not store.has(ACCOUNT, account_key(order.claimed_sha256, config)):
        return ""
    with store.clock.stage(Stage.READ):
        return account_key(file_sha256(Path(order.tar)), config)


def _read(
    order: ReduceOrder, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
) -> ReduceOutcome:
    """Read an archive; store its account, its job ids, its reject file, and the partials that are missing."""
    modules = _modules(order, config)
    account, records, rejects = read_archive(
        Path(order.tar), config, wanted_by(modules), run_tasks, store.clock, progress
    )
    give_back(account.text_bytes)
    if not account.sha256:
        return ReduceOutcome(order.instance_id, order.archive, "", account)
    key, superseded = account_key(account.sha256, config), ""
    if records is not None:
        ids = records[Job][Job.job_id.name]
        store.put(IDS, key, pack_ids(ids))
        store.put(REJECT_FILE, key, rejects)
    # Last: an account means that everything else that was read is stored.
    store.put(ACCOUNT, key, account.to_json())
    if records is not None:
        left_out, superseded = _superseded(order, store, ids)
        if superseded:
            records = records.without(left_out)
        missing = _missing(order, key, superseded, modules, store)
        partials = aggregate(records, missing, order.since, config, run_tasks) if missing else ()
        del records, ids
        for module, packed in partials:
            store.put(PARTIAL, partial_key(key, module, superseded, order.since), packed)
    give_back(account.text_bytes)
    return ReduceOutcome(order.instance_id, order.archive, key, account, superseded)


def _superseded(order: ReduceOrder, store: Store, ids: JobIds) -> tuple[JobIds, str]:
    """Return the jobs of an archive with these `ids` that its rivals count, and their key in the store."""
    superseded, _ = repeated(store, ids, order.rivals)
    return superseded, put_superseded(store, superseded)


def _modules(order: ReduceOrder, config: Config) -> list[Module]:
    known = discover(config.modules_dir)
    return [known[name] for name in order.modules]


def _missing(order: ReduceOrder, key: str, superseded: str, modules: Sequence[Module], store: Store) -> list[Module]:
    """Return the modules whose partials are to be made."""
    return [
        module
        for module in modules
        if order.again or not store.has(PARTIAL, partial_key(key, module, superseded, order.since))
    ]
