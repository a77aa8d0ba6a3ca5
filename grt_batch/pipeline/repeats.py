"""Jobs that several archives of an instance report: each counts once, in one of them."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from grt_batch.core.digest import digest
from grt_batch.pipeline.keys import IDS, SUPERSEDED
from grt_batch.store.job_ids import JobIds, pack_ids, unpack_ids
from grt_batch.store.store import Store


class Rival(NamedTuple):
    """An archive that counts jobs in place of another: `key` as in `account_key`.

    It counts all its jobs but the `superseded` ones, by their key, "" for none.
    """

    key: str
    superseded: str = ""


def superseded_key(ids: JobIds) -> str:
    """Return the store's key of superseded jobs, "" for none."""
    return digest(SUPERSEDED, sha256(ids.astype("<i8").tobytes()).hexdigest()) if len(ids) else ""


def load_ids(store: Store, kind: str, key: str) -> JobIds | None:
    """Return the ids of an entry, None where it is missing or damaged. Nothing has the key ""."""
    raw = store.get(kind, key) if key else b""
    return None if raw is None else unpack_ids(raw)


def put_superseded(store: Store, ids: JobIds) -> str:
    """Store the ids of superseded jobs, if there are any, and return their key."""
    key = superseded_key(ids)
    if key and not store.has(SUPERSEDED, key):
        store.put(SUPERSEDED, key, pack_ids(ids))
    return key


def counted_ids(store: Store, rival: Rival) -> JobIds | None:
    """Return the ids of the jobs that an archive counts, None where the store does not know (any more)."""
    ids, superseded = load_ids(store, IDS, rival.key), load_ids(store, SUPERSEDED, rival.superseded)
    return None if ids is None or superseded is None else ids[~_among(ids, superseded)]


def repeated(store: Store, ids: JobIds, rivals: Iterable[Rival]) -> tuple[JobIds, list[int | None]]:
    """Return those of `ids` that the rivals count, and how many each of them counts, None where that is not known."""
    found = np.zeros(len(ids), np.bool_)
    counts: list[int | None] = []
    for rival in rivals:
        others = counted_ids(store, rival)
        same = np.zeros(len(ids), np.bool_) if others is None else _among(ids, others)
        counts.append(None if others is None else int(same.sum()))
        found |= same
    return ids[found], counts


def _among(ids: JobIds, others: JobIds) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which of `ids` are among others. Usually there are none, since ids rise from archive to archive."""
    found = np.zeros(len(ids), np.bool_)
    if len(others):
        begin, end = np.searchsorted(ids, others[0]), np.searchsorted(ids, others[-1], "right")
        found[begin:end] = np.isin(ids[begin:end], others, assume_unique=True)
    return found
