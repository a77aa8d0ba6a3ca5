"""The keys of store entries: which entries an archive has, for reduce, gc and verify alike.

A key follows the code that computes an entry. Whoever changes that code need not raise a version: the next run finds no
entry under the new key, and computes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from typing import NamedTuple

from grt_batch.core.config import Config
from grt_batch.core.digest import digest, source_digest
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export
from grt_batch.store.store import Store

READ_BY = (
    "grt_batch.core.byte_order_mark",
    "grt_batch.schema.members",
    "grt_batch.schema.records",
    "grt_batch.schema.escapes",
    "grt_batch.schema.plausible",
    "grt_batch.columns",
    "grt_batch.kernels",
    "grt_batch.uploads.archive",
    "grt_batch.uploads.strict_tar",
    "grt_batch.uploads.unpacking",
    "grt_batch.decode",
    "grt_batch.join",
    "grt_batch.ledger.account",
    "grt_batch.pipeline.read",
    "grt_batch.pipeline.tasks",
)
"""The code that turns the bytes of an archive into its account, job ids, reject file and joined records."""


COUNTED_BY = (
    "grt_batch.schema",
    "grt_batch.columns",
    "grt_batch.kernels",
    "grt_batch.aggregate",
    "grt_batch.modules.base",
    "grt_batch.modules.export",
    "grt_batch.modules.helpers",
    "grt_batch.pipeline.tasks",
    "grt_batch.pipeline.aggregation",
    "grt_batch.pipeline.reduce_archive",
    "grt_batch.pipeline.repeats",
)
"""The code that turns joined records into partials and merges them, beside the module's own file."""


MERGED = "merged"
"""The kind of entries in the store that are merged prefixes of an instance's archives."""


ACCOUNT, IDS, REJECT_FILE, PARTIAL, SUPERSEDED = "account", "ids", "rejects", "partial", "superseded"
"""The other kinds of entries in the store."""


@cache
def reader_code() -> str:
    """Return a digest of the code that reads archives."""
    return source_digest(*READ_BY)


@cache
def module_code(module: Module) -> str:
    """Return a digest of the code that makes the partials of a module: its file, its cubes, and what counts them."""
    return digest(source_digest(type(module).__module__), module.cubes, _counting_code())


@cache
def _counting_code() -> str:
    return source_digest(*COUNTED_BY)


def account_key(sha256: str, config: Config) -> str:
    """Return the key of what is read of a tar.gz: its bytes, the code and the settings that matter."""
    limits = (config.max_archive_bytes, config.max_ratio, config.max_line_bytes)
    rejects = (config.reject_text_bytes, config.max_reject_bytes)
    names = (config.redact_patterns, config.redact_names, config.left_out_params)
    return digest(ACCOUNT, reader_code(), sha256, *limits, *rejects, *names)


def partial_key(key: str, module: Module, superseded: str, since: date) -> str:
    """Return the key of the partial of one archive, `key` as in `account_key`."""
    return digest(PARTIAL, key, module.name, module_code(module), superseded, since if module.looks_back else "")


def merged_keys(module: Module, cubes: Iterable[str], partials: Iterable[str]) -> list[str]:
    """Return the keys of some cubes of a module, merged over none, the first, the first two of these partials, …"""
    keys = [digest(MERGED, module.name, module_code(module), *sorted(cubes))]
    for key in partials:
        keys.append(digest(keys[-1], key))
    return keys


def content_key(module: Module, merged: Iterable[object]) -> str:
    """Return a digest of all that the partial of a module over some instances is made of, by its `merged_keys`."""
    return digest(module.name, module_code(module), *merged)


def load_account(store: Store, key: str) -> Account | None:
    """Return what was read of an archive, None where that, or which jobs it has, is not known (any more)."""
    raw = store.get(ACCOUNT, key)
    account = None if raw is None else Account.from_json(raw)
    return account if account and (account.quarantine is not None or store.has(IDS, key)) else None


class StoreItem(NamedTuple):
    """An entry of the store that an archive needs. A `bulky` one is as large as the archive's records, and can be made
    again while its tar.gz can be read."""

    kind: str
    key: str
    bulky: bool = False


def items_read(key: str) -> Iterator[StoreItem]:
    """Yield the entries that hold what was read of an archive, `key` as in `account_key`."""
    for kind in (ACCOUNT, IDS, REJECT_FILE):
        yield StoreItem(kind, key)


def items_derived(key: str, superseded: str, since: date, modules: Iterable[Module]) -> Iterator[StoreItem]:
    """Yield the entries made of an archive that counts: which of its jobs are superseded, and its partials.

    `key` is as in `account_key`, `superseded` the key of the superseded jobs, "" for none.
    """
    if superseded:
        yield StoreItem(SUPERSEDED, superseded)
    for module in modules:
        yield StoreItem(PARTIAL, partial_key(key, module, superseded, since), bulky=isinstance(module, Export))
