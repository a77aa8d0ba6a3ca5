"""Writes an archive line by line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from build import HEADERS, line, write_archive

from grt_batch.schema.members import Kind


class Archive:
    """The lines of an archive that is being written."""

    def __init__(self, first_id: int = 1) -> None:
        self.members: defaultdict[Kind, list[bytes]] = defaultdict(list)
        self.next_id = first_id

    def add(self, kind: Kind, *fields: object) -> None:
        self.members[kind].append(line(*fields))

    def job(
        self,
        tool: str = "tool",
        state: str = "ok",
        created: object = "2024-06-01 10:00:00",
        metrics: Mapping[str, object] | None = None,
        inputs: Iterable[object] = (),
        outputs: Iterable[object] = (),
        params: Mapping[str, str] | None = None,
        version: str = "1.0",
    ) -> int:
        """One job with all that is recorded of it; the metrics are named `plugin name`."""
        job = self.next_id
        self.next_id += 1
        self.add(Kind.JOBS, job, tool, version, state, created)
        for name, value in (metrics or {}).items():
            self.add(Kind.METRIC_NUM, job, *name.split(" "), value)
        for direction, sizes in (("input", inputs), ("output", outputs)):
            for place, size in enumerate(sizes, 1):
                self.add(Kind.DATASETS, job, 100 * job + place, "bam", size, f"{direction}{place}", direction)
        for name, text in (params or {}).items():
            self.add(Kind.PARAMS, job, name, text)
        return job

    def write(self, folder: Path, name: str, generated: object, **headers: bytes) -> None:
        """Write the archive; `headers` are other than the usual ones."""
        members = {
            kind: headers.get(kind.value, HEADERS[kind]) + b"".join(lines) for kind, lines in self.members.items()
        }
        write_archive(folder, name, members, generated=generated)
