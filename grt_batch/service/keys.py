"""The keys of the instances: a file that holds their hashes, and the check of a key that a caller shows."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from grt_batch.core.errors import BadKeys
from grt_batch.core.files import sync_folder
from grt_batch.core.logs import logger
from grt_batch.service.instances import give_to_owner_of

ADMIN = "*"
"""The instance whose keys are those of the administrators; elsewhere, too, it stands for all instances together."""


MOST_KEYS = 8
"""The most keys that an instance has at a time."""


_KEY_BYTES = 32


class Key(msgspec.Struct, frozen=True):
    """A key that is known by its hash. `name` is for people: it says which key to revoke.

    A key has 256 random bits, so nobody can find it by trying, and a hash that is slow to compute would protect
    nothing; it would only let callers with wrong keys keep the service busy.
    """

    name: str
    sha256: str
    created: str


class _File(msgspec.Struct):
    keys: dict[str, list[Key]] = {}


_NOBODY = [Key("", secrets.token_hex(32), "")] * MOST_KEYS
"""Hashes of no key."""


class KeyStore:
    """The file of the keys. Processes that read it notice what others change.

    What root writes belongs to the owner of `model`, the uploads folder.
    """

    def __init__(self, file: Path, model: Path) -> None:
        self.file = file
        self._model = model
        self._stamp: tuple[int, ...] | None = None
        self._keys: dict[str, list[Key]] = {}

    def of(self, instance_id: str) -> list[Key]:
        """Return the keys of an instance, oldest first. Raises BadKeys."""
        return list(_read(self.file).get(instance_id, ()))

    def instances(self) -> list[str]:
        """Return the ids that have keys. Raises BadKeys."""
        return sorted(_read(self.file))

    def add(self, instance_id: str) -> str:
        """Give an instance one more key and return it. It is kept nowhere. Raises BadKeys."""
        text = f"grt_{secrets.token_urlsafe(_KEY_BYTES)}"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changing() as keys:
            own = keys.setdefault(instance_id, [])
            if len(own) >= MOST_KEYS:
                raise BadKeys(file=self.file, what=f"{instance_id} has {MOST_KEYS} keys; revoke one first")
            own.append(Key(secrets.token_hex(4), _hash(text), now))
        return text

    def revoke(self, instance_id: str, name: str | None = None) -> int:
        """Take away the key of this name, or all keys of an instance. Return how many there were. Raises BadKeys."""
        with self._changing() as keys:
            own = keys.pop(instance_id, [])
            rest = [key for key in own if name is not None and key.name != name]
            if rest:
                keys[instance_id] = rest
        return len(own) - len(rest)

    def authenticate(self, header: str | None) -> str | None:
        """Return the instance that `<instance>:<key>` proves, ADMIN for an administrator, None for a wrong key.

        A key that is wrong costs the same work as one of an instance that does not exist.
        """
        self._refresh()
        instance_id, _, key = (header or "").partition(":")
        shown, right = _hash(key), False
        for known in (self._keys.get(instance_id, []) + _NOBODY)[:MOST_KEYS]:
            right |= hmac.compare_digest(known.sha256, shown)
        return instance_id if right else None

    def claimed(self, header: str | None) -> str | None:
        """Return the instance that a header names, None where no such instance has keys."""
        instance_id = (header or "").partition(":")[0]
        return instance_id if instance_id in self._keys else None

    def _refresh(self) -> None:
        """Read the file again if it has changed. One that cannot be read changes nothing."""
        stamp = _stamp(self.file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _read(self.file)
        except BadKeys as error:
            logger.error("%s", error)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, list[Key]]]:
        """Read the keys, and write them when the block ends without an error; one process at a time."""
        try:
            with self.file.with_name(f".{self.file.name}.lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                keys = _read(self.file)
                yield keys
                _write(self.file, keys, self._model)
        except OSError as error:
            raise BadKeys(file=self.file, what=error.strerror or error) from None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _stamp(file: Path) -> tuple[int, ...]:
    """Return what is another once the file, or the reason why it cannot be read, is another."""
    try:
        stat = file.stat()
    except OSError as error:
        return (error.errno or 0,)
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _read(file: Path) -> dict[str, list[Key]]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_File).keys
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadKeys(file=file, what=error.strerror or error) from None
    except msgspec.DecodeError as error:
        raise BadKeys(file=file, what=error) from None


def _write(file: Path, keys: dict[str, list[Key]], model: Path) -> None:
    """Replace the file as a whole, readable to its owner alone."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "wb") as out:
        give_to_owner_of(model, out.fileno())
        out.write(msgspec.json.format(msgspec.json.encode(_File(keys)), indent=1))
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
    sync_folder(file.parent)
