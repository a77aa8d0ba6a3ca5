"""The formats of the exporters over the years, and the instances of a sample that run them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from grt_batch.sample.catalogue import Catalogue
from grt_batch.sample.names import NUMBER, Written

COLUMNS = {
    "jobs": ("id", "tool_id", "tool_version", "state", "create_time"),
    "metric_num": ("job_id", "plugin", "name", "value"),
    "metric_txt": ("job_id", "plugin", "name", "value"),
    "params": ("job_id", "name", "value"),
    "datasets": ("job_id", "dataset_id", "extension", "file_size", "param_name", "type"),
}


class Shape(Enum):
    """How the value of a parameter was written over the years."""

    OBJECT = "the object {name: value}"
    TWICE = "JSON of JSON"
    THRICE = "JSON of an object {name: JSON}, encoded again"
    NESTED = "JSON of an object {name: value}, encoded again"
    BARE = "text as it is"

    def write(self, name: str, value: object) -> str:
        """Return the text of a parameter's value in this shape."""
        if isinstance(value, Written):
            return value.value
        match self:
            case Shape.OBJECT:
                return json.dumps({name: value})
            case Shape.TWICE:
                return json.dumps(json.dumps(value))
            case Shape.THRICE:
                return json.dumps(json.dumps({name: json.dumps(value)}))
            case Shape.NESTED:
                return json.dumps(json.dumps({name: value}))
            case Shape.BARE:
                return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def split(self, name: str, value: object) -> tuple[str, str | None]:
        """Return the text before and after the NUMBER in the value; all of it and None if it has none."""
        before, number, after = self.write(name, value).partition(str(NUMBER))
        return before, after if number else None


@dataclass(frozen=True)
class Release:
    """The exporter of one Galaxy release."""

    galaxy_version: str
    version: int
    """of N.json"""
    members: tuple[str, ...]
    shapes: tuple[Shape, ...] = ()
    """of the parameters, in turn"""
    headers: bool = True
    breaks_lines: bool = False
    """writes a row field by field and stops at the first null"""
    cgroups: int = 0
    """version of the control groups of the compute nodes; 0 for none"""
    rounds_sizes: bool = False
    """file_size to 2 significant digits, -1 for null or zero"""
    tools: str | None = None
    """the form of the tools in N.json: arrays, objects (with the rest of the design), or None for no list"""

    def columns(self, member: str) -> tuple[str, ...]:
        """Return the columns of a member; the first real archives had neither headers nor the last job columns."""
        if member == "jobs" and not self.headers:
            return ("id", "tool_id", "state")
        return COLUMNS[member]


_OLDEST = ("jobs", "metric_num", "metric_txt", "params")


_NEWEST = ("jobs", "datasets", "metric_num")


_ALL = ("jobs", "datasets", "metric_num", "params")


RELEASE_1706 = Release("17.09", 1, _OLDEST, (Shape.OBJECT,), headers=False, tools="arrays")


RELEASE_1709 = Release("17.09", 1, _OLDEST, (Shape.TWICE,), tools="arrays")


RELEASE_1805 = Release("18.05", 1, _ALL, (Shape.TWICE, Shape.NESTED), breaks_lines=True, cgroups=1, tools="arrays")


DESIGN = Release("17.09", 1, _ALL, (Shape.TWICE, Shape.BARE), cgroups=1, tools="objects")


RELEASE_1809 = Release("18.09", 2, _ALL, (Shape.THRICE, Shape.NESTED, Shape.TWICE), breaks_lines=True, cgroups=1)


RELEASE_1905 = Release("19.05", 3, _NEWEST, breaks_lines=True, cgroups=1, rounds_sizes=True)


RELEASE_2205 = Release("22.05", 3, _NEWEST, cgroups=2, rounds_sizes=True)


RELEASE_2401 = Release("24.1", 3, _NEWEST, cgroups=2, rounds_sizes=True)


@dataclass(frozen=True)
class Profile:
    """An instance of the sample: its releases, its times and its metadata."""

    releases: tuple[Release, ...]
    """of its archives, oldest first; further archives have the last one"""
    silent_days: int
    """between its newest archive and the newest one of the sample"""
    span_days: int
    """from its first job to its newest archive"""
    metadata: dict[str, Any] | None
    """metadata.json; None for the old layout, which has neither this file nor the folder archives/"""
    counts_archives: bool = False
    """names its archives 0, 1, 2 rather than by the time"""
    reports_again: bool = False
    """its newest archive repeats the newest jobs of the one before"""

    def release(self, archive: int) -> Release:
        """Return the release that wrote an archive, counted from 0."""
        return self.releases[min(archive, len(self.releases) - 1)]


