"""What the tests of the exports share: joined records of the sample, cut as one likes, and written as a run writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.frames.ipc import pack_frames, unpack_frames
from grt_batch.join.child_records import attached
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, FolderExport, Part
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.records import RECORDS, Job, Records
from grt_batch.uploads.scan import scan

AS_OF = date(2024, 6, 30)
Change = Callable[[Records], Records]


def records_of(uploads: Path) -> list[tuple[str, Records]]:
    """The instance and the joined records of every archive, as a worker gets them."""
    found = []
    wanted = tuple(kind for kind in RECORDS if kind != Job.kind)
    for archive in scan(uploads).archives:
        _, frames, _ = read_archive(archive.tar, Config(), wanted, run_here, Clock(), lambda _: None)
        assert frames is not None
        jobs = frames[Job.kind]
        joined = {record: jobs if record is Job else attached(jobs, frames[kind]) for kind, record in RECORDS.items()}
        found.append((archive.instance_id, Records(joined)))
    return found


def of_jobs(records: Records, ids: Collection[int]) -> Records:
    """All that is recorded of these jobs."""
    some = pl.col(Job.job_id.name).is_in(list(ids))
    return Records({record: frame.filter(some) for record, frame in records.frames.items()})


def cut(records: Records, places: Sequence[int]) -> list[Records]:
    """Some jobs after the others, cut at these places."""
    ids = records[Job][Job.job_id.name]
    borders = [0, *sorted(min(place, len(ids)) for place in places), len(ids)]
    return [of_jobs(records, ids[begin:end]) for begin, end in pairwise(borders)]


def made(jobs: list[dict[str, Any]], **others: list[dict[str, Any]]) -> Records:
    """Records made by hand; what is not given is null, or false."""
    frames = {}
    for kind, record in RECORDS.items():
        schema = {field.name: field.type for field in record.fields()}
        frames[record] = pl.DataFrame(jobs if record is Job else others.get(kind, []), schema=schema).sort("job_id")
    return Records(frames)


@dataclass
class Archives:
    """The parts of archives, as an export makes them, and how often each was read."""

    export: FolderExport
    parts: list[ArchiveParts] = field(default_factory=list)
    loads: dict[str, int] = field(default_factory=dict)

    def add(self, instance_id: str, key: str, *records: Records) -> None:
        """An archive whose jobs were cut into these records."""
        partial = self.export.merge([self.export.empty(), *map(self.export.aggregate, records)])
        (frame,) = unpack_frames(pack_frames(partial)).values()
        rows = [Part(*row) for row in frame.iter_rows()]

        def load(names: Collection[str] | None = None) -> list[Part]:
            self.loads[key] = self.loads.get(key, 0) + 1
            return [part for part in rows if names is None or part.name in names]

        self.parts.append(ArchiveParts(instance_id, key, load))

    def write(self, folder: Path, before: Path | None = None, config: Config | None = None) -> Path:
        """Write the folder of the export."""
        self.loads.clear()
        folder.mkdir(parents=True)
        self.export.write(folder, self.parts, Ledger(AS_OF, config or Config(), ()), before)
        return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
