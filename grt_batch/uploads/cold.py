"""The marker N.cold of an archive whose tar.gz was moved to cold storage: a small JSON file that says where its bytes
are.

Where N.tar.gz is there too, the archive is an ordinary one, and the marker only says that a copy exists elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

from grt_batch.core.errors import Quarantine
from grt_batch.core.files import rewrite, sync_folder

ENDING = ".cold"
"""What follows the name of an archive in that of its marker."""


MOST_BYTES = 1 << 20
"""The most bytes of a marker."""


Stamp = tuple[int, int, int]
"""What tells a file from another that has its name later: size, time in ns and inode."""


_HASH = re.compile(r"[0-9a-f]{64}")


_LARGEST = 2**64 - 1


@dataclass(frozen=True)
class ColdCopy:
    """A copy of N.tar.gz in cold storage: its fsspec `url`, and the hash and bytes of its content.

    `stamp` is that of N.tar.gz as it is or was here with this content, so that an archive that was read is known as
    such: whoever restores N.tar.gz writes its new stamp. `moved` is the time in UTC, ISO 8601, when the copy was made.
    `storage_class` is the store's name for how it keeps the copy, "" for a store without such. `thawing` is the time
    in UTC, ISO 8601, since when a request to restore it is under way, "" for none; `request` is what else is known of
    that.
    """

    url: str
    sha256: str
    bytes: int
    stamp: Stamp
    moved: str
    storage_class: str = ""
    thawing: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)


def marker_of(tar: Path) -> Path:
    """Return the path of the marker that lies beside N.tar.gz."""
    return tar.with_name(tar.name.removesuffix(".tar.gz") + ENDING)


def read_cold(path: Path) -> ColdCopy:
    """Read a marker. Keys that another version wrote are passed over. Raises Quarantine for a damaged one."""
    try:
        # Opening a pipe would wait for its other end.
        if not path.is_file():
            raise Quarantine(f"{path.name} cannot be read: it is no file")
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Quarantine(f"{path.name} cannot be read: {error.strerror or error}") from None
    if len(raw) > MOST_BYTES:
        raise Quarantine(f"{path.name} has more than {MOST_BYTES} bytes")
    try:
        document = orjson.loads(raw)
    except ValueError as error:
        raise Quarantine(f"{path.name} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Quarantine(f"{path.name} is no JSON object")
    wrong = [name for name, is_right in _RIGHT.items() if not is_right(document.get(name, _DEFAULTS.get(name)))]
    if wrong:
        raise Quarantine(f"{path.name} has no or a wrong {' and '.join(wrong)}")
    values = {known.name: document[known.name] for known in fields(ColdCopy) if known.name in document}
    size, modified, inode = values["stamp"]
    return ColdCopy(**{**values, "stamp": (size, modified, inode)})


def write_cold(path: Path, copy: ColdCopy) -> None:
    """Write a marker so that it is there as a whole, also after a crash, or as it was before. Raises OSError."""
    rewrite(path, orjson.dumps(asdict(copy), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sync_folder(path.parent)


def remove_cold(path: Path) -> None:
    """Remove a marker, if there is one, also for the time after a crash. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


_RIGHT: Mapping[str, Callable[[Any], bool]] = {
    "url": lambda value: _is_text(value) and value != "",
    "sha256": lambda value: isinstance(value, str) and _HASH.fullmatch(value) is not None,
    "bytes": _is_count,
    "stamp": lambda value: isinstance(value, list) and len(value) == 3 and all(map(_is_count, value)),
    "moved": lambda value: _is_text(value) and value != "",
    "storage_class": _is_text,
    "thawing": _is_text,
    "request": lambda value: isinstance(value, dict),
}
"""Whether a value of a marker can be right, by its key."""


_DEFAULTS: Mapping[str, Any] = {"storage_class": "", "thawing": "", "request": {}}
