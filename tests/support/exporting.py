"""What the tests of the exports share: joined records of the sample, cut as one likes, and written as a run writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, FolderExport, Part
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import SECOND, SECONDS_SCALE
from grt_batch.schema.records import RECORDS, ROW, SCALE, Job, Metric, Record, Records
from grt_batch.uploads.scan import scan

AS_OF = date(2024, 6, 30)
Change = Callable[[Records], Records]


def records_of(uploads: Path) -> list[tuple[str, Records]]:
    """The instance and the joined records of every archive, as a worker gets them."""
    found = []
    wanted = tuple(kind for kind in RECORDS if kind != Job.kind)
    for archive in scan(uploads).archives:
        _, records, _ = read_archive(archive.tar, Config(), wanted, run_here, Clock(), lambda _: None)
        assert records is not None
        found.append((archive.instance_id, records))
    return found


def cut(records: Records, places: Sequence[int]) -> list[Records]:
    """Some jobs after the others, cut at these places."""
    jobs = records[Job].height
    borders = [0, *sorted(min(place, jobs) for place in places), jobs]
    return [records.part(begin, end) for begin, end in pairwise(borders)]


def made(jobs: list[dict[str, Any]], **others: list[dict[str, Any]]) -> Records:
    """Records made by hand, each with the id of its job; what is not given is null."""
    frames = {}
    for kind, record in RECORDS.items():
        schema = {field.name: field.type for field in record.fields()}
        frames[record] = pl.DataFrame(jobs if record is Job else others.get(kind, []), schema=schema).sort("job_id")
    return of_frames(frames)


def of_frames(frames: Mapping[type[Record], pl.DataFrame]) -> Records:
    """The records of frames, which are in the order of the job ids."""
    ids, of_the_job = frames[Job]["job_id"].to_numpy(), [field.name for field in Record.fields()]
    tables: dict[type[Record], Columns] = {Job: Columns.of(frames[Job])}
    for record in frames.keys() - {Job}:
        own = frames[record].drop(of_the_job)
        rows = np.searchsorted(ids, frames[record]["job_id"].to_numpy()).astype(np.int32)
        tables[record] = Columns.of(_scaled(own) if record is Metric else own).extended({ROW: rows})
    return Records(tables)


def _scaled(frame: pl.DataFrame) -> pl.DataFrame:
    """Metrics with integers of a scale for values."""
    values = frame[Metric.value.name].to_list()
    scales = [0 if value is None or abs(value) * SECOND >= 2**63 else SECONDS_SCALE for value in values]
    scaled = [None if value is None else int(value.scaleb(scale)) for value, scale in zip(values, scales, strict=True)]
    return frame.with_columns(pl.Series(Metric.value.name, scaled, pl.Int64), pl.Series(SCALE, scales, pl.Int8))


@dataclass
class Archives:
    """The parts of archives, as an export makes them, and how often each was read."""

    export: FolderExport
    parts: list[ArchiveParts] = field(default_factory=list)
    loads: dict[str, int] = field(default_factory=dict)

    def add(self, instance_id: str, key: str, *records: Records) -> None:
        """An archive whose jobs were cut into these records."""
        packed = self.export.pack(self.export.merge([list(self.export.parts(some)) for some in records]))

        def load(names: Collection[str] | None = None) -> list[Part]:
            self.loads[key] = self.loads.get(key, 0) + 1
            found: list[Part] = self.export.unpack(packed, names)
            return found

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