PROFILES = (
    Profile(
        (RELEASE_1905, RELEASE_2205, RELEASE_2401),
        silent_days=0,
        span_days=90,
        metadata={
            "url": "https://galaxy.example.org/",
            "title": "Galaxy Zürich · 生命科学",
            "description": "Offen für alle; ouvert à tous 🌍",
            "public": True,
            "latitude": 47.3769,
            "longitude": 8.5417,
            "owners": ["Jürg Müller", "大野 愛"],
        },
        reports_again=True,
    ),
    Profile(
        (RELEASE_1809,),
        silent_days=1,
        span_days=60,
        metadata={
            "url": "https://galaxy.hospital.example.org/",
            "title": "Hospital Genomics",
            "description": "Not for the public",
            "public": False,
            "latitude": -37.8,
            "longitude": 144.96,
            "owners": ["galaxy-admins"],
        },
    ),
    Profile(
        (DESIGN,),
        silent_days=9,
        span_days=400,
        metadata={
            "url": "https://lab.example.org/",
            "title": "Łódź Training Lab",
            "public": True,
            "room": "E 12",
        },
        counts_archives=True,
    ),
    Profile((RELEASE_1706, RELEASE_1709, RELEASE_1805), silent_days=2200, span_days=450, metadata=None),
)


def profiles_with(*releases: Release) -> tuple[Profile, ...]:
    """Return PROFILES, but all of them with these releases, and none silent for more than three days."""
    return tuple(replace(one, releases=releases, silent_days=min(one.silent_days, 3)) for one in PROFILES)


NOW = profiles_with(RELEASE_2205, RELEASE_2401)
"""Instances as they send today: jobs, datasets and metrics of the second control groups, and no parameters."""


BEFORE = profiles_with(RELEASE_1709, RELEASE_1805, RELEASE_1809)
"""Instances as they sent in 2017 and 2018: with nested parameters."""


def profile_of(instance: int, profiles: Sequence[Profile] = PROFILES) -> Profile:
    """Return the profile of an instance, counted from 0 for the largest. After the last, the first two take turns."""
    return profiles[instance if instance < len(profiles) else instance % min(2, len(profiles))]


def instance_id_of(instance: int, profiles: Sequence[Profile] = PROFILES) -> str:
    """Return a UUID that depends only on the number; a plain integer in the old layout."""
    if profile_of(instance, profiles).metadata is None:
        return str(instance)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.org/galaxy/{instance}"))


def report_of(
    release: Release,
    catalogue: Catalogue,
    generated: float,
    states: Mapping[str, int],
    report_hash: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return N.json, given the number of jobs by state and the report_hash of the tar.gz."""
    total = 5 + round(sum(states.values()) ** 0.6)
    common = {
        "version": release.version,
        "galaxy_version": release.galaxy_version,
        "users": {"active": int(rng.integers(1, total + 1)), "total": total},
        "jobs": dict(states),
    }
    metrics: dict[str, Any]
    if release.tools == "objects":
        query_time, tarball_time = rng.uniform(0.1, 9, 2).round(3).tolist()
        metrics = {"query_time": query_time, "tarball_time": tarball_time}
        return common | {"generated": int(generated), "metrics": metrics, "tools": _tools(release, catalogue)}
    stages = ["init", "galaxy", "endpoint", *map("export_{}".format, release.members), "job", "hash"]
    times = rng.uniform(0.001, 2, len(stages)).cumsum().round(6).tolist()
    metrics = {"_times": [[f"{stage}_end", time] for stage, time in zip(stages, times, strict=True)]}
    report = common | {"generated": str(generated), "metrics": metrics, "report_hash": report_hash}
    return report if release.tools is None else report | {"tools": _tools(release, catalogue)}


def _tools(release: Release, catalogue: Catalogue) -> list[Any]:
    """Return the tools installed on the server, in the format of the release."""
    tools: list[Any] = []
    for tool_id, version in zip(catalogue.variant_ids, catalogue.variant_versions, strict=True):
        shed, _, in_shed = tool_id.partition("/repos/")
        repository, name = in_shed.split("/")[1:3] if in_shed else (None, tool_id)
        where = [shed, repository, f"{len(tool_id):012x}"] if in_shed else [None, None, None]
        if release.tools == "arrays":
            tools.append([tool_id, name, version, *where])
        else:
            keys = ("toolshed", "name", "changeset_revision")
            found = dict(zip(keys, where, strict=True)) if in_shed else None
            tools.append({"id": tool_id, "version": version, "tool_shed_repository": found})
    return tools
