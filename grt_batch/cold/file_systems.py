"""File systems of fsspec as cold stores: a mounted tape, SFTP, other object stores. Everything there can be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from grt_batch.cold.store import Failed, Refused, StoredObject, Tier
from grt_batch.core.errors import BadColdStore
from grt_batch.core.files import sync_folder
from grt_batch.core.wording import on_one_line

PIECE = 1 << 20
"""Bytes that are copied at a time."""


HIDDEN = ".part"
"""What follows the name of an object that is not yet whole."""


class FileSystemStore:
    """A file system of fsspec. It has no checksums, so what was copied is read back."""

    def __init__(self, url: str) -> None:
        """Connect to the file system of a URL. Raises BadColdStore and ModuleNotFoundError."""
        try:
            self._system: Any = url_to_fs(url)[0]
        except ModuleNotFoundError:
            raise
        except ImportError as error:
            # fsspec says which package its protocol needs.
            raise BadColdStore(url=url, what=on_one_line(error)) from None
        except Exception as error:
            raise BadColdStore(url=url, what=on_one_line(error)) from None

    def find(self, url: str) -> StoredObject | None:
        """Return an object, None where there is none."""
        with _blamed(url):
            self._system.invalidate_cache()
            try:
                return StoredObject(int(self._system.info(self._path(url))["size"]))
            except FileNotFoundError:
                return None

    def put(self, url: str, file: Path, sha256: str) -> None:
        """Copy a file with this hash to a URL where nothing is: under another name, until it was read back."""
        path = self._path(url)
        with _blamed(url):
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            with file.open("rb") as source, self._system.open(path + HIDDEN, "wb") as target:
                for data in iter(lambda: source.read(PIECE), b""):
                    target.write(data)
                target.flush()
                # Only files of this host have a number and can be synced.
                with suppress(AttributeError, UnsupportedOperation):
                    os.fsync(target.fileno())
            if self._hash(path + HIDDEN) != sha256:
                raise Failed(f"{url} was damaged on the way")
            if self._system.exists(path):
                raise Failed(f"{url}: another object has come there meanwhile")
            self._system.mv(path + HIDDEN, path)
            if "file" in _protocols(self._system):
                sync_folder(Path(path).parent)

    def holds(self, url: str, file: Path, sha256: str) -> bool:
        """Return whether an object has the content of a file with this hash."""
        found = self.find(url)
        with _blamed(url):
            return found is not None and found.bytes == file.stat().st_size and self._hash(self._path(url)) == sha256

    def remove(self, url: str) -> None:
        """Remove an object that was copied wrongly."""
        with _blamed(url):
            self._system.rm_file(self._path(url))

    def thaw(self, url: str, tiers: Sequence[Tier], days: int) -> Tier | None:
        """Nothing is frozen here."""
        raise Failed(f"{url} is in no archive class")

    def read(self, url: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        with _blamed(url):
            yield from self._read(self._path(url))

    def requests(self, size: int) -> int:
        """File systems count none."""
        return 0

    def _hash(self, path: str) -> str:
        found = hashlib.sha256()
        for data in self._read(path):
            found.update(data)
        return found.hexdigest()

    def _read(self, path: str) -> Iterator[bytes]:
        with self._system.open(path, "rb") as source:
            yield from iter(lambda: source.read(PIECE), b"")

    def _path(self, url: str) -> str:
        return str(self._system._strip_protocol(url))


def _protocols(system: Any) -> Sequence[str]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


@contextmanager
def _blamed(url: str) -> Iterator[None]:
    """Say in one line what went wrong. Each file system has exceptions of its own."""
    try:
        yield
    except Failed:
        raise
    except FileNotFoundError:
        raise Failed(f"{url} is not there") from None
    except Exception as error:
        raise Refused(f"{url}: {on_one_line(error)}") from None
