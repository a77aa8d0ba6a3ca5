"""The formats of the exporters, and the instances that run them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from sample_archives import Archive

from grt_batch.sample import SampleSummary
from grt_batch.sample.names import NUMBER, PARAMETERS, Written
from grt_batch.sample.releases import PROFILES, Shape, instance_id_of, profile_of

MEMBERS = {
    "17.09": {"jobs", "metric_num", "metric_txt", "params"},
    "18.05": {"jobs", "metric_num", "params", "datasets"},
    "18.09": {"jobs", "metric_num", "params", "datasets"},
    "19.05": {"jobs", "metric_num", "datasets"},
    "22.05": {"jobs", "metric_num", "datasets"},
    "24.1": {"jobs", "metric_num", "datasets"},
}


def test_members_are_those_of_the_release(archives: list[Archive]) -> None:
    for archive in archives:
        expected = MEMBERS["18.05" if archive.is_design else archive.report["galaxy_version"]]
        assert set(archive.members) == expected
    with tarfile.open(archives[0].packed) as tar:
        assert all(name.startswith("home/") for name in tar.getnames())


def test_all_versions_of_the_report_are_there(archives: list[Archive]) -> None:
    shapes = {(archive.report["version"], archive.is_design) for archive in archives}
    assert shapes == {(1, False), (1, True), (2, False), (3, False)}
    for archive in archives:
        tools: Any = archive.report.get("tools")
        if archive.is_design:
            assert set(archive.report["metrics"]) == {"query_time", "tarball_time"}
            assert {"id", "version", "tool_shed_repository"} == set(tools[0])
        elif archive.report["version"] == 1:
            assert all(len(tool) == 6 for tool in tools)
        else:
            assert tools is None
    assert sum(not archive.headers for archive in archives) == 1


def test_both_layouts_are_there(written: tuple[Path, SampleSummary], archives: list[Archive]) -> None:
    folder, _ = written
    old = [home.name for home in folder.iterdir() if not (home / "archives").exists()]
    assert old == ["3"]
    assert not (folder / "3" / "metadata.json").exists()
    documents = [json.loads(file.read_text()) for file in folder.glob("*/metadata.json")]
    assert sorted(document["public"] for document in documents) == [False, True, True]
    assert not all(document["title"].isascii() for document in documents)
    assert {archive.json_file.stem for archive in archives if archive.is_design} == {"0", "1", "2"}
    assert len({file.stat().st_mtime for file in folder.rglob("*") if file.is_file()}) == 1


VALUES = [value for values in PARAMETERS.values() for value in values]


@pytest.mark.parametrize("shape", Shape)
def test_a_value_is_split_at_the_number_of_its_job(shape: Shape) -> None:
    for value in VALUES:
        before, after = shape.split("name", value)
        assert (before if after is None else f"{before}{NUMBER}{after}") == shape.write("name", value)
    assert shape.write("name", Written.NONE) == "None"


def test_instances_after_the_first_are_like_them_with_ids_of_their_own() -> None:
    ids = [instance_id_of(instance) for instance in range(20)]
    assert len({*ids}) == 20
    assert ids == [instance_id_of(instance) for instance in range(20)]
    assert all(profile_of(instance) in PROFILES for instance in range(20))
    oldest = profile_of(0)
    assert [oldest.release(archive) for archive in (0, 2, 9)] == [oldest.releases[i] for i in (0, 2, 2)]
