"""Raw archives brought into a folder of uploads, from another folder or from a service."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import CannotWrite, Unavailable
from grt_batch.core.files import sync_file, sync_folder
from grt_batch.service.selection import Held
from grt_batch.uploads.scan import is_archive_name, is_instance_id

_PATIENCE = 60.0
"""Seconds that a service may be silent."""


@dataclass
class Fetched:
    """What was fetched: archives and bytes, the archives that were there before, and those in cold storage."""

    archives: int = 0
    bytes: int = 0
    before: int = 0
    cold: int = 0


def fetch_from_folder(archives: Iterable[Held], target: Path) -> Fetched:
    """Copy archives. Raises CannotWrite."""
    done = Fetched()
    for held in archives:
        done.cold += held.cold
        stats = [(target / name, path, path.stat()) for name, path in held.files]
        if all(_is_there(place, stat.st_size, stat.st_mtime) for place, _, stat in stats):
            done.before += bool(stats)
            continue
        for place, path, stat in stats:
            with path.open("rb") as source:
                _bring(source, place, stat.st_mtime)
            done.bytes += stat.st_size
        done.archives += 1
    return done


def fetch_from_service(url: str, key: str | None, given: Mapping[str, str], target: Path) -> Fetched:
    """Download the archives that pass a filter from the service at `url`, with a key as `<instance>:<key>`.

    Raises Unavailable and CannotWrite.
    """
    done, place = Fetched(), f"{url.rstrip('/')}/api/archives"
    with _blamed(url):
        for row in _listed(place, key, given):
            if not (is_instance_id(row["instance"]) and is_archive_name(row["archive"])):
                raise ValueError(f"it lists {row['instance']!r:.100}/{row['archive']!r:.100}")
            cold = row.get("cold") is True
            done.cold += cold
            if cold or row["state"] == "incomplete":
                continue
            names = [f"{row['instance']}/archives/{row['archive']}.{ending}" for ending in ("tar.gz", "json")]
            if _is_there(target / names[0], row["bytes"]) and _says(target / names[1], row["sha256"]):
                done.before += 1
                continue
            one = urlencode({"instance": row["instance"], "archive": row["archive"]})
            with _get(f"{place}/download?{one}", key) as answer, tarfile.open(fileobj=answer, mode="r|") as tar:
                done.bytes += _unpack(tar, names, row, target)
            done.archives += 1
    return done


def _unpack(tar: tarfile.TarFile, names: list[str], row: Mapping[str, Any], target: Path) -> int:
    """Bring both files of an archive to their places, and return their bytes."""
    size = 0
    for member in tar:
        source = tar.extractfile(member)
        if not names or member.name != names.pop(0) or source is None:
            raise ValueError(f"the tar of {row['instance']}/{row['archive']} has {member.name!r}")
        right = row["sha256"] if row["state"] == "published" and names else None
        _bring(source, target / member.name, member.mtime, right)
        size += member.size
    if names:
        raise ValueError(f"the tar of {row['instance']}/{row['archive']} lacks {names[0]}")
    return size


def _bring(source: IO[bytes], place: Path, modified: float, sha256: str | None = None) -> None:
    """Write a file to its place as a whole. Raises CannotWrite, and ValueError where its hash is not `sha256`."""
    hidden = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with hidden.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        if sha256 and file_sha256(hidden) != sha256:
            raise ValueError(f"{place.name} arrived damaged")
        os.utime(hidden, (modified, modified))
        sync_file(hidden)
        hidden.replace(place)
        sync_folder(place.parent)
    except OSError as error:
        raise CannotWrite(folder=place.parent, what=error.strerror or error) from None
    finally:
        with suppress(OSError):
            hidden.unlink()


def _is_there(place: Path, size: int, modified: float | None = None) -> bool:
    try:
        stat = place.stat()
    except OSError:
        return False
    return stat.st_size == size and (modified is None or int(stat.st_mtime) == int(modified))


def _says(place: Path, sha256: str | None) -> bool:
    """Return whether an N.json names this hash."""
    try:
        return (sha256 or "").encode() in place.read_bytes()
    except OSError:
        return False


def _listed(place: str, key: str | None, given: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    page = 1
    while page:
        with _get(f"{place}?{urlencode({**given, 'page': str(page)})}", key) as answer:
            document = orjson.loads(answer.read())
        yield from document["archives"]
        page = document["next_page"]


class _NoRedirect(HTTPRedirectHandler):
    """A key is for the address that it was given for, and for no other."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirection."""


def _get(url: str, key: str | None) -> closing[Any]:
    request = Request(url, headers={"Authorization": key} if key else {})
    opener = build_opener(_NoRedirect)
    return closing(opener.open(request, timeout=_PATIENCE))


@contextmanager
def _blamed(url: str) -> Iterator[None]:
    """Say in one sentence what a service did wrong."""
    try:
        yield
    except HTTPError as error:
        raise Unavailable(url=url, what=_message(error)) from None
    except (OSError, HTTPException, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(url=url, what=error) from None


def _message(error: HTTPError) -> str:
    with suppress(ValueError, KeyError, TypeError, OSError):
        return str(orjson.loads(error.read())["message"])
    return str(error)
