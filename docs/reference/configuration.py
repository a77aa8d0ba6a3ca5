"""The reference of the configuration, and the default file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from grt_batch.core.config import Config, is_section
from grt_batch.core.config_file import ENVIRONMENT_PREFIX
from grt_batch.core.config_values import Level
from reference.markdown import code, grid, page


def configuration() -> str:
    """Every key of the configuration."""
    parts: list[str] = []
    for section, keys in _sections().items():
        rows = [
            (code(key.name), code(_toml(default)), key.metadata["unit"], key.metadata["doc"], code(_variable(key)))
            for key, default in keys
        ]
        parts += [f"## [{section}]", grid(("key", "default", "unit", "meaning", "environment"), rows)]
    return page(
        "Configuration",
        "The keys of `config/grt_batch.toml`. An option of the command line wins over the environment, the environment"
        " over the file, the file over the defaults. `--config`, else the variable `GRT_BATCH_CONFIG`, names another"
        " file. In the environment texts and folders stand as they are, anything"
        " else as in the file. A key or section that is not here is an error.",
        *parts,
    )


def default_file() -> str:
    """config/grt_batch.toml: every key with its default."""
    parts = [
        "# Every key with its default. Options win over the environment (GRT_BATCH_ and the key in capitals), that over"
        "\n# this file. Written by docs/generate.py; docs/configuration.md says the same."
    ]
    for section, keys in _sections().items():
        lines = [f"# {key.metadata['unit']}: {key.metadata['doc']}{_line(key, it)}" for key, it in keys]
        parts.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(parts) + "\n"


def _line(key: dataclasses.Field[Any], default: object) -> str:
    """The line of a key; the names in one that is a section are the reader's own."""
    return "" if is_section(key) else f"\n{key.name} = {_in_file(default)}"


def _in_file(value: object) -> str:
    """A default as TOML, a long list with a line for each of its items."""
    text = _toml(value)
    if len(text) < 100 or not isinstance(value, tuple):
        return text
    return "\n".join(["[", *(f"    {_toml(item)}," for item in value), "]"])


def _sections() -> dict[str, list[tuple[dataclasses.Field[Any], Any]]]:
    """The keys of each section with their defaults, in the order of Config."""
    sections: dict[str, list[tuple[dataclasses.Field[Any], Any]]] = {}
    for key in dataclasses.fields(Config):
        sections.setdefault(key.metadata["section"], []).append((key, getattr(Config(), key.name)))
    return sections


def _variable(key: dataclasses.Field[Any]) -> str:
    return ENVIRONMENT_PREFIX + key.name.upper()


def _toml(value: object) -> str:
    """A default as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case Level():
            return _toml(msgspec.structs.astuple(value))
        case tuple() | list():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            return "{" + ", ".join(f"{_toml(str(name))} = {_toml(item)}" for name, item in value.items()) + "}"
        case str() if "\\" in value and "'" not in value:
            return f"'{value}'"
        case str() | Path():
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
