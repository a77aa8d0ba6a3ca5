"""Reads the configuration. Options win over the environment, and that over the file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from grt_batch.core.byte_order_mark import without_mark
from grt_batch.core.config import Config, is_section
from grt_batch.core.config_values import MAIN, REPORTS
from grt_batch.core.errors import BadConfig

DEFAULT_FILE = Path("config/grt_batch.toml")


FILE_VARIABLE = "GRT_BATCH_CONFIG"
"""The configuration file, where --config names none."""


ENVIRONMENT_PREFIX = "GRT_BATCH_"


def chosen_file(file: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return `file`, or the one that the environment names, or the default one if it exists."""
    if file is None and environment.get(FILE_VARIABLE):
        return Path(environment[FILE_VARIABLE])
    return DEFAULT_FILE if file is None and DEFAULT_FILE.is_file() else file


def load(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """Read `file` (or that of `chosen_file`), then the environment, then the `options` that are not None.

    Raise BadConfig for a file that is missing or malformed, an unknown key, or an invalid value.
    """
    file = chosen_file(file, environment)
    values: dict[str, Any] = {} if file is None else _read_file(file)
    for spec in fields(Config):
        text = environment.get(ENVIRONMENT_PREFIX + spec.name.upper())
        if text is not None:
            values[spec.name] = _from_text(spec.name, text)
    values.update({key: value for key, value in (options or {}).items() if value is not None})
    config = replace(Config(), **values)
    if int(config.file_mode, 8) != int(config.folder_mode, 8) & 0o666:
        what = f"[privacy] file_mode {config.file_mode} is not folder_mode {config.folder_mode} without x: set both"
        raise BadConfig(file=file or "of the environment", what=what)
    for name in (MAIN, REPORTS):
        if name in config.targets:
            what = f"[targets.{name}] has a name that is taken: {MAIN} is the key database, {REPORTS} the report set"
            raise BadConfig(file=file or "of the environment", what=what)
    return config


def origins(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Return the origin of each value that `load` returns: an option, a variable, the file, or the default."""
    file = chosen_file(file, environment)
    in_file = {} if file is None else _read_file(file)
    found: dict[str, str] = {}
    for spec in fields(Config):
        variable = ENVIRONMENT_PREFIX + spec.name.upper()
        if (options or {}).get(spec.name) is not None:
            found[spec.name] = f"--{spec.name}"
        elif variable in environment:
            found[spec.name] = variable
        else:
            found[spec.name] = str(file) if spec.name in in_file else "default"
    return found


def _read_file(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(without_mark(file.read_bytes()).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise BadConfig(file=file, what=error) from None
    known = {spec.name: spec for spec in fields(Config)}
    values: dict[str, Any] = {}
    for section, keys in document.items():
        if not isinstance(keys, dict):
            raise BadConfig(file=file, what=f"{section!r} is not in a [section]")
        if section in known and is_section(known[section]):
            values[section] = _checked(section, keys, str(file))
            continue
        for name, value in keys.items():
            spec = known.get(name)
            if spec is None or spec.metadata["section"] != section:
                raise BadConfig(file=file, what=f"[{section}] has no key {name!r}")
            values[name] = _checked(name, value, str(file))
    return values


def _from_text(name: str, text: str) -> Any:
    """Return a value of the environment: texts and paths as they are, anything else as TOML."""
    source = ENVIRONMENT_PREFIX + name.upper()
    if isinstance(getattr(Config(), name), str | Path):
        return _checked(name, text, source)
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        document = {}
    if document.keys() != {"value"}:
        secret = next(spec.metadata["secret"] for spec in fields(Config) if spec.name == name)
        given = "this" if secret else f"{text!r:.100}"
        raise BadConfig(file=source, what=f"{given} is not a value for {name}")
    return _checked(name, document["value"], source)


def _checked(name: str, value: Any, source: str) -> Any:
    """Return `value` in the type of the key, or raise BadConfig."""
    try:
        return msgspec.convert(value, _types()[name], dec_hook=_path)
    except msgspec.ValidationError as error:
        spec = next(spec for spec in fields(Config) if spec.name == name)
        metadata = spec.metadata
        given = "what was given" if metadata["secret"] else f"{value!r:.100}"
        key = f"[{name}]" if is_section(spec) else f"[{metadata['section']}] {name}"
        what = f"{key} is {metadata['unit']}, not {given}: {error}"
        raise BadConfig(file=source, what=what) from None


@cache
def _types() -> dict[str, Any]:
    return get_type_hints(Config, include_extras=True)


def _path(_: Any, value: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f"Expected a path, got {value!r:.100}")
    return Path(value)
