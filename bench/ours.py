"""This program as a contender: with nothing known, with nothing new, and with one new archive among many."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

from bench import contest
from bench.cases import NIGHTLY, Case
from bench.contest import Contender, Cost, Setting
from grt_batch.uploads.scan import scan

WHOLE, NOTHING_NEW, ONE_NEW = "ours", "ours, nothing new", "ours, one new"
_DATABASE = "ours"


@dataclass(frozen=True)
class Ours:
    """Our runs of a case. The reports of all of them must be the same, byte for byte."""

    setting: Setting
    case: Case
    uploads: Path
    digests: dict[str, str] = field(default_factory=dict)
    """of the reports of the first run"""

    @property
    def reports(self) -> Path:
        """The latest reports of the run that knew nothing."""
        return self._home(WHOLE) / "reports" / "latest"

    def contenders(self) -> Iterator[Contender]:
        """Yield the runs in their order: the second finds what the first has left."""
        home, ranks = self._home(WHOLE), self.setting.ranks
        yield self._contender(WHOLE, f"{ranks} ranks, nothing known", home, self.uploads, partial(self._forget, home))
        yield self._contender(NOTHING_NEW, "everything known", home, self.uploads)
        if self.case.name == NIGHTLY:
            home = self._home(ONE_NEW)
            links = home / "uploads"
            does = f"{self.case.archives - 1} archives known"
            yield self._contender(ONE_NEW, does, home, links, partial(self._all_but_one_known, home, links))

    def _contender(
        self, name: str, does: str, home: Path, uploads: Path, prepare: Callable[[], None] = lambda: None
    ) -> Contender:
        setting, reports = self.setting, home / "reports"
        command = (
            sys.executable, "-m", "grt_batch.cli", "run", "--uploads", str(uploads), "--reports", str(reports),
            "--work", str(home / "work"), "--database", make_dsn(setting.url, dbname=_DATABASE),
            "--as-of", setting.as_of.isoformat(), "--no-progress", "--no-html",
            *(("--ranks", str(setting.ranks)) if setting.ranks > 1 else ()),
        )  # fmt: skip
        return Contender(
            name,
            does,
            command,
            home,
            check=lambda: self._differences(reports / "latest"),
            prepare=prepare,
            complete=partial(self._complete, home),
        )

    def _home(self, name: str) -> Path:
        return self.setting.scratch / f"{self.case.name}, {name}".replace(", ", "-").replace(" ", "-")

    def _forget(self, home: Path) -> None:
        """Remove what a run before has left, in the database too."""
        shutil.rmtree(home, ignore_errors=True)
        with closing(psycopg2.connect(self.setting.url)) as link:
            link.autocommit = True
            with link.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {_DATABASE} WITH (FORCE)")
                cursor.execute(f"CREATE DATABASE {_DATABASE}")

    def _all_but_one_known(self, home: Path, links: Path) -> None:
        """Run all archives but the newest of the largest instance, and then add that one."""
        found = scan(self.uploads)
        newest = max(found.instances, key=lambda instance: sum(one.bytes for one in instance.archives)).archives[-1].tar
        self._forget(home)
        _link(self.uploads, links, without=newest)
        before = self._contender(ONE_NEW, "", home, links)
        contest.measure(before.command, home / "log", self.setting.environment)
        _link(self.uploads, links)

    def _differences(self, latest: Path) -> list[str]:
        """Return the reports that are not those of the first run."""
        found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(latest.glob("*.tsv"))}
        self.digests.update({} if self.digests else found)
        both = sorted(self.digests.keys() | found.keys())
        return [f"{name} is another" for name in both if self.digests.get(name) != found.get(name)]

    def _complete(self, home: Path, cost: Cost) -> Cost:
        told = json.loads((home / "reports" / "latest" / "run.json").read_bytes())
        work = sum(file.stat().st_size for file in (home / "work").rglob("*") if file.is_file())
        return replace(cost, peak_bytes=int(told["peak_memory_bytes"]["sum"]), work_bytes=work)


def _link(source: Path, target: Path, without: Path | None = None) -> None:
    """Link the files of `source` but for one pair in `target`: links, since a file is recognized by its inode."""
    for file in source.rglob("*.*"):
        place = target / file.relative_to(source)
        if file.is_file() and not place.exists() and not (without and _is_of(file, without)):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, place)


def _is_of(file: Path, tar: Path) -> bool:
    name = tar.name.removesuffix(".tar.gz")
    return file.parent == tar.parent and file.name in (tar.name, f"{name}.json")
