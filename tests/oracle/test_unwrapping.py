"""The leaves of the program are those of the oracle, over lines of every kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from odd import AS_OF
from odd_texts import add_lines, add_params
from oracle import Oracle
from places import REAL
from writing import Archive

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.sample import UNTIL
from grt_batch.schema.records import Leaf
from grt_batch.uploads.scan import scan

Leaves = set[tuple[int, str, str | None, bool]]


def odd(sample: Path, folder: Path) -> tuple[Path, date]:
    archive = Archive()
    add_lines(archive)
    add_params(archive)
    archive.write(folder / "one" / "archives", "1", 1718000000)
    return folder, AS_OF


def of_sample(sample: Path, folder: Path) -> tuple[Path, date]:
    """The newest archive of each instance of the sample."""
    for instance in scan(sample).instances:
        archive = instance.archives[-1]
        home = folder / archive.instance_id / "archives"
        home.mkdir(parents=True)
        for file in (archive.tar, archive.tar.with_name(f"{archive.name}.json")):
            (home / file.name).symlink_to(file)
    return folder, UNTIL


def real(sample: Path, folder: Path) -> tuple[Path, date]:
    home = folder / "1" / "archives"
    home.mkdir(parents=True)
    for file in (REAL / "grt-2017" / "1" / "archives").glob("1501836597.08.*"):
        (home / file.name).symlink_to(file)
    return folder, date(2017, 8, 5)


@pytest.mark.parametrize(
    "make",
    [odd, of_sample, pytest.param(real, marks=pytest.mark.skipif(not REAL.is_dir(), reason="no real archives"))],
)
def test_leaves_are_those_of_the_oracle(
    make: Callable[[Path, Path], tuple[Path, date]], sample: Path, tmp_path: Path
) -> None:
    uploads, as_of = make(sample, tmp_path / "uploads")
    settings: dict[str, Any] = {"as_of": as_of, "change_min_jobs": 5, "change_p_value": 0.5, "change_min_rate": 2}
    oracle = Oracle(uploads, tmp_path, settings | {"change_runtime_percent": 23, "fresh_days": 6})
    found = 0
    for archive in scan(uploads).archives:
        account, records, _ = read_archive(archive.tar, Config(), (Leaf.kind,), run_here, Clock(), lambda _: None)
        assert records is not None
        expected = oracle.link.execute(
            "SELECT job_id, name, value, names_data FROM leaf WHERE instance_id = ?", [archive.instance_id]
        ).fetchall()
        rows = records.frame(Leaf).select("job_id", "name", "value", "names_data").rows()
        assert len(rows) == len(expected)
        assert set(rows) == set(expected)
        found += account.total("left_out")
    assert found
