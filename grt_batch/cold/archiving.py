"""Raw archives leave for cold storage.

Each goes through the same steps: copied, compared by the store's checksum, marked, and only then removed here. A call
that is killed at any step is repeated: what is there already is taken after it was compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from grt_batch.cold.policy import Leaving, is_published
from grt_batch.cold.store import Failed
from grt_batch.cold.stores import ColdStores
from grt_batch.cold.tally import Tally
from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import CannotWrite, Locked
from grt_batch.core.files import sync_folder
from grt_batch.core.work_folder import lock
from grt_batch.uploads.cold import ColdCopy, marker_of, write_cold
from grt_batch.uploads.scan import stamp_of


def object_url(target: str, one: Leaving) -> str:
    """Return the URL of an archive's copy below a target."""
    return f"{target.rstrip('/')}/{one.instance_id}/{one.name}.tar.gz"


def move(config: Config, archives: Iterable[Leaving], target: str, stores: ColdStores, tally: Tally) -> None:
    """Move archives to a target, one after another.

    Runs are kept out only while archives are removed here; those that were copied while a run holds the lock of the
    work folder wait. Raises Locked where they still do at the end, and CannotWrite.
    """
    waiting: list[tuple[Leaving, ColdCopy]] = []
    for one in archives:
        if tally.gives_up:
            break
        try:
            waiting.append((one, copied(one, target, stores)))
        except Failed as error:
            tally.fails(one.label, error)
            continue
        try:
            _leave(config, waiting, tally)
            waiting.clear()
        except Locked:
            tally.says(one.label, "copied; it stays here while a run holds the lock of the work folder")
    if waiting:
        _leave(config, waiting, tally)


def copied(one: Leaving, target: str, stores: ColdStores) -> ColdCopy:
    """Return the copy of an archive, made now where there is none. It was compared with the file. Raises Failed."""
    stamp = _published_stamp(one)
    before = one.before
    if before is not None and stores.of(before.url).holds(before.url, one.tar, one.sha256):
        return replace(before, thawing="", request={}, stamp=stamp, sha256=one.sha256)
    url = object_url(target, one)
    store = stores.of(url)
    is_new = store.find(url) is None
    if is_new:
        store.put(url, one.tar, one.sha256)
    if not store.holds(url, one.tar, one.sha256):
        if is_new:
            store.remove(url)
            raise Failed(f"the copy at {url} was damaged, and is removed there: try again")
        raise Failed(f"{url} is another object, and stays as it is: move it away, or choose another --to")
    found = store.find(url)
    if found is None:
        raise Failed(f"{url} has vanished")
    moved = datetime.now(UTC).isoformat(timespec="seconds")
    return ColdCopy(url, one.sha256, one.bytes, stamp, moved, found.storage_class)


def _published_stamp(one: Leaving) -> tuple[int, int, int]:
    """Return the stamp of a file that is what was published. Raises Failed for any other."""
    try:
        stamp = stamp_of(one.tar.stat())
        if file_sha256(one.tar) != one.sha256 or stamp_of(one.tar.stat()) != stamp:
            raise Failed("what lies here is not what was published: run grt-batch run first")
    except OSError as error:
        raise Failed(f"{one.tar} cannot be read: {error.strerror}") from None
    return stamp


def _leave(config: Config, copies: Sequence[tuple[Leaving, ColdCopy]], tally: Tally) -> None:
    """Remove here what is safe there, while no run can read it. Raises Locked and CannotWrite."""
    with lock(config.work):
        for one, copy in copies:
            try:
                _remove(config, one, copy)
            except Failed as error:
                tally.fails(one.label, error)
            except OSError as error:
                raise CannotWrite(folder=one.tar.parent, what=error.strerror or error) from None
            else:
                tally.takes(one.label, f"moved to {copy.url}", one.bytes)


def _remove(config: Config, one: Leaving, copy: ColdCopy) -> None:
    if not is_published(config, one):
        raise Failed("it is no longer what was published")
    try:
        is_same = stamp_of(one.tar.stat()) == copy.stamp
    except FileNotFoundError:
        is_same = False
    if not is_same:
        raise Failed("it has changed while it was copied")
    write_cold(marker_of(one.tar), copy)
    one.tar.unlink()
    sync_folder(one.tar.parent)
