"""The members of an archive, joined into one row a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from build import decoded, examples, line
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from grt_batch.join.jobs import TERMINAL_STATES, Joiner
from grt_batch.schema.members import METRICS, SECOND, Kind
from grt_batch.schema.plausible import (
    FIRST_SECOND,
    LAST_SECOND,
    MOST_BYTES,
    MOST_CORES,
    MOST_PROCESSORS,
    MOST_SECONDS,
    SLACK_SECONDS,
)
from grt_batch.schema.records import Job

CREATED = datetime(2018, 3, 1, 15, 3, 43, 801_539)
EPOCH = int(CREATED.replace(microsecond=0, tzinfo=UTC).timestamp())
THREE = b"id\ttool_id\tstate\n"
FIELDS = [field.name for field in Job.fields()]


def join(*blocks: tuple[Kind, bytes], columns: bytes = b"") -> tuple[pl.DataFrame, int, Joiner]:
    """Decode and join some blocks; `columns` is the header of the jobs."""
    joiner = Joiner()
    for kind, text in blocks:
        joiner.add(decoded(kind, text, columns=columns if kind is Kind.JOBS else b""))
    joined, repeated = joiner.join()
    return joined.frame(Job), repeated, joiner


def job(number: int, state: str = "ok", tool: str = "Cut1", version: str = "1.0") -> bytes:
    return line(number, tool, version, state, CREATED)


def metric(number: int, name: str, value: object) -> bytes:
    plugin = next(metric.plugin for metric in METRICS if metric.name == name)
    return line(number, plugin, name, value)


def dataset(number: int, size: object, direction: str = "input", dataset_id: object = "None") -> bytes:
    return line(number, dataset_id, "bam", size, "input1", direction)


def measured(*datasets: bytes, state: str = "ok", **metrics: object) -> dict[str, Any]:
    """The row of one job with these metrics; a double underscore in a name stands for a point."""
    text = b"".join(metric(7, name.replace("__", "."), value) for name, value in metrics.items())
    blocks = [(Kind.JOBS, job(7, state)), (Kind.METRIC_NUM, text), (Kind.DATASETS, b"".join(datasets))]
    frame, _, _ = join(*((kind, block) for kind, block in blocks if block))
    return frame.row(0, named=True)


def test_the_frame_has_the_fields_of_a_job_and_is_in_the_order_of_their_ids() -> None:
    frame, repeated, _ = join((Kind.JOBS, job(30) + job(-4) + job(2, "error", "cat 1", "None")))
    assert sorted(frame.columns) == sorted(FIELDS)
    assert (frame[Job.job_id.name].to_list(), repeated) == ([-4, 2, 30], 0)
    assert frame.row(1, named=True) == {
        Job.job_id.name: 2,
        Job.tool_id.name: "cat 1",
        Job.tool_version.name: None,
        Job.state.name: "error",
        Job.create_time.name: CREATED,
        Job.day.name: date(2018, 3, 1),
        Job.month.name: date(2018, 3, 1),
        **{
            getattr(Job, name).name: None
            for name in ("runtime", "memory", "cpu", "cores", "allocated_memory", "core_seconds", "wait")
        },
        Job.input_bytes.name: None,
        Job.output_bytes.name: None,
        Job.oom.name: None,
        Job.non_terminal.name: False,
        Job.without_metrics.name: True,
        Job.implausible.name: False,
    }


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_its_type(name: str) -> None:
    wanted: Any = getattr(Job, name)
    frame, _, _ = join((Kind.JOBS, job(1)))
    assert frame.select(wanted.expr).dtypes == [wanted.type]
    empty, _, _ = join()
    assert empty.select(wanted.expr).dtypes == [wanted.type]


def test_an_archive_without_jobs_has_no_rows_and_its_rows_are_orphans() -> None:
    frame, repeated, joiner = join(
        (Kind.METRIC_NUM, metric(1, "runtime_seconds", 5)), (Kind.DATASETS, dataset(1, 5) * 2)
    )
    assert (frame.height, repeated) == (0, 0)
    assert joiner.members[Kind.DATASETS].orphans == 2
    assert joiner.members[Kind.METRIC_NUM].orphans == 1
    assert join()[0].height == 0


# Which row wins


def test_the_last_line_of_a_job_wins_in_a_block_and_across_blocks() -> None:
    first = job(1, "running") + job(2) + job(1, "error", "cat1", "2.0")
    for blocks in [(Kind.JOBS, first)], [(Kind.JOBS, one) for one in first.splitlines(keepends=True)]:
        frame, repeated, _ = join(*blocks)
        assert frame.select("job_id", Job.tool_id.expr, Job.state.expr).rows() == [
            (1, "cat1", "error"),
            (2, "Cut1", "ok"),
        ]
        assert repeated == 1


def test_of_a_metric_that_repeats_the_last_value_wins_across_blocks() -> None:
    values = [(1, 5), (2, 8), (1, 7), (2, "None")]
    lines = [metric(number, "runtime_seconds", value) for number, value in values]
    for cut in range(5):
        parts = [(Kind.METRIC_NUM, part) for part in (b"".join(lines[:cut]), b"".join(lines[cut:])) if part]
        frame, _, _ = join(*parts, (Kind.JOBS, job(1) + job(2)))
        assert frame[Job.runtime.name].to_list() == [7 * SECOND, None]


def test_a_metric_that_is_null_at_last_leaves_the_others_alone() -> None:
    parts = [metric(1, "runtime_seconds", 5) + metric(1, "galaxy_slots", 2), metric(1, "galaxy_slots", "None")]
    frame, _, _ = join((Kind.JOBS, job(1)), *((Kind.METRIC_NUM, part) for part in parts))
    assert frame.select(Job.runtime.name, Job.cores.name, Job.core_seconds.name).row(0) == (5 * SECOND, None, None)


def test_sizes_add_up_by_direction_and_only_known_ones_count() -> None:
    text = dataset(1, 5) + dataset(1, 6) + dataset(1, 0, "output") + dataset(1, -1) + dataset(2, "None", "output")
    frame, _, _ = join((Kind.DATASETS, text), (Kind.JOBS, job(1) + job(2)), (Kind.DATASETS, dataset(1, 2**40)))
    assert frame.select("input_bytes", "output_bytes", "implausible").rows() == [
        (2**40 + 11, 0, False),
        (None, None, False),
    ]


def test_a_dataset_of_a_job_counts_once_in_each_direction() -> None:
    """Galaxy records the first dataset of a multiple input under two names."""
    text = dataset(1, 5, dataset_id=8) + dataset(1, 7, dataset_id=9) + dataset(2, 5, dataset_id=8)
    text += dataset(1, 5, "output", 8) + dataset(1, 5, dataset_id=8) + dataset(2, 5, "output", 8)
    text += dataset(1, 5) + dataset(1, 5) + dataset(3, 5, dataset_id=2**64) + dataset(3, 6, dataset_id=2**65)
    frame, _, joiner = join((Kind.JOBS, job(1) + job(2) + job(3)), (Kind.DATASETS, text))
    assert frame.select("input_bytes", "output_bytes").rows() == [(22, 5), (5, 5), (11, None)]
    assert joiner.members[Kind.DATASETS].accepted == 10


@pytest.mark.parametrize("known", [(3, 5, 5, 4), (5, 3), ("None", 5), (5, -1), (0, 5, 0)])
def test_of_a_dataset_s_sizes_the_greatest_counts(known: tuple[object, ...]) -> None:
    """In whichever order and block the records come: of a salvaged one nobody knows where it stood."""
    lines = [dataset(1, size, dataset_id=8) for size in known] + [dataset(1, 0, dataset_id=7)]
    for ordered in (lines, lines[::-1]):
        for blocks in ([b"".join(ordered)], ordered):
            frame, _, _ = join((Kind.JOBS, job(1)), *((Kind.DATASETS, block) for block in blocks))
            assert frame[Job.input_bytes.name].to_list() == [5]


def test_a_dataset_without_a_known_size_has_none_under_any_name() -> None:
    row = measured(dataset(7, "None", dataset_id=8), dataset(7, -1, dataset_id=8), dataset(7, -3, "output", 8))
    assert (row["input_bytes"], row["output_bytes"], row["implausible"]) == (None, None, True)


@pytest.mark.parametrize("last", [9, 5_000_000_000, 2**62])
def test_ids_may_be_dense_or_far_apart(last: int) -> None:
    """Both ways to find a job's row give the same, for the ids between, below and above the jobs' too."""
    ids = [-5, 3, 4, last]
    strangers = [-(2**62), -6, 0, 5, last - 1, last + 1, 2**63 - 1]
    text = b"".join(dataset(number, 10 + i) for i, number in enumerate([*ids, *strangers]))
    slots = b"".join(metric(number, "galaxy_slots", 1 + i) for i, number in enumerate([*strangers, *ids]))
    frame, _, joiner = join(
        (Kind.JOBS, b"".join(map(job, reversed(ids)))), (Kind.DATASETS, text), (Kind.METRIC_NUM, slots)
    )
    assert frame.select("job_id", "input_bytes", "cores").rows() == [
        (number, 10 + i, (8 + i) * SECOND) for i, number in enumerate(ids)
    ]
    assert joiner.members[Kind.DATASETS].orphans == joiner.members[Kind.METRIC_NUM].orphans == len(strangers)
    assert not frame[Job.without_metrics.name].any()


def test_orphans_do_not_depend_on_how_a_member_is_cut() -> None:
    lines = [metric(9, "runtime_seconds", 5), metric(9, "galaxy_slots", 1), metric(1, "galaxy_slots", 1)]
    whole = join((Kind.JOBS, job(1)), (Kind.METRIC_NUM, b"".join(lines)))[2]
    parts = join((Kind.JOBS, job(1)), *((Kind.METRIC_NUM, one) for one in lines))[2]
    assert whole.members[Kind.METRIC_NUM] == parts.members[Kind.METRIC_NUM]


def test_any_metric_tells_that_a_job_has_metrics() -> None:
    text = line(1, "env", "UNKNOWN", 1) + metric(2, "runtime_seconds", "None")
    frame, _, _ = join((Kind.JOBS, job(1) + job(2) + job(3)), (Kind.METRIC_NUM, text))
    assert frame[Job.without_metrics.name].to_list() == [False, False, True]


# Times and states


def test_three_columns_of_a_job_leave_version_and_time_null() -> None:
    frame, _, _ = join((Kind.JOBS, b"1\tCut1\tok\n"), (Kind.METRIC_NUM, metric(1, "start_epoch", EPOCH)), columns=THREE)
    row = frame.row(0, named=True)
    assert (row["tool_id"], row["tool_version"], row["state"]) == ("Cut1", None, "ok")
    assert {row[name] for name in ("create_time", "day", "month", "wait")} == {None}


def test_null_and_empty_texts_are_told_apart_in_the_frame_and_one_in_its_expressions() -> None:
    frame, _, _ = join((Kind.JOBS, job(1, version="None") + job(2, version="") + job(3, tool="None")))
    assert frame[Job.tool_version.name].to_list() == [None, "", "1.0"]
    assert frame.select(Job.tool_version.expr).to_series().to_list() == ["", "", "1.0"]
    assert frame.select(Job.tool_id.expr).to_series().to_list() == ["Cut1", "Cut1", ""]


def test_a_state_that_nobody_knows_may_still_change() -> None:
    states = [*TERMINAL_STATES, "running", "new", "brand new", "None", ""]
    frame, _, _ = join((Kind.JOBS, b"".join(job(i, state) for i, state in enumerate(states))))
    assert frame[Job.non_terminal.name].to_list() == [state not in TERMINAL_STATES for state in states]


@pytest.mark.parametrize("created", ["2005-01-01 00:00:00", "2017-06-02 19:18:30", "2099-12-31 23:59:58.5"])
def test_days_and_months_are_those_of_create_time(created: str) -> None:
    frame, _, _ = join((Kind.JOBS, line(1, "Cut1", "1.0", "ok", created)))
    moment = datetime.fromisoformat(created)
    assert frame.select("create_time", "day", "month").row(0) == (moment, moment.date(), moment.date().replace(day=1))


# Measurements


def test_units_are_those_of_the_fields() -> None:
    row = measured(
        runtime_seconds="4.5000000",
        galaxy_slots="2.0000000",
        galaxy_memory_mb="2048.0000000",
        start_epoch=EPOCH + 10,
        memory__peak="1073741824.0000000",
        cpu__stat__usage_usec=3_000_001,
    )
    assert row["runtime"] == 45_000_000
    assert row["cores"] == 2 * SECOND
    assert row["core_seconds"] == 9 * SECOND
    assert row["allocated_memory"] == 2 * 2**30
    assert row["memory"] == 2**30
    assert row["cpu"] == 3_000_001_000
    assert row["wait"] == 10 * SECOND - 8_015_390
    assert not row["implausible"]


def test_cpu_of_the_first_cgroups_is_in_nanoseconds_and_that_of_the_second_wins() -> None:
    assert measured(cpuacct__usage=3_000_001)["cpu"] == 3_000_001
    assert measured(cpuacct__usage=3_000_001, cpu__stat__usage_usec=5)["cpu"] == 5000
    assert measured(cpuacct__usage=3_000_001, cpu__stat__usage_usec=2**63)["cpu"] == 3_000_001
    row = measured(cpuacct__usage=3_000_001, cpu__stat__usage_usec=2**62 - 1)
    assert (row["cpu"], row["implausible"]) == (3_000_001, True)
    assert measured(cpu__stat__usage_usec="0E-7")["cpu"] == 0


def test_peak_memory_wins_over_the_first_cgroups_and_no_memory_is_null() -> None:
    assert measured(memory__max_usage_in_bytes=5)["memory"] == 5
    assert measured(memory__peak=4, memory__max_usage_in_bytes=5)["memory"] == 4
    assert measured(memory__peak="0E-7", memory__max_usage_in_bytes=5)["memory"] == 5
    assert measured(memory__peak=2**63, memory__max_usage_in_bytes=5)["memory"] == 5
    row = measured(memory__peak="0E-7", memory__max_usage_in_bytes="9223372036854771712.0000000")
    assert (row["memory"], row["implausible"]) == (None, False)


def test_a_missing_runtime_is_end_minus_start() -> None:
    assert measured(start_epoch=EPOCH, end_epoch=EPOCH + 30)["runtime"] == 30 * SECOND
    assert measured(start_epoch=EPOCH, end_epoch=EPOCH + 30, runtime_seconds="None")["runtime"] == 30 * SECOND
    assert measured(start_epoch=EPOCH, end_epoch=EPOCH + 30, runtime_seconds="0E-7")["runtime"] == 0
    assert measured(start_epoch=EPOCH)["runtime"] is None
    assert measured(end_epoch=EPOCH)["runtime"] is None
    assert measured(start_epoch=EPOCH, end_epoch=EPOCH + 30, galaxy_slots=2)["core_seconds"] == 60 * SECOND


def test_a_negative_runtime_is_null_and_no_reason_to_look_further() -> None:
    row = measured(runtime_seconds="-1.0000000", galaxy_slots=2, start_epoch=EPOCH, end_epoch=EPOCH + 30)
    assert (row["runtime"], row["core_seconds"], row["implausible"]) == (None, None, True)
    row = measured(start_epoch=EPOCH + 30, end_epoch=EPOCH)
    assert (row["runtime"], row["implausible"]) == (None, True)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("memory.peak", "memory"),
        ("memory.max_usage_in_bytes", "memory"),
        ("cpuacct.usage", "cpu"),
        ("cpu.stat.usage_usec", "cpu"),
        ("galaxy_slots", "cores"),
        ("galaxy_memory_mb", "allocated_memory"),
        ("start_epoch", "wait"),
        ("end_epoch", "runtime"),
    ],
)
def test_a_negative_measurement_is_null_and_implausible(name: str, column: str) -> None:
    row = measured(**{name: "-2.0000000"})
    assert (row[column], row["implausible"]) == (None, True)


@pytest.mark.parametrize(("direction", "column"), [("input", "input_bytes"), ("output", "output_bytes")])
def test_a_negative_size_is_null_and_implausible(direction: str, column: str) -> None:
    row = measured(dataset(7, -2, direction))
    assert (row[column], row["implausible"]) == (None, True)
    row = measured(dataset(7, -2, direction), dataset(7, 5, direction))
    assert (row[column], row["implausible"]) == (5, True)
    row = measured(dataset(7, -1, direction))
    assert (row[column], row["implausible"]) == (None, False)


@pytest.mark.parametrize("sizes", [[2**50] * 4096, [1, *[2**50] * 4100, 7]], ids=len)
def test_sizes_that_add_up_beyond_all_bounds_are_null_and_implausible(sizes: list[int]) -> None:
    row = measured(*(dataset(7, size) for size in sizes), dataset(7, 5, "output"))
    assert (row["input_bytes"], row["output_bytes"], row["implausible"]) == (None, 5, True)
    row = measured(*[dataset(7, 2**50)] * 4095, dataset(7, 2**50 - 1))
    assert (row["input_bytes"], row["implausible"]) == (2**62 - 1, False)
    row = measured(*[dataset(7, 2**50, dataset_id=1)] * 5000)
    assert (row["input_bytes"], row["implausible"]) == (2**50, False)


def test_a_negative_wait_is_null_but_not_implausible() -> None:
    """The two clocks may differ: that of the compute node, and the database's."""
    row = measured(start_epoch=EPOCH - 1)
    assert (row["wait"], row["implausible"]) == (None, False)
    assert measured(start_epoch=EPOCH + 1)["wait"] == SECOND - 8_015_390
    assert measured(end_epoch=EPOCH)["wait"] is None


