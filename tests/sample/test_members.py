"""The members of an archive: written as the exporter of each release does, and broken as rarely."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from sample_archives import COLUMNS, Archive, jobs_by_id, values_of

LIMITS = ("limit_in_bytes", "failcnt", "events.oom_kill")
BREAK_LINES = {"18.05", "18.09", "19.05"}


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
    limits, hits, kills = (values_of(archives, f"memory.{name}") for name in LIMITS)
    assert 0.2 < sum(limit < 2**62 for limit in limits) / len(limits) < 0.8
    assert 0 < sum(count > 0 for count in hits) < len(hits) / 20
    assert (min(kills), max(kills)) == (0, 1)
    assert 0 < sum(kills) < len(kills) / 50
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
        for _, _, _, size, name, kind in archive.whole("datasets"):
            counts[kind] += name != "input"
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


def test_the_first_of_several_inputs_stands_there_twice(archives: list[Archive]) -> None:
    rows = again = 0
    for archive in archives:
        lines = archive.whole("datasets") if "datasets" in archive.members else []
        inputs = {(job, name): rest for job, *rest, name, kind in lines if kind == "input"}
        twice = [(job, name) for job, name in inputs if name == "input" and (job, "input1") in inputs]
        rows, again = rows + len(inputs), again + len(twice)
        assert sum(inputs[job, name] != inputs[job, "input1"] for job, name in twice) <= len(twice) / 100
    assert 0.05 < again / rows < 0.2


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
