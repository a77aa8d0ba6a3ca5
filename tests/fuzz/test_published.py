"""A run over damaged archives of every kind, and over strange values of every kind, with the database and all modules."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import containers
import documents
import lines
import pytest
from build import HEADERS, write_archive
from calling import query
from corpus import GENERATED, Damaged, corpus, good
from runs import published

from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.modules.registry import discover
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.pipeline.run import execute
from grt_batch.schema.members import Kind
from grt_batch.uploads.scan import scan
from grt_batch.verify.archives import check_archive

MODULES = tuple(discover())
AS_OF = date(2024, 7, 10)
LOOKED_AT, OF_EACH, TITLES = 8, 2, 12


@dataclass(frozen=True)
class Site:
    """Uploads, where their reports are, and what the run said. In the instance `mixed` a good archive stands among
    those in quarantine, in `strange` are those with rejects, in `all` every line of the corpus in one archive."""

    uploads: Path
    reports: Path
    summary: RunSummary
    database: str


def write_uploads(root: Path) -> None:
    """Some archives of each damage, whatever becomes of them, and instances that say strange things of themselves."""
    good().write(root / "mixed" / "archives")
    looked_at: Counter[str] = Counter()
    found: Counter[tuple[str, bool]] = Counter()
    whole: dict[Kind, list[bytes]] = {kind: [HEADERS[kind]] for kind in Kind}
    for archive in corpus():
        if archive.damage in {change.__name__ for change in lines.DAMAGES}:
            for kind, text in (archive.members or {}).items():
                whole[kind].append(text.removesuffix(b"\n") + b"\n")
        looked_at[archive.damage] += 1
        if looked_at[archive.damage] <= LOOKED_AT:
            bad = is_quarantined(archive, root.parent / "alone")
            found[archive.damage, bad] += 1
            if found[archive.damage, bad] <= OF_EACH:
                archive.write(root / ("mixed" if bad else "strange") / "archives")
    write_archive(root / "all", str(GENERATED), {kind: b"".join(texts) for kind, texts in whole.items()})
    randomly = random.Random(4)
    for number, raw in enumerate(documents.damaged(documents.METADATA, TITLES, randomly)):
        good(900_000 + number).write(root / f"title{number}" / "archives")
        (root / f"title{number}" / "metadata.json").write_bytes(raw)


def is_quarantined(archive: Damaged, folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    archive.write(folder / "uni")
    [only] = scan(folder).archives
    return check_archive(only, Config()).quarantined


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, server: str) -> Site:
    """What a run over all of them left."""
    home = tmp_path_factory.mktemp("site")
    write_uploads(home / "uploads")
    return run(home / "uploads", home, server)


def run(uploads: Path, home: Path, database: str) -> Site:
    config = Config(uploads=uploads, reports=home / "reports", work=home / "work", database=database)
    with lock(config.work):
        summary = execute(
            RunRequest(config, AS_OF, MODULES, run_id=home.name), SerialExecutor(), lambda: nullcontext(database)
        )
    return Site(uploads, config.reports, summary, database)


def test_every_archive_is_published_or_in_quarantine_with_its_reason(site: Site) -> None:
    files = {(file.parents[-len(site.uploads.parts) - 1].name, file.name) for file in site.uploads.rglob("*.tar.gz")}
    rows = query(site.database, "SELECT instance_id, archive, state, reason FROM grt.archive")
    assert {(instance, f"{archive}.tar.gz") for instance, archive, _, _ in rows} == files
    for _, archive, state, reason in rows:
        assert (state == "published") == (reason is None), archive
        assert reason is None or (reason.isprintable() and reason)
    quarantined = {row[:2] for row in rows if row[2] == "quarantined"}
    assert {(instance, archive) for instance, archive, _ in site.summary.quarantined} == quarantined
    assert {instance for instance, _ in quarantined} == {"mixed"}
    assert len(quarantined) >= 20


def test_every_kind_of_damage_is_there(site: Site) -> None:
    names = {file.name.removesuffix(".tar.gz") for file in site.uploads.rglob("*.tar.gz")}
    damages = {archive.damage for archive in corpus() if archive.name in names}
    assert damages == {*(change.__name__ for change in (*lines.DAMAGES, *containers.DAMAGES)), "document"}


def test_what_is_accounted_for_is_in_the_tables(site: Site) -> None:
    [(jobs, rejected)] = query(site.database, "SELECT sum(jobs - superseded), sum(rejected) FROM grt.archive")
    assert query(site.database, "SELECT sum(jobs) FROM grt.tool_day") == [(jobs,)]
    assert query(site.database, "SELECT count(*) FROM grt.job") == [(jobs,)]
    numbers = site.summary.numbers
    assert (numbers["jobs"], numbers["rejected"]) == (jobs, rejected)
    assert numbers["lines"] == numbers["accepted"] + numbers["rejected"]
    in_files = sum(file.read_bytes().count(b"\n") - 1 for file in (site.reports / "rejects").glob("*/*.tsv"))
    assert in_files == rejected + numbers["fragments"]


def test_a_table_has_as_many_lines_as_rows_whatever_its_texts_hold(site: Site) -> None:
    for file in (site.reports / "latest").glob("*.tsv"):
        rows = query(site.database, f"SELECT count(*) FROM grt.{file.stem}")
        text = file.read_bytes()
        assert rows == [(text.count(b"\n") - 1,)]
        columns = text.partition(b"\n")[0].count(b"\t")
        assert all(row.count(b"\t") == columns for row in text.removesuffix(b"\n").split(b"\n")), file.name
        assert text.decode()


def test_an_archive_among_damaged_ones_gives_what_it_gives_alone(site: Site, tmp_path: Path) -> None:
    good().write(tmp_path / "uploads" / "mixed" / "archives")
    alone = run(tmp_path / "uploads", tmp_path, site.database)
    assert not alone.summary.quarantined
    compared = 0
    for name, text in published(alone.reports).items():
        if name not in ("latest/archive.tsv", "latest/instance_status.tsv"):
            mixed = rows_of_mixed((site.reports / name).read_bytes())
            assert rows_of_mixed(text) == mixed
            compared += len(mixed)
    assert compared > 50


def rows_of_mixed(text: bytes) -> list[bytes]:
    """The rows that are of that instance alone."""
    return [row for row in text.split(b"\n") if row.startswith(b"mixed\t")]
