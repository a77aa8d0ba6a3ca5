"""Reads sample uploads as a plain reader sees them."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOBS = 20_000
"""The number of jobs of the sample that most tests read."""
COLUMNS = {"jobs": 5, "metric_num": 4, "metric_txt": 4, "params": 3, "datasets": 6}


@dataclass(frozen=True)
class Archive:
    """An archive as a plain reader sees it: the lines of each member as fields, without the header."""

    instance_id: str
    json_file: Path
    report: dict[str, Any]
    members: dict[str, list[list[str]]]
    headers: bool

    @property
    def packed(self) -> Path:
        return self.json_file.with_name(self.json_file.name.removesuffix("json") + "tar.gz")

    @property
    def is_design(self) -> bool:
        return isinstance(self.report["generated"], int)

    def whole(self, member: str) -> list[list[str]]:
        """The lines with the right number of fields."""
        columns = 3 if member == "jobs" and not self.headers else COLUMNS[member]
        return [fields for fields in self.members[member] if len(fields) == columns]


def read(folder: Path) -> list[Archive]:
    """Every archive below `folder`, those of an instance in the order of their time."""
    archives = []
    for file in folder.rglob("*.json"):
        if file.name == "metadata.json":
            continue
        packed = file.with_name(file.name.removesuffix("json") + "tar.gz")
        members = {}
        with tarfile.open(packed) as tar:
            for info in tar:
                stream = tar.extractfile(info)
                assert stream is not None
                lines = stream.read().decode("utf-8").removesuffix("\n").split("\n")
                members[info.name.split(".")[-2]] = [line.split("\t") for line in lines if line]
        headers = members["jobs"][0][0] == "id"
        if headers:
            members = {member: lines[1:] for member, lines in members.items()}
        instance_id = file.relative_to(folder).parts[0]
        archives.append(Archive(instance_id, file, json.loads(file.read_text()), members, headers))
    return sorted(archives, key=lambda archive: (archive.instance_id, float(archive.report["generated"])))


def jobs_by_id(archive: Archive) -> dict[str, list[str]]:
    return {fields[0]: fields for fields in archive.whole("jobs")}


def values_of(archives: list[Archive], name: str) -> list[float]:
    """The values of a numeric metric over all archives."""
    return [
        float(value)
        for archive in archives
        for _, _, metric, value in archive.whole("metric_num")
        if metric == name and value != "None"
    ]