# Killed for memory


def killed(state: str = "error", **metrics: object) -> bool | None:
    """Whether a job with these metrics, by short names, was killed for memory."""
    names = {"kills": "memory__events__oom_kill", "peak": "memory__max_usage_in_bytes"}
    names |= {"limit": "memory__limit_in_bytes", "hits": "memory__failcnt"}
    row = measured(state=state, **{names[name]: value for name, value in metrics.items()})
    assert not row["implausible"]
    found: bool | None = row[Job.oom.name]
    return found


def test_the_second_cgroups_count_the_kills() -> None:
    assert killed(kills="1.0000000") is True
    assert killed("ok", kills=3) is True
    assert killed(kills="0E-7") is False
    assert killed(kills="None") is None
    assert killed(kills=2**62) is None
    # They win over the first ones.
    assert killed(kills="0E-7", peak=100, limit=100) is False
    assert killed("ok", kills=1, peak=1, limit=100) is True
    assert killed(kills="None", peak=100, limit=100) is True


@pytest.mark.parametrize("limit", [1, 49, 50, 51, 99, 100, 101, 10**9, 2**50, 2**50 - 50])
def test_a_job_in_error_with_its_peak_at_the_limit_of_the_first_cgroups_was_killed(limit: int) -> None:
    least = -(-limit * 98 // 100)
    for peak in {least - 1, least, limit, min(limit + 1, 2**50)} - {0}:
        assert killed(peak=peak, limit=limit) is (100 * peak >= 98 * limit)
        # The page cache of a job that is well may fill its memory too.
        for state in ("ok", "failed", "running"):
            assert killed(state, peak=peak, limit=limit, hits=5) is False


@pytest.mark.parametrize("limit", [0, 2**62, 2**63 - 4096, 2**63, 10**30, "None", "0E-7"])
def test_without_a_limit_the_first_cgroups_cannot_tell(limit: object) -> None:
    for hits in (0, 7):
        assert killed(peak=100, limit=limit, hits=hits) is None
    assert killed(peak=2**50, hits=7) is None


def test_hits_of_the_limit_prove_nothing_but_a_limit_never_hit_killed_nobody() -> None:
    assert killed(hits=7) is killed(hits=0) is None
    assert killed(limit=100, hits=7) is None
    assert killed(limit=100, hits="0E-7") is False
    assert killed(limit=100, hits=0, peak="0E-7") is False
    assert killed(limit=100, hits=3, peak=5) is False
    assert killed(limit=100) is killed(limit=100, peak=0) is killed(limit=100, peak=2**62, hits="None") is None
    assert killed(limit=100, peak=98, hits="0E-7") is True


@pytest.mark.parametrize("name", ["memory.events.oom_kill", "memory.limit_in_bytes", "memory.failcnt"])
def test_a_negative_number_of_the_memory_s_end_is_implausible(name: str) -> None:
    row = measured(**{name: "-1.0000000"})
    assert (row["oom"], row["implausible"]) == (None, True)
    row = measured(state="error", memory__max_usage_in_bytes=99, memory__limit_in_bytes=100, **{name: "-1.0000000"})
    assert (row["oom"], row["implausible"]) == (None if name == "memory.limit_in_bytes" else True, True)


@examples(100)
@given(st.integers(0, 10**13), st.integers(1, 10**10))
@example(1, 1)
@example(SECOND - 1, SECOND - 1)
@example(3_333_333, 7)
@example(10**13 - 1, 10**10 - 1)
def test_core_seconds_are_exact_and_rounded_down(runtime: int, cores: int) -> None:
    def text(value: int) -> str:
        return f"{value // SECOND}.{value % SECOND:07d}"

    row = measured(runtime_seconds=text(runtime), galaxy_slots=text(cores))
    assert row["runtime"] == runtime
    assert row["cores"] == cores
    assert row["core_seconds"] == runtime * cores // SECOND


def test_core_seconds_beyond_all_bounds_are_null_and_implausible() -> None:
    row, counts = counted(runtime_seconds=MOST_SECONDS, galaxy_slots=MOST_CORES)
    assert (row["runtime"], row["cores"]) == (MOST_SECONDS * SECOND, MOST_CORES * SECOND)
    assert (row["core_seconds"], row["implausible"], counts) == (None, True, {"core_seconds": 1})


@pytest.mark.parametrize("megabytes", ["0E-7", "0.5", "7.3333333", "1048576.0000000", "1073741824"])
def test_allocated_memory_is_in_bytes_rounded_down(megabytes: str) -> None:
    whole, _, fraction = megabytes.replace("0E-7", "0").partition(".")
    scaled = int(whole) * SECOND + int(f"{fraction:0<7}")
    expected = scaled * 2**20 // SECOND
    assert measured(galaxy_memory_mb=megabytes)["allocated_memory"] == expected


# Laws


def shuffled(cut: int, order: Callable[[Kind], int]) -> list[tuple[Kind, bytes]]:
    """The members of one archive, each cut after so many lines, in some order."""
    numbers = range(1, 30)
    members: Mapping[Kind, list[bytes]] = {
        Kind.JOBS: [job(i, "ok" if i % 3 else "error", f"tool{i % 4}") for i in [*numbers, 3, 4]],
        Kind.METRIC_NUM: [
            metric(i, name, value)
            for i in [*numbers, 3, 31]
            for name, value in (("runtime_seconds", i * 1.5), ("galaxy_slots", i % 5), ("memory.peak", i << 20))
        ],
        Kind.DATASETS: [dataset(i % 31, i, "input" if i % 2 else "output", i % 31 % 2) for i in range(100)],
    }
    return [
        (kind, b"".join(members[kind][at : at + cut]))
        for kind in sorted(members, key=order)
        for at in range(0, len(members[kind]), cut)
    ]


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
@pytest.mark.parametrize("order", range(3))
def test_neither_the_order_of_the_members_nor_their_blocks_matter(cut: int, order: int) -> None:
    kinds = [Kind.JOBS, Kind.METRIC_NUM, Kind.DATASETS]
    expected, repeated, _ = join(*shuffled(1000, kinds.index))
    frame, again, _ = join(*shuffled(cut, lambda kind: (kinds.index(kind) + order) % 3))
    assert again == repeated == 2
    assert_frame_equal(frame, expected, categorical_as_str=True)


# What cannot be


def counted(*datasets: bytes, created: object = CREATED, **metrics: object) -> tuple[dict[str, Any], dict[str, int]]:
    """The row of one job with these metrics, and what of it is counted as implausible."""
    text = b"".join(metric(7, name.replace("__", "."), value) for name, value in metrics.items())
    blocks = [(Kind.JOBS, line(7, "Cut1", "1.0", "ok", created)), (Kind.METRIC_NUM, text)]
    frame, _, joiner = join(*(block for block in (*blocks, (Kind.DATASETS, b"".join(datasets))) if block[1]))
    return frame.row(0, named=True), {name: count for name, count in joiner.implausible.items() if count}


def test_a_job_that_began_when_time_did_ran_for_no_time_that_is_known() -> None:
    row, counts = counted(start_epoch="0E-7", end_epoch=EPOCH)
    assert (row["runtime"], row["wait"], counts) == (None, None, {"start_epoch": 1})
    row, counts = counted(runtime_seconds=EPOCH, galaxy_slots=1)
    assert (row["runtime"], row["core_seconds"], counts) == (None, None, {"runtime_seconds": 1})


@pytest.mark.parametrize(
    ("name", "column", "good", "bad"),
    [
        ("runtime_seconds", "runtime", ["0E-7", MOST_SECONDS], [f"{MOST_SECONDS}.0000001", "1E+12", 2**62 - 1, -1]),
        ("galaxy_slots", "cores", ["0.0000001", 1, MOST_CORES], ["0E-7", MOST_CORES + 1, 10**6, -(10**30)]),
        (
            "galaxy_memory_mb",
            "allocated_memory",
            ["0E-7", MOST_BYTES >> 20],
            [f"{MOST_BYTES >> 20}.0000001", 2**62 - 1],
        ),
        ("memory.peak", "memory", [1, MOST_BYTES], [MOST_BYTES + 1, 2**62 - 1, -(2**62), -(10**30)]),
        ("memory.max_usage_in_bytes", "memory", [1, MOST_BYTES], [MOST_BYTES + 1, 2**62 - 1]),
        ("cpu.stat.usage_usec", "cpu", ["0E-7", (2**62 - 1) // 1000], [2**62 // 1000 + 1, 2**62 - 1]),
        ("cpuacct.usage", "cpu", ["0E-7", 2**62 - 1], [-1, -(2**62)]),
        ("memory.events.oom_kill", "oom", ["0E-7", 2**62 - 1], [-1]),
    ],
)
def test_a_metric_beyond_its_bounds_is_null_and_counted(
    name: str, column: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        row, counts = counted(**{name: value})
        assert row[column] is not None
        assert (row["implausible"], counts) == (False, {})
    for value in bad:
        row, counts = counted(**{name: value})
        assert (row[column], row["implausible"], counts) == (None, True, {name: 1})


@pytest.mark.parametrize("value", [2**62, "9223372036854771712.0000000", 10**30, "None"])
@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_no_limit_is_no_measurement_and_not_implausible(name: str, value: object) -> None:
    assert counted(**{name: value})[1] == {}


@pytest.mark.parametrize("second", ["0E-7", FIRST_SECOND - 1, LAST_SECOND + 1, "1E+13", -5])
def test_a_time_before_galaxy_or_in_a_far_future_is_null(second: object) -> None:
    row, counts = counted(start_epoch=second, end_epoch=second)
    assert (row["wait"], row["runtime"], counts) == (None, None, {"start_epoch": 1, "end_epoch": 1})


@pytest.mark.parametrize(
    "created",
    [
        "0001-01-01 00:00:00",
        "1970-01-01 00:00:00",
        "2004-12-31 23:59:59.999999",
        "2100-01-01 00:00:00",
        "9999-12-31 23:59:59",
    ],
)
def test_a_job_was_not_created_then(created: str) -> None:
    row, counts = counted(created=created, start_epoch=EPOCH)
    assert [row[name] for name in ("create_time", "day", "month", "wait")] == [None] * 4
    assert (row["implausible"], counts) == (True, {"create_time": 1})


def test_a_job_waits_for_ten_years_at_most() -> None:
    for wait, known in ((MOST_SECONDS, True), (MOST_SECONDS + 1, False)):
        row, counts = counted(created="2018-03-01 15:03:43", start_epoch=EPOCH + wait)
        assert (row["wait"], counts) == ((wait * SECOND, {}) if known else (None, {"start_epoch": 1}))
    row, counts = counted(start_epoch=EPOCH, end_epoch=EPOCH + MOST_SECONDS + 1)
    assert (row["runtime"], counts) == (None, {"runtime_seconds": 1})


@pytest.mark.parametrize("runtime", [0, 10, 86400 * 1000])
def test_the_cpu_time_of_a_whole_machine_is_not_that_of_the_job(runtime: int) -> None:
    most = MOST_PROCESSORS * (runtime + SLACK_SECONDS) * 1_000_000
    for name, unit in (("cpu.stat.usage_usec", 1), ("cpuacct.usage", 1000)):
        if most * unit < 2**62 // (1000 // unit):
            row, counts = counted(runtime_seconds=runtime, galaxy_slots=1, **{name: most * unit})
            assert (row["cpu"], counts) == (most * 1000, {})
            row, counts = counted(runtime_seconds=runtime, galaxy_slots=1, **{name: most * unit + 1})
            assert (row["cpu"], row["implausible"], counts) == (None, True, {name: 1})
            assert counted(**{name: most * unit + 1})[1] == {}, "nobody knows how long it ran"


@pytest.mark.parametrize("size", [-2, MOST_BYTES + 1, 2**62 - 1])
def test_a_size_that_no_file_has_is_null_and_counted_once_for_a_job(size: int) -> None:
    row, counts = counted(dataset(7, size), dataset(7, size, "output"), dataset(7, MOST_BYTES))
    assert (row["input_bytes"], row["output_bytes"], counts) == (MOST_BYTES, None, {"file_size": 1})


@examples(50)
@given(st.datetimes(datetime(2005, 2, 10), datetime(2099, 11, 20)))
@example(datetime(2008, 2, 29))
@example(datetime(2096, 3, 1))
def test_days_and_months_are_those_of_the_calendar(moment: datetime) -> None:
    text = b"".join(line(i, "Cut1", "1.0", "ok", moment + timedelta(i)) for i in range(-40, 40))
    frame, _, _ = join((Kind.JOBS, text))
    days = [time.date() for time in frame[Job.create_time.name]]
    assert frame[Job.day.name].to_list() == days
    assert frame[Job.month.name].to_list() == [day.replace(day=1) for day in days]
