"""Probes of the configuration and of the folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from grt_batch.core.config import Config
from grt_batch.core.config_file import load, origins
from grt_batch.core.errors import BadConfig, CannotWrite, NothingToRead
from grt_batch.core.logs import without_passwords
from grt_batch.core.variables import complaint
from grt_batch.doctor.file_systems import lacking
from grt_batch.doctor.findings import Finding, ok, problem, warning

ENOUGH_BYTES = 1 << 30
"""A folder with less free space is reported."""


_LONGEST = 100
"""Characters of a value that are shown."""


def configured(file: Path | None, options: Mapping[str, Any]) -> tuple[Config, list[Finding]]:
    """Return the configuration, each key's value and origin, or what is wrong. A bad file leaves the defaults."""
    try:
        config = load(file, options)
        come_from = origins(file, options)
    except BadConfig as error:
        given = {name: value for name, value in options.items() if value is not None}
        return Config(**given), [problem("configuration", error)]
    strange = complaint()
    return config, [
        *(
            ok("configuration", f"{key.name} = {_shown(getattr(config, key.name), key)}  ({come_from[key.name]})")
            for key in fields(config)
        ),
        *([warning("configuration", strange, "Correct the name, or unset it.")] if strange else []),
    ]


def _shown(value: object, key: Field[Any]) -> str:
    if key.metadata["secret"] and value:
        return "(set, and not shown)"
    # A password that is cut off would not be found.
    text = repr(without_passwords(value)) if isinstance(value, str) else without_passwords(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def readable(root: Path) -> Iterator[Finding]:
    """Report whether the uploads can be read."""
    try:
        with os.scandir(root) as entries:
            folders = [entry for entry in entries if entry.is_dir()]
        closed = [entry.name for entry in folders if not os.access(entry.path, os.R_OK | os.X_OK)]
    except OSError as error:
        yield problem("uploads", NothingToRead(folder=root, what=error.strerror or error))
        return
    if not folders:
        yield problem("uploads", NothingToRead(folder=root, what="it has no folder of an instance"))
    elif closed:
        remedy = "Grant the user of the program read permission; a run passes over them."
        yield warning("uploads", f"{root} has folders without read permission: {', '.join(closed)}", remedy)
    else:
        yield ok("uploads", f"{root.resolve()}, {len(folders)} folders, {_file_system(root)}")


def writable(subject: str, folder: Path) -> Iterator[Finding]:
    """Report whether a folder can be written, or made where it does not exist, its free space, and what it lacks."""
    try:
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        # Rights alone do not tell: the disk may be full, mounted read-only, or over the user's quota.
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(4096))
        free = shutil.disk_usage(there).free
        lacks = list(lacking(subject, there))
    except OSError as error:
        yield problem(subject, CannotWrite(folder=folder, what=error.strerror or error))
        return
    state = "" if there == folder.absolute() else ", which the first run makes"
    found = f"{folder.absolute()}{state}, {_file_system(there)}, {free / 2**30:.1f} GiB free"
    yield ok(subject, found) if free >= ENOUGH_BYTES else warning(subject, found, "Free some space.")
    yield from lacks


def _file_system(place: Path) -> str:
    """Return the type of the file system of an existing file or folder, as Linux names it."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown file system"
    mounts = [(Path(mount.replace("\\040", " ")), kind) for _, mount, kind, *_ in map(str.split, lines)]
    whole = place.resolve()
    # A later mount hides an earlier one of the same folder.
    inside = [(len(mount.parts), at, kind) for at, (mount, kind) in enumerate(mounts) if whole.is_relative_to(mount)]
    return max(inside, default=(0, 0, "unknown file system"))[2]
