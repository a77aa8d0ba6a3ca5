"""The keys of store entries: which entries an archive has, for reduce, gc and verify alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from grt_batch.core.config import Config
from grt_batch.core.digest import digest
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Module
from grt_batch.store.store import Store

MERGED = "merged"
"""The kind of entries in the store that are merged prefixes of an instance's archives."""


def merged_keys(module: Module, cubes: Iterable[str], partials: Iterable[str]) -> list[str]:
    """The keys of some cubes of a module, merged over none, the first, the first two of these partials, and so on."""
    keys = [digest(MERGED, module.name, module.version, *sorted(cubes))]
    for key in partials:
        keys.append(digest(keys[-1], key))
    return keys


READER_VERSION = 4
"""Raised whenever the decoder or the join gives other columns: every archive is then read again."""


ACCOUNT, REJECT_FILE, PARTIAL, SUPERSEDED = "account", "rejects", "partial", "superseded"
"""The kinds of entries in the store, beside those of joined records, which have the record's kind."""


def account_key(sha256: str, config: Config) -> str:
    """The key of what is read of a tar.gz: its bytes, and all in the program and its configuration that matters."""
    limits = (config.max_archive_bytes, config.max_ratio, config.max_line_bytes)
    rejects = (config.reject_text_bytes, config.max_reject_bytes)
    return digest(ACCOUNT, READER_VERSION, sha256, *limits, *rejects, config.redact_patterns, config.redact_names)


def partial_key(key: str, module: Module, superseded: str, since: date) -> str:
    """The key of the partial of one archive, `key` as in `account_key`."""
    return digest(PARTIAL, key, module.name, module.version, superseded, since if module.looks_back else "")


def load_account(store: Store, key: str) -> Account | None:
    """What was read of an archive, None where that is not known (any more)."""
    raw = store.get(ACCOUNT, key)
    return None if raw is None else Account.from_json(raw)


SUPERSEDING = "superseding"
"""The kind of entries in the store that say which jobs newer archives replace."""


def superseding_key(older: str, newer: Iterable[str]) -> str:
    """Return the key of what is known of the jobs of an archive that newer ones report again, by their account keys."""
    return digest(SUPERSEDING, older, *newer)
