"""metadata.json of an instance and N.json of an archive, one reader for each version of the latter.

The JSON Schemas in config/schemas describe the same documents for those who write them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from grt_batch.core.byte_order_mark import without_mark
from grt_batch.core.errors import Quarantine
from grt_batch.schema.plausible import FIRST_SECOND, LAST_SECOND

NEWEST_VERSION = 3


MOST_BYTES = 16 << 20
"""The most bytes of a document; the list of tools of the largest servers takes some MB."""


_DEEPEST = 100
"""The deepest nesting of a document: no Galaxy writes more, and every later step would need the stack for it."""


_TIME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,20})?")


_DAY = 86_400


_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")


_TEXT_KEYS = ("url", "title", "description")


_KNOWN_KEYS = (*_TEXT_KEYS, "public", "latitude", "longitude", "owners")


@dataclass(frozen=True)
class InstanceMetadata:
    """metadata.json: what an instance says of itself. A missing `public` means not public."""

    url: str | None = None
    title: str | None = None
    description: str | None = None
    public: bool = False
    latitude: float | None = None
    longitude: float | None = None
    owners: tuple[str, ...] = ()
    other: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Report:
    """N.json: what an archive says of itself. `generated` is in Unix seconds, `sha256` the hash of its tar.gz.

    A `misdated` report is one whose date cannot be right; `generated` is then the number in its name.
    """

    version: int
    generated: Decimal
    galaxy_version: str | None
    sha256: str | None
    users_active: int | None
    users_total: int | None
    jobs: Mapping[str, int]
    document: Mapping[str, Any]
    misdated: bool = False


def read_instance(raw: bytes | None) -> InstanceMetadata:
    """Read metadata.json; `raw` is None for a missing one. Bad values are left out, and named in `problem`."""
    if raw is None:
        return InstanceMetadata()
    if len(raw) > MOST_BYTES:
        return InstanceMetadata(problem=f"metadata.json has more than {MOST_BYTES} bytes")
    try:
        document = _document(raw)
    except ValueError as error:
        return InstanceMetadata(problem=f"metadata.json is no JSON: {error}")
    if not isinstance(document, dict):
        return InstanceMetadata(problem="metadata.json is no JSON object")
    wrong: list[str] = []

    def take(key: str, accept: Callable[[Any], bool], default: Any) -> Any:
        value = document.get(key)
        if value is None:
            return default
        if accept(value):
            return value
        wrong.append(key)
        return default

    def degrees(limit: int) -> Callable[[Any], bool]:
        return lambda value: type(value) in (int, float) and -limit <= value <= limit

    owners = take("owners", lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value), ())
    values = {key: take(key, lambda value: isinstance(value, str), None) for key in _TEXT_KEYS}
    public = take("public", lambda value: isinstance(value, bool), False)
    latitude, longitude = take("latitude", degrees(90), None), take("longitude", degrees(180), None)
    return InstanceMetadata(
        **values,
        public=public,
        latitude=None if latitude is None else float(latitude),
        longitude=None if longitude is None else float(longitude),
        owners=tuple(owners),
        other={key: value for key, value in document.items() if key not in _KNOWN_KEYS},
        problem=f"metadata.json has values of a wrong type: {', '.join(wrong)}" if wrong else None,
    )


def read_report(raw: bytes, name: str) -> Report:
    """Read the N.json of the archive `name`. Raises Quarantine for a bad one."""
    if len(raw) > MOST_BYTES:
        raise Quarantine(f"{name}.json has more than {MOST_BYTES} bytes")
    try:
        document = _document(raw)
    except ValueError as error:
        raise Quarantine(f"{name}.json is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Quarantine(f"{name}.json is no JSON object")
    version = document.get("version")
    if type(version) is not int or version not in _READERS:
        raise Quarantine(f"{name}.json has version {version!r:.40}; known are 1 to {NEWEST_VERSION}")
    return _READERS[version](document, name)


def _version_1(document: dict[str, Any], name: str) -> Report:
    """The design (`generated` an integer, tools as objects, no hash) and Galaxy 17.09 and 18.05 (tools as arrays)."""
    tools = document.get("tools")
    if tools is not None and not (isinstance(tools, list) and all(isinstance(item, list | dict) for item in tools)):
        raise Quarantine(f"{name}.json: tools is no list of tools")
    # The list of installed tools says nothing about the jobs; it stays in the raw archive.
    return _common({key: value for key, value in document.items() if key != "tools"}, name)


def _version_2(document: dict[str, Any], name: str) -> Report:
    """Galaxy 18.09 to 19.01: without a list of tools."""
    return _common(document, name)


def _version_3(document: dict[str, Any], name: str) -> Report:
    """Galaxy 19.05 to today: as version 2, with other members in the tar."""
    return _common(document, name)


_READERS: dict[int, Callable[[dict[str, Any], str], Report]] = {1: _version_1, 2: _version_2, 3: _version_3}


def _common(document: dict[str, Any], name: str) -> Report:
    users = _object(document.get("users"), "users", name)
    jobs = _object(document.get("jobs"), "jobs", name)
    galaxy_version = document.get("galaxy_version")
    if galaxy_version is not None and not isinstance(galaxy_version, str):
        raise Quarantine(f"{name}.json: galaxy_version is no text")
    generated, misdated = _generated(document.get("generated", name), name), False
    if _is_impossible(generated, Decimal(name)):
        generated, misdated = _generated(name, name), True
    return Report(
        version=document["version"],
        generated=generated,
        misdated=misdated,
        galaxy_version=galaxy_version,
        sha256=_sha256(document.get("report_hash"), name),
        users_active=_count(users.get("active"), "users.active", name),
        users_total=_count(users.get("total"), "users.total", name),
        jobs={state: _count(count, f"jobs.{_shown(state)}", name, null=False) or 0 for state, count in jobs.items()},
        document=document,
    )


def _generated(value: Any, name: str) -> Decimal:
    """Return Unix seconds, from a number or a number as text."""
    text = str(value) if isinstance(value, str | float) or type(value) is int else ""
    # 253402300800 is the first second of the year 10000.
    if not _TIME.fullmatch(text) or Decimal(text) >= 253402300800:
        raise Quarantine(f"{name}.json: generated is no time: {value!r:.60}")
    return Decimal(text)


def _is_impossible(generated: Decimal, named: Decimal) -> bool:
    """Return whether an archive was not made then. An exporter takes its name and `generated` from one clock.

    The date of today would be no help: the tables must be the same on another day.
    """
    if not FIRST_SECOND <= named <= LAST_SECOND:
        return generated > LAST_SECOND
    return not FIRST_SECOND <= generated <= named + _DAY


def _object(value: Any, what: str, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Quarantine(f"{name}.json: {what} is no object")
    return value


def _shown(text: str) -> str:
    """Return the beginning of any text on one line."""
    return ascii(text[:40])[1:-1]


def _sha256(value: Any, name: str) -> str | None:
    if value is None:
        return None
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Quarantine(f"{name}.json: report_hash is no sha256: {value!r:.80}")
    return match[1].lower()


def _count(value: Any, what: str, name: str, *, null: bool = True) -> int | None:
    if (null and value is None) or (type(value) is int and 0 <= value < 2**63):
        return value
    raise Quarantine(f"{name}.json: {what} is no count: {value!r:.40}")


def _document(raw: bytes) -> Any:
    """Return what a document holds. Raises ValueError for one that is no JSON, or is nested too deep."""
    return _clean(orjson.loads(without_mark(raw)))


def _clean(value: Any, depth: int = 0) -> Any:
    """Return `value` without NUL characters, which PostgreSQL rejects."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested deeper than {_DEEPEST}")
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item, depth + 1) for key, item in value.items()}
    return value
