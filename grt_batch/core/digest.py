"""SHA-256 digests of values and of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson


def digest(*parts: object) -> str:
    """The key of what depends on `parts` alone."""
    return hashlib.sha256(orjson.dumps([str(part) for part in parts])).hexdigest()[:40]


def file_sha256(path: Path) -> str:
    """The hash of a file, "" of one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
