"""SHA-256 digests of values, of files, and of source code."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Iterator
from importlib.machinery import BYTECODE_SUFFIXES, ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import orjson

_PYC_HEADER_BYTES = 16
"""The magic number, the flags, and the date and size of the source (PEP 552)."""


def digest(*parts: object) -> str:
    """Return a key for a value that depends only on `parts`."""
    return hashlib.sha256(orjson.dumps([str(part) for part in parts])).hexdigest()[:40]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def source_digest(*names: str) -> str:
    """Return a digest of the source of Python modules, and of all modules in packages, by their full names.

    The modules are not imported. They may lie in a zip file; where only bytecode is installed, the digest is of that.
    """
    return digest(*(hashlib.sha256(_source(spec)).hexdigest() for name in names for spec in _specs(name)))


def _specs(name: str) -> Iterator[ModuleSpec]:
    """Yield the spec of a module, and of a package's modules in the order of their names."""
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name)
    yield spec
    for _, child, _ in pkgutil.iter_modules(spec.submodule_search_locations or ()):
        yield from _specs(f"{name}.{child}")


def _source(spec: ModuleSpec) -> bytes:
    # Loaders of folders and of zip files have this method alike.
    content: bytes = cast(Any, spec.loader).get_data(spec.origin)
    return content[_PYC_HEADER_BYTES:] if str(spec.origin).endswith(tuple(BYTECODE_SUFFIXES)) else content
