"""This program as a contender: with an empty work folder, with nothing new, and with one new archive among many."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import contest
from bench.contest import Contender, Setting
from grt_batch.uploads.scan import scan

BASELINE = "ours, 1 rank"
"""Whose time all others are set against, and whose tables theirs must agree with."""


def reports(setting: Setting) -> Path:
    """The TSV reports of the BASELINE."""
    return _latest(_home(setting, BASELINE))


def contenders(setting: Setting) -> Iterator[Contender]:
    """Return our contenders, the BASELINE first."""
    for ranks in setting.ranks:
        name = BASELINE if ranks == 1 else f"ours, {ranks} ranks"
        work = setting.scratch / f"work-{ranks}"
        start = partial(_contender, setting, uploads=setting.uploads, work=work, same=BASELINE, ranks=ranks)
        yield start(name, "nothing known", prepare=partial(_remove, work))
        yield start(f"{name}, again", "everything known")
    yield from _many(setting)


def _many(setting: Setting) -> Iterator[Contender]:
    """Many archives: all of them new, and then the newest of the largest instance alone."""
    found = scan(setting.many)
    newest = max(found.instances, key=lambda instance: sum(one.bytes for one in instance.archives)).archives[-1].tar
    name = f"ours, {len(list(found.archives))} archives"
    work, one_work, uploads = (setting.scratch / folder for folder in ("work-many", "work-one", "uploads-one"))

    def all_but_one_known() -> None:
        known = setting.scratch / "work-known"
        if not known.exists():
            _link_uploads(setting.many, uploads, without=newest)
            before = _contender(setting, f"{name} but one", "", uploads, known, name)
            before.home.mkdir()
            contest.measure(before.command, before.log, setting.environment)
            _link_uploads(setting.many, uploads)
        _remove(one_work)
        shutil.copytree(known, one_work)

    yield _contender(setting, name, "1 rank, nothing known", setting.many, work, name, partial(_remove, work))
    does = "1 rank, one archive new"
    yield _contender(setting, f"{name}, again", does, uploads, one_work, name, all_but_one_known)


def _contender(
    setting: Setting,
    name: str,
    does: str,
    uploads: Path,
    work: Path,
    same: str,
    prepare: Callable[[], None] = lambda: None,
    ranks: int = 1,
) -> Contender:
    """A run of ours; its reports must be those of the contender `same`, byte for byte."""
    home = _home(setting, name)
    command = (
        sys.executable, "-m", "grt_batch.cli", "run", *(("--ranks", str(ranks)) if ranks > 1 else ()),
        "--uploads", str(uploads), "--reports", str(home / "reports"), "--work", str(work),
        "--database", setting.url, "--as-of", setting.as_of.isoformat(), "--no-progress",
    )  # fmt: skip
    return Contender(
        name,
        does,
        command,
        home,
        check=lambda: _differences(_latest(_home(setting, same)), _latest(home)),
        prepare=prepare,
        peak=lambda: int(json.loads((_latest(home) / "run.json").read_bytes())["peak_memory_bytes"]["sum"]),
    )


def _home(setting: Setting, name: str) -> Path:
    return setting.scratch / name.replace(", ", "-").replace(" ", "-")


def _latest(home: Path) -> Path:
    return home / "reports" / "latest"


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _differences(wanted: Path, found: Path) -> list[str]:
    """Return the reports that are not identical."""
    names = sorted({file.name for folder in (wanted, found) for file in folder.glob("*.tsv")})
    contents = (
        [(folder / name).read_bytes() if (folder / name).exists() else None for name in names]
        for folder in (wanted, found)
    )
    return [f"{name} is another" for name, before, now in zip(names, *contents, strict=True) if before != now]


def _link_uploads(source: Path, target: Path, without: Path | None = None) -> None:
    """Link the files of `source` but for one pair in `target`: links, since a file is recognized by its inode."""
    for file in source.rglob("*.*"):
        place = target / file.relative_to(source)
        if file.is_file() and not place.exists() and not (without and _is_of(file, without)):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, place)


def _is_of(file: Path, tar: Path) -> bool:
    name = tar.name.removesuffix(".tar.gz")
    return file.parent == tar.parent and file.name in (tar.name, f"{name}.json")
