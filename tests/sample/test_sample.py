"""The sample is the same every time, shaped like real uploads, and broken as rarely as they are."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest

from grt_batch.core.errors import BadArguments
from grt_batch.sample import SampleSummary, history, write_sample

JOBS = 20_000
COLUMNS = {"jobs": 5, "metric_num": 4, "metric_txt": 4, "params": 3, "datasets": 6}
MEMBERS = {
    "17.09": {"jobs", "metric_num", "metric_txt", "params"},
    "18.05": {"jobs", "metric_num", "params", "datasets"},
    "18.09": {"jobs", "metric_num", "params", "datasets"},
    "19.05": {"jobs", "metric_num", "datasets"},
    "22.05": {"jobs", "metric_num", "datasets"},
    "24.1": {"jobs", "metric_num", "datasets"},
}
BREAK_LINES = {"18.05", "18.09", "19.05"}


@dataclass(frozen=True)
class Archive:
    """An archive as a plain reader sees it: the lines of each member as fields, without the header."""

    instance_id: str
    json_file: Path
    report: dict[str, Any]
    members: dict[str, list[list[str]]]
    headers: bool

    @property
    def packed(self) -> Path:
        return self.json_file.with_name(self.json_file.name.removesuffix("json") + "tar.gz")

    @property
    def is_design(self) -> bool:
        return isinstance(self.report["generated"], int)

    def whole(self, member: str) -> list[list[str]]:
        """The lines with the right number of fields."""
        columns = 3 if member == "jobs" and not self.headers else COLUMNS[member]
        return [fields for fields in self.members[member] if len(fields) == columns]


def read(folder: Path) -> list[Archive]:
    """Every archive below `folder`, those of an instance in the order of their time."""
    archives = []
    for file in folder.rglob("*.json"):
        if file.name == "metadata.json":
            continue
        packed = file.with_name(file.name.removesuffix("json") + "tar.gz")
        members = {}
        with tarfile.open(packed) as tar:
            for info in tar:
                stream = tar.extractfile(info)
                assert stream is not None
                lines = stream.read().decode("utf-8").removesuffix("\n").split("\n")
                members[info.name.split(".")[-2]] = [line.split("\t") for line in lines if line]
        headers = members["jobs"][0][0] == "id"
        if headers:
            members = {member: lines[1:] for member, lines in members.items()}
        instance_id = file.relative_to(folder).parts[0]
        archives.append(Archive(instance_id, file, json.loads(file.read_text()), members, headers))
    return sorted(archives, key=lambda archive: (archive.instance_id, float(archive.report["generated"])))


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def jobs_by_id(archive: Archive) -> dict[str, list[str]]:
    return {fields[0]: fields for fields in archive.whole("jobs")}


def values_of(archives: list[Archive], name: str) -> list[float]:
    """The values of a numeric metric over all archives."""
    return [
        float(value)
        for archive in archives
        for _, _, metric, value in archive.whole("metric_num")
        if metric == name and value != "None"
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleSummary]:
    folder = tmp_path_factory.mktemp("sample") / "uploads"
    return folder, write_sample(folder, jobs=JOBS)


@pytest.fixture(scope="module")
def archives(written: tuple[Path, SampleSummary]) -> list[Archive]:
    return read(written[0])


@pytest.fixture(scope="module")
def in_small_chunks(tmp_path_factory: pytest.TempPathFactory) -> list[Archive]:
    """A sample whose archives take several chunks each, as those of a large one do."""
    folder = tmp_path_factory.mktemp("chunks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "CHUNK", 150)
        write_sample(folder, jobs=4000)
    return read(folder)


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_sample(tmp_path / name, jobs=2000, seed=7)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


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


def test_hashes_verify(archives: list[Archive]) -> None:
    for archive in archives:
        expected = "sha256:" + hashlib.sha256(archive.packed.read_bytes()).hexdigest()
        assert archive.report.get("report_hash") == (None if archive.is_design else expected)


def test_reports_count_the_rows_of_their_jobs(archives: list[Archive]) -> None:
    for archive in archives:
        # Of the fields of a job the id alone is all digits, so a joined line counts as many rows as it holds.
        rows = sum(field.isdigit() for fields in archive.members["jobs"] for field in fields)
        assert rows == sum(archive.report["jobs"].values())
        column = 3 if archive.headers else 2
        whole = Counter(fields[column] for fields in archive.whole("jobs"))
        assert all(count <= archive.report["jobs"][state] for state, count in whole.items())
    assert sum(sum(archive.report["jobs"].values()) for archive in archives) == JOBS


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


def test_newest_archive_is_of_the_day_asked_for(tmp_path: Path) -> None:
    write_sample(tmp_path, jobs=50, instances=2, archives=2, until=date(2023, 3, 1))
    newest = max(float(archive.report["generated"]) for archive in read(tmp_path))
    assert datetime.fromtimestamp(newest, UTC).date() == date(2023, 3, 1)


def test_shares_of_tools_and_states(archives: list[Archive]) -> None:
    tools: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for archive in archives:
        states.update(archive.report["jobs"])
        for fields in archive.whole("jobs"):
            tools[fields[1].rpartition("/")[0] or fields[1]] += 1
    plain = sum(count for tool, count in tools.items() if "/repos/" not in tool)
    top = sum(count for _, count in tools.most_common(10))
    assert 0.35 < top / tools.total() < 0.45
    assert 0.33 < plain / tools.total() < 0.45
    assert 0.06 < states["error"] / states.total() < 0.10
    assert len(tools) > 250
    assert len(states) > 10
    assert any(" " in tool for tool in tools)


def test_instances_differ_in_size(archives: list[Archive]) -> None:
    sizes: Counter[str] = Counter()
    for archive in archives:
        sizes[archive.instance_id] += sum(archive.report["jobs"].values())
    shares = [count / JOBS for _, count in sizes.most_common()]
    assert shares == pytest.approx([0.60, 0.25, 0.10, 0.05], abs=0.06)


def test_runtimes(archives: list[Archive]) -> None:
    percentiles = quantiles(values_of(archives, "runtime_seconds"), n=100)
    assert 12 <= percentiles[49] <= 21
    assert 20 * 60 <= percentiles[94] <= 45 * 60


def test_metrics_belong_to_jobs_that_ran(archives: list[Archive]) -> None:
    ran = rows = 0
    for archive in archives:
        jobs = jobs_by_id(archive)
        column = 3 if archive.headers else 2
        seen: dict[str, dict[str, str]] = {}
        for job_id, _, name, value in archive.whole("metric_num"):
            rows += 1
            seen.setdefault(job_id, {})[name] = value
        ran += len(seen)
        for job_id, metrics in seen.items():
            if "None" in metrics.values():
                continue
            start, end = float(metrics["start_epoch"]), float(metrics["end_epoch"])
            assert end - start == float(metrics["runtime_seconds"])
            if job_id in jobs:
                assert jobs[job_id][column] in {"ok", "error", "stopped"}
            if job_id in jobs and archive.headers:
                created = datetime.fromisoformat(jobs[job_id][4]).replace(tzinfo=UTC).timestamp()
                assert created <= start
                assert end <= float(archive.report["generated"])
    assert 11 < rows / ran < 14


def test_both_kinds_of_control_groups(archives: list[Archive]) -> None:
    assert max(values_of(archives, "memory.limit_in_bytes")) >= 2**62
    for name in ("memory.max_usage_in_bytes", "cpuacct.usage", "memory.peak", "cpu.stat.usage_usec"):
        assert max(values_of(archives, name)) > 0
    slots = values_of(archives, "galaxy_slots")
    assert (min(slots), max(slots)) == (1, 16)


def test_numbers_are_written_like_the_exporter_s(archives: list[Archive]) -> None:
    values = [value for archive in archives for _, _, _, value in archive.whole("metric_num")]
    assert all(value in {"None", "0E-7"} or value.endswith(".0000000") for value in values)
    assert {"None", "0E-7"} < set(values)
    keys = [(number, *fields[:3]) for number, archive in enumerate(archives) for fields in archive.whole("metric_num")]
    assert len(set(keys)) < len(keys)
    times = [fields[4] for archive in archives if archive.headers for fields in archive.whole("jobs")]
    assert {len(time) for time in times} == {len("2017-06-02 19:18:30"), len("2017-06-02 19:18:30.059749")}


def test_dataset_sizes(archives: list[Archive]) -> None:
    counts: Counter[str] = Counter()
    jobs = 0
    for archive in archives:
        if "datasets" not in archive.members:
            continue
        jobs += sum(archive.report["jobs"].values())
        sizes = set()
        for _, _, _, size, _, kind in archive.whole("datasets"):
            counts[kind] += 1
            sizes.add(size)
        if archive.report["version"] == 3:
            assert "-1" in sizes
            assert not {"0", "None"} & sizes
            assert all(len(size.rstrip("0")) <= 2 for size in sizes)
        else:
            assert {"0", "None"} < sizes
            assert any(len(size.rstrip("0")) > 2 for size in sizes if size != "None")
    assert 1.3 < counts["input"] / jobs < 1.7
    assert 1.3 < counts["output"] / jobs < 1.7


def test_parameters_come_in_every_shape(archives: list[Archive]) -> None:
    by_release: dict[str, set[str]] = {}
    rows = jobs = 0
    for archive in archives:
        if "params" not in archive.members:
            continue
        jobs += sum(archive.report["jobs"].values())
        release = ("design " if archive.is_design else "") + archive.report["galaxy_version"]
        release += "" if archive.headers else " without headers"
        for _, name, value in archive.whole("params"):
            rows += 1
            assert value
            if name == "dbkey":
                by_release.setdefault(release, set()).add(value)
            elif release == "18.09" and value != "None":
                json.loads(value)
    assert '{"dbkey": "hg38"}' in by_release["17.09 without headers"]
    assert r'"\"hg38\""' in by_release["17.09"]
    assert r'"{\"dbkey\": \"\\\"hg38\\\"\"}"' in by_release["18.09"]
    assert all('"null"' in values for values in by_release.values())
    texts = {value for archive in archives for *_, value in archive.members.get("params", [])}
    assert {"null", "None"} < texts
    assert any("大腸菌" in value for value in texts)
    assert max(map(len, texts)) > 100_000
    assert 4 < rows / jobs < 6


def test_job_ids_rise_by_batches_only(archives: list[Archive]) -> None:
    for archive in archives:
        for member in ("jobs", "metric_num"):
            ids = [int(fields[0]) for fields in archive.whole(member)]
            batches = [number // 1000 for number in ids]
            assert batches == sorted(batches)
            assert ids != sorted(ids)


def test_broken_lines_are_few_and_of_the_right_releases(archives: list[Archive]) -> None:
    broken: Counter[tuple[str, str]] = Counter()
    lines = 0
    for archive in archives:
        for member, rows in archive.members.items():
            lines += len(rows)
            release = "design" if archive.is_design else archive.report["galaxy_version"]
            broken[release, member] += len(rows) - len(archive.whole(member))
    assert 0 < broken.total() < lines / 1000
    for release in BREAK_LINES:
        assert broken[release, "jobs"] > 0
        assert broken[release, "datasets"] > 0
    assert broken["18.09", "params"] > 0
    assert {release for release, _ in +broken} == BREAK_LINES


def test_broken_lines_have_the_forms_of_real_ones(archives: list[Archive]) -> None:
    jobs, datasets = (
        [
            fields
            for archive in archives
            if member in archive.members and archive.report["galaxy_version"] in BREAK_LINES
            for fields in archive.members[member]
            if len(fields) != COLUMNS[member]
        ]
        for member in ("jobs", "datasets")
    )
    joined = [fields for fields in jobs if len(fields) > 5]
    assert {6, 7} <= {len(fields) for fields in joined}
    assert all(fields[-5].isdigit() for fields in joined)
    assert any(fields[-1] == "" for fields in jobs), "the end of a file without a newline"
    assert {2, 5, 7, 10} <= {len(fields) for fields in datasets}


def test_reports_again_with_states_moved_on(archives: list[Archive], in_small_chunks: list[Archive]) -> None:
    for sample in (archives, in_small_chunks):
        largest = max(sample, key=lambda archive: archive.packed.stat().st_size).instance_id
        earlier, newest = [archive for archive in sample if archive.instance_id == largest][-2:]
        before, after = jobs_by_id(earlier), jobs_by_id(newest)
        twice = before.keys() & after.keys()
        assert 0.15 < len(twice) / len(after) < 0.25
        assert min(map(int, twice)) > min(map(int, before))
        assert max(map(int, twice)) == max(map(int, before))
        moved = Counter((before[job][3], after[job][3]) for job in twice if before[job][3] != after[job][3])
        assert moved["running", "ok"] > 0
        assert {state for state, _ in moved} <= {"new", "queued", "running"}
        for job in twice:
            assert before[job][:2] == after[job][:2]
            assert before[job][4] == after[job][4]


def test_chunks_leave_no_gap_and_no_double(in_small_chunks: list[Archive]) -> None:
    reported: dict[str, set[str]] = {}
    for archive in in_small_chunks:
        ids = [field for fields in archive.members["jobs"] for field in fields if field.isdigit()]
        assert len(set(ids)) == len(ids) == sum(archive.report["jobs"].values())
        reported.setdefault(archive.instance_id, set()).update(ids)
    for found in reported.values():
        missing = set(range(1, max(map(int, found)) + 1)) - set(map(int, found))
        assert all(number % 50 == 0 for number in missing)


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
