"""The configuration: read once, validated, frozen. Options win over the environment, that over the file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from grt_batch.core.errors import BadConfig
from grt_batch.core.redaction_defaults import NAMES, PATTERNS

DEFAULT_FILE = Path("config/grt_batch.toml")


_MOST_DAYS, _LARGEST_FRACTION = 36_500, 1000
"""A prediction further ahead, or a quota more often exceeded, is a slip of the pen."""


_MODE = re.compile("0?[67][0-7]{2}")
"""Rights of user, group and others: who runs the program reads and writes."""


ENVIRONMENT_PREFIX = "GRT_BATCH_"


def _key(default: Any, section: str, unit: str, doc: str, *, least: int = 0) -> Any:
    """A key of the configuration: its default, where it stands in the file, its unit, what it is for, and for a
    number the least that works."""
    metadata = {"section": section, "unit": unit, "doc": doc, "least": least}
    return (
        field(default_factory=dict, metadata=metadata) if default == {} else field(default=default, metadata=metadata)
    )


@dataclass(frozen=True)
class Level:
    """A warning `level` once the bytes predicted for `days` from the as-of day pass `fraction` of the quota."""

    level: int
    days: int
    fraction: float


DEFAULT_LEVELS = (Level(2, 7, 0.85), Level(3, 3, 0.80), Level(3, 7, 0.95))


@dataclass(frozen=True)
class Config:
    """Every key of the configuration; the defaults are those of config/grt_batch.toml."""

    uploads: Path = _key(Path("uploads"), "paths", "folder", "root of the instance folders")
    reports: Path = _key(Path("reports"), "paths", "folder", "where the TSV reports appear")
    work: Path = _key(Path("work"), "paths", "folder", "partial results, lock, embedded server; all ranks share it")
    database: str = _key(
        "embedded",
        "paths",
        "libpq URL or DSN",
        "where the tables go; embedded = a private server in the work folder",
    )

    settle_seconds: int = _key(
        0, "reading", "seconds", "an archive whose files changed more recently is left for the next run"
    )
    block_bytes: int = _key(4 << 20, "reading", "bytes", "size of the blocks that workers decode", least=1)
    max_archive_bytes: int = _key(
        256 << 30, "reading", "bytes", "an archive that unpacks to more is quarantined (0 = no limit)"
    )
    max_ratio: int = _key(
        250,
        "reading",
        "bytes per byte",
        "an archive that unpacks to more times its size is quarantined (0 = no limit)",
    )
    max_line_bytes: int = _key(64 << 20, "reading", "bytes", "an archive with a longer line is quarantined", least=1)
    reject_text_bytes: int = _key(
        65536,
        "reading",
        "bytes",
        "how much of a rejected line the reject file keeps; its full length stands beside it",
    )
    max_reject_bytes: int = _key(
        512 << 20, "reading", "bytes", "an archive whose reject file would be larger is quarantined (0 = no limit)"
    )

    redact_patterns: tuple[str, ...] = _key(
        PATTERNS,
        "privacy",
        "list of regular expressions",
        "what they match in a value becomes [redacted], one after another; in the syntax of Rust's crate regex",
    )
    redact_names: tuple[str, ...] = _key(
        NAMES,
        "privacy",
        "list of words",
        "the value of a parameter, text metric or key that has such a word in its name becomes [redacted]",
    )
    public_value_jobs: int = _key(
        5,
        "privacy",
        "jobs",
        "grt_public shows a parameter's value that so many jobs have, one of a public instance among them",
        least=1,
    )
    public_value_instances: int = _key(
        2, "privacy", "instances", "grt_public shows a parameter's value that jobs of so many instances have", least=1
    )
    folder_mode: str = _key(
        "0750", "privacy", "octal text", "rights of the folders that a run makes; what was there before keeps its own"
    )
    file_mode: str = _key(
        "0640", "privacy", "octal text", "rights of the files that a run makes: folder_mode without x"
    )

    aggregate_jobs: int = _key(500_000, "computing", "jobs", "jobs that a worker aggregates at a time", least=1)
    bytes_per_rank: int = _key(
        64 << 20,
        "computing",
        "bytes of tar.gz",
        "work that is worth one more rank in the advice of grt-batch plan",
    )
    max_ranks: int = _key(64, "computing", "ranks", "the most ranks that grt-batch plan advises")
    heartbeat_seconds: int = _key(
        60,
        "computing",
        "seconds",
        "with --ranks, a rank without a sign of life for longer is lost: the run ends with code 6 (0 = no limit)",
    )
    fault_tolerant: bool = _key(
        False,
        "computing",
        "true or false",
        "with --ranks, under an Open MPI 5 with ULFM, the others go on where a rank but the first is lost",
    )
    store_max_bytes: int = _key(
        0,
        "computing",
        "bytes",
        "what the store of partial results is cut down to at the end of a run (0 = no limit)",
    )

    lock_timeout_ms: int = _key(
        500,
        "database",
        "milliseconds",
        "how long the swap waits for readers before it steps back and tries again",
        least=1,
    )
    lock_tries: int = _key(
        60, "database", "times", "how often the swap is tried before the run ends with code 4", least=1
    )

    quota_bytes: int = _key(
        0,
        "reports",
        "bytes",
        "upload quota of an instance, held against its archives (0 = no quota, no warning)",
    )
    quotas: Mapping[str, int] = _key({}, "reports", "bytes by instance", "quotas that differ from quota_bytes")
    warning_levels: tuple[Level, ...] = _key(
        DEFAULT_LEVELS, "reports", "[level, days, fraction of the quota]", "when instance_status warns"
    )
    prediction_days: int = _key(
        90,
        "reports",
        "days",
        "the growth of an instance's uploads is that of its archives of so many days before its last one",
        least=1,
    )
    fresh_days: int = _key(
        35,
        "reports",
        "days",
        "an instance that sent nothing for longer has warning 2, for more than twice as long 3 (0 = no limit)",
    )
    change_min_jobs: int = _key(
        20,
        "reports",
        "jobs",
        "tool_change compares two windows of so many finished jobs each at least, the runtimes of so many ok jobs",
        least=1,
    )
    change_p_value: float = _key(
        0.01,
        "reports",
        "probability above 0, 1 at most",
        "a rate or a median changed when chance alone makes such a difference no more often than this",
    )
    change_min_rate: int = _key(
        5, "reports", "percentage points", "the error rate changed when it did so by this much at least"
    )
    change_runtime_percent: int = _key(
        50,
        "reports",
        "percent",
        "the runtime changed when the longer of the two medians is longer by this much at least",
        least=1,
    )
    tsv_defuse_formulas: bool = _key(
        False,
        "reports",
        "true or false",
        "put ' before texts of the TSV reports that a spreadsheet would take for a formula",
    )
    splitter_copy_to: str = _key(
        "", "reports", "URL of fsspec", "where the folder of the module splitter is copied to, s3://… (empty = nowhere)"
    )

    def quota_of(self, instance_id: str) -> int | None:
        """The upload quota of an instance in bytes, None where it has none."""
        return self.quotas.get(instance_id, self.quota_bytes) or None


def load(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """Read `file` (or the default one, where it exists), then the environment, then the `options` that are not None.

    Raises BadConfig for a file that is missing or malformed, an unknown key or a value of the wrong type.
    """
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    values: dict[str, Any] = {} if file is None else _read_file(file)
    for spec in fields(Config):
        text = environment.get(ENVIRONMENT_PREFIX + spec.name.upper())
        if text is not None:
            values[spec.name] = _from_text(spec.name, text)
    values.update({key: value for key, value in (options or {}).items() if value is not None})
    config = replace(Config(), **values)
    if int(config.file_mode, 8) != int(config.folder_mode, 8) & 0o666:
        what = f"file_mode {config.file_mode} is not folder_mode {config.folder_mode} without x: set both"
        raise BadConfig(file=file or "of the environment", what=what)
    return config


def _read_file(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadConfig(file=file, what=error) from None
    known = {spec.name: spec for spec in fields(Config)}
    values: dict[str, Any] = {}
    for section, keys in document.items():
        if not isinstance(keys, dict):
            raise BadConfig(file=file, what=f"{section!r} stands outside of a [section]")
        for name, value in keys.items():
            spec = known.get(name)
            if spec is None or spec.metadata["section"] != section:
                raise BadConfig(file=file, what=f"[{section}] has no key {name!r}")
            values[name] = _checked(name, value, str(file))
    return values


def _from_text(name: str, text: str) -> Any:
    """A value of the environment: text and paths as they are, anything else as TOML."""
    source = ENVIRONMENT_PREFIX + name.upper()
    if isinstance(getattr(Config(), name), str | Path):
        return _checked(name, text, source)
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        document = {}
    if document.keys() != {"value"}:
        raise BadConfig(file=source, what=f"{text!r:.100} is not a value for {name}")
    return _checked(name, document["value"], source)


def _checked(name: str, value: Any, source: str) -> Any:
    """`value` in the type of the key's default, or BadConfig."""
    default = getattr(Config(), name)
    if name == "warning_levels":
        if isinstance(value, list):
            return tuple(_level(item, source) for item in value)
        return _wrong(name, value, source)
    if name == "quotas":
        if isinstance(value, dict) and all(type(item) is int and item >= 0 for item in value.values()):
            return dict(value)
        return _wrong(name, value, source)
    if name in ("redact_patterns", "redact_names"):
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        return _wrong(name, value, source)
    if name in ("folder_mode", "file_mode"):
        return value if isinstance(value, str) and _MODE.fullmatch(value) else _wrong(name, value, source)
    if isinstance(default, bool):
        return value if isinstance(value, bool) else _wrong(name, value, source)
    if isinstance(default, int):
        least = next(spec.metadata["least"] for spec in fields(Config) if spec.name == name)
        return value if type(value) is int and least <= value < 2**63 else _wrong(name, value, source)
    if isinstance(default, float):
        # The only fraction is a probability.
        return float(value) if type(value) in (int, float) and 0 < value <= 1 else _wrong(name, value, source)
    # Only where nothing is the default, nothing can be said.
    if isinstance(value, str) and (value or default == ""):
        return Path(value) if isinstance(default, Path) else value
    return _wrong(name, value, source)


def _level(item: Any, source: str) -> Level:
    match item:
        case [int(level), int(days), int() | float() as fraction] if not any(isinstance(part, bool) for part in item):
            if level in (2, 3) and 0 <= days <= _MOST_DAYS and 0 < fraction <= _LARGEST_FRACTION:
                return Level(level, days, float(fraction))
    raise BadConfig(file=source, what=f"warning_levels are [2 or 3, days, fraction of the quota], not {item!r}")


def _wrong(name: str, value: Any, source: str) -> Any:
    metadata = next(spec.metadata for spec in fields(Config) if spec.name == name)
    least = f", {metadata['least']} at least" if metadata["least"] else ""
    raise BadConfig(file=source, what=f"{name} is {metadata['unit']}{least}, not {value!r:.100}")
