"""The sample is the same every time, as large as asked for, and refused where it makes no sense."""

from __future__ import annotations

import tarfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sample_archives import JOBS, Archive, read

from grt_batch.core.errors import BadArguments
from grt_batch.sample import SampleSummary, write_sample
from grt_batch.sample.releases import BEFORE, NOW, PROFILES, Profile


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_sample(tmp_path / name, jobs=2000, seed=7)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_without_profiles_instances_have_those_of_the_default(tmp_path: Path) -> None:
    write_sample(tmp_path / "a", jobs=500, instances=6)
    write_sample(tmp_path / "b", jobs=500, instances=6, profiles=PROFILES)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


@pytest.mark.parametrize(
    ("profiles", "versions", "members"),
    [
        (NOW, {(3, "22.05"), (3, "24.1")}, {"jobs", "datasets", "metric_num"}),
        (
            BEFORE,
            {(1, "17.09"), (1, "18.05"), (2, "18.09")},
            {"jobs", "datasets", "metric_num", "metric_txt", "params"},
        ),
    ],
    ids=["now", "before"],
)
def test_instances_have_the_profiles_asked_for(
    profiles: tuple[Profile, ...], versions: set[tuple[int, str]], members: set[str], tmp_path: Path
) -> None:
    write_sample(tmp_path, jobs=900, instances=5, profiles=profiles)
    found = read(tmp_path)
    assert {(archive.report["version"], archive.report["galaxy_version"]) for archive in found} == versions
    assert {member for archive in found for member in archive.members} == members
    assert len({archive.instance_id for archive in found}) == 5


def test_one_profile_is_that_of_all_instances(tmp_path: Path) -> None:
    write_sample(tmp_path, jobs=30, instances=3, archives=1, profiles=NOW[:1])
    assert {archive.report["galaxy_version"] for archive in read(tmp_path)} == {"22.05"}


def test_seeds_differ(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sample(tmp_path / str(seed), jobs=500, seed=seed)
    one, two = (
        {contents for file, contents in bytes_of(tmp_path / seed).items() if file.name.endswith(".tar.gz")}
        for seed in "12"
    )
    assert len(one) == len(two) == 12
    assert not one & two


def test_summary_says_what_was_written(written: tuple[Path, SampleSummary], archives: list[Archive]) -> None:
    folder, summary = written
    assert (summary.instances, summary.archives, summary.jobs) == (4, 12, JOBS)
    assert len(archives) == summary.archives
    packed = list(folder.rglob("*.tar.gz"))
    assert summary.bytes == sum(file.stat().st_size for file in packed)
    sizes = []
    for file in packed:
        with tarfile.open(file) as tar:
            sizes += [info.size for info in tar]
    assert summary.text_bytes == sum(sizes)


def test_reports_count_the_rows_of_their_jobs(archives: list[Archive]) -> None:
    for archive in archives:
        # Of the fields of a job the id alone is all digits, so a joined line counts as many rows as it holds.
        rows = sum(field.isdigit() for fields in archive.members["jobs"] for field in fields)
        assert rows == sum(archive.report["jobs"].values())
        column = 3 if archive.headers else 2
        whole = Counter(fields[column] for fields in archive.whole("jobs"))
        assert all(count <= archive.report["jobs"][state] for state, count in whole.items())
    assert sum(sum(archive.report["jobs"].values()) for archive in archives) == JOBS


def test_instances_differ_in_size(archives: list[Archive]) -> None:
    sizes: Counter[str] = Counter()
    for archive in archives:
        sizes[archive.instance_id] += sum(archive.report["jobs"].values())
    shares = [count / JOBS for _, count in sizes.most_common()]
    assert shares == pytest.approx([0.60, 0.25, 0.10, 0.05], abs=0.06)


def test_small_and_large_numbers_of_archives(tmp_path: Path) -> None:
    write_sample(tmp_path / "one", instances=1, archives=1, jobs=1)
    (only,) = read(tmp_path / "one")
    assert sum(only.report["jobs"].values()) == len(only.members["jobs"]) == 1
    summary = write_sample(tmp_path / "many", instances=7, archives=5, jobs=400)
    many = read(tmp_path / "many")
    assert len(many) == summary.archives == 35
    assert len({archive.instance_id for archive in many}) == 7
    assert sum(sum(archive.report["jobs"].values()) for archive in many) == 400


@pytest.mark.parametrize(
    "arguments",
    [
        {"instances": 0},
        {"archives": 0},
        {"jobs": 11},
        {"jobs": -1},
        {"seed": -1},
        {"until": date(1970, 1, 1)},
    ],
)
def test_refuses_numbers_that_make_no_sample(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(BadArguments):
        write_sample(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(BadArguments) as raised:
            write_sample(folder, jobs=100)
        assert raised.value.command == "sample"
        assert str(folder) in str(raised.value.what)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
