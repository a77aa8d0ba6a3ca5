"""A site whose archives come, change and go, for the tests of what a run remembers and what it keeps."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from build import line, write_archive
from runs import published

from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.modules.registry import chosen
from grt_batch.pipeline import keys
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.plan import find_uploads, survey
from grt_batch.pipeline.planned import Planned, Step
from grt_batch.pipeline.request import RunRequest, RunSummary, new_run_id
from grt_batch.pipeline.run import execute
from grt_batch.schema.members import Kind
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store

AS_OF = date(2024, 6, 30)
MODULES = ("tools", "params", "instances")
NOON = 1719748800
"""The as-of day at 12:00 UTC, in Unix seconds."""
Ids = Collection[int]


def members(ids: Ids) -> dict[Kind, bytes]:
    """Jobs of these ids, each with a metric, a parameter and a dataset, and a line that is rejected."""
    return {
        Kind.JOBS: b"".join(line(i, f"tool{i % 2}", "1", "ok", f"2024-06-{i % 28 + 1:02} 10:00:00") for i in ids)
        + line("broken", *ids),
        Kind.METRIC_NUM: b"".join(line(i, "core", "runtime_seconds", f"{i}.0000000") for i in ids),
        Kind.PARAMS: b"".join(line(i, "dbkey", json.dumps(json.dumps(f"hg{i}"))) for i in ids),
        Kind.DATASETS: b"".join(line(i, i, "bam", 100 * i, "out", "output") for i in ids),
    }


@dataclass(frozen=True)
class Site:
    """Uploads, and a work folder and reports of their own."""

    config: Config

    def write(self, instance_id: str, name: str, ids: Ids, **report: object) -> Path:
        """Write an archive that was made so many days before the as-of day as its name says; returns the tar.gz."""
        folder = self.config.uploads / instance_id / "archives"
        generated = NOON - 86400 * (10 - int(name))
        return write_archive(folder, name, members(ids), **{"version": 2, "generated": generated, **report})

    def describe(self, instance_id: str, **metadata: object) -> None:
        (self.config.uploads / instance_id / "metadata.json").write_text(json.dumps(metadata))

    def remove(self, instance_id: str, name: str) -> None:
        for ending in ("json", "tar.gz"):
            (self.config.uploads / instance_id / "archives" / f"{name}.{ending}").unlink()

    def remove_instance(self, instance_id: str) -> None:
        shutil.rmtree(self.config.uploads / instance_id)

    def run(self, modules: tuple[str, ...] = MODULES, **changes: object) -> RunSummary:
        """A run in this process, serially."""
        request = replace(RunRequest(config=self.config, as_of=AS_OF, modules=modules), **changes)
        request = replace(request, run_id=new_run_id(request.started))
        with lock(self.config.work):
            return execute(request, SerialExecutor(), lambda: nullcontext(self.config.database))

    def fresh(self, folder: Path, **changes: object) -> Site:
        """The same uploads, and nothing that is known of them."""
        return Site(replace(self.config, work=folder / "work", reports=folder / "reports", **changes))

    def tables(self, *without: str) -> dict[str, bytes]:
        """What is published, but for some tables."""
        return {name: raw for name, raw in published(self.config.reports).items() if Path(name).stem not in without}

    def rows(self, table: str) -> list[dict[str, str]]:
        with (self.config.reports / "latest" / f"{table}.tsv").open(encoding="utf-8", newline="\n") as text:
            return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))

    def states(self) -> dict[str, tuple[str, str]]:
        """The state and the reason of every archive in the ledger."""
        return {f"{row['instance_id']}/{row['archive']}": (row["state"], row["reason"]) for row in self.rows("archive")}

    def jobs(self) -> dict[str, int]:
        """The jobs of each instance in the tables."""
        return {row["instance_id"]: int(row["jobs"]) for row in self.rows("instance")}

    def jobs_with_params(self) -> list[str]:
        """The jobs of each parameter, over all versions of its tool."""
        return [row["jobs"] for row in self.rows("param") if row["tool_version"] == "*"]

    @property
    def store(self) -> Store:
        return Store(self.config.work / "store")

    def index(self) -> ArchiveIndex:
        return ArchiveIndex(self.config.work, self.config.uploads)

    def planned(self, modules: tuple[str, ...] = MODULES, **options: bool) -> dict[str, Planned]:
        """The plan of the next run."""
        index = self.index()
        uploads = find_uploads(self.config, index, **options)
        items = survey(uploads, self.store, index, self.config, chosen(modules), AS_OF)
        return {f"{item.archive.instance_id}/{item.archive.name}": item for item in items}

    def plan(self, modules: tuple[str, ...] = MODULES, **options: bool) -> dict[str, tuple[Step, str]]:
        return {name: (item.step, item.why) for name, item in self.planned(modules, **options).items()}


def small_site(folder: Path, database: str) -> Site:
    """Instance `a` with three archives, of which the second reports a job of the first again, and `b` with one."""
    config = Config(uploads=folder / "uploads", reports=folder / "reports", work=folder / "work", database=database)
    site = Site(config)
    site.write("a", "1", [1, 2, 3])
    site.write("a", "2", [3, 4])
    site.write("a", "3", [5, 6])
    site.write("b", "1", [1])
    site.describe("b", title="The second", public=True)
    return site


def change_code(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """From now on the code of these modules is another."""
    before = keys.module_code
    monkeypatch.setattr(keys, "module_code", lambda module: "other" if module.name in names else before(module))


def compute_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on it is an error to read an archive, or to make a partial."""

    def fail(*_: object) -> None:
        raise AssertionError("this was computed before")

    monkeypatch.setattr("grt_batch.pipeline.reduce_archive.read_archive", fail)
    monkeypatch.setattr("grt_batch.pipeline.reduce_archive.aggregate", fail)
