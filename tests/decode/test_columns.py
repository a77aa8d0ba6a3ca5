"""The values of columns: null, texts, sizes and metrics, found by the header."""

from __future__ import annotations

import pytest
from block_rows import CREATED, MICROS, SECOND, datasets, jobs, metrics, only_reason
from build import decoded, line

from grt_batch.schema.members import METRICS, NULL, RUNTIME, Kind


def test_none_is_null_in_every_column_but_the_job_id() -> None:
    result = decoded(Kind.JOBS, line(1, "None", "None", "None", "None"))
    assert jobs(result) == [(1, NULL, None, None, None)]
    assert only_reason(Kind.JOBS, line("None", "Cut1", "1.0", "ok", CREATED)) == "id is not an integer"
    assert metrics(decoded(Kind.METRIC_NUM, line(1, "core", "runtime_seconds", "None"))) == {1: {RUNTIME: NULL}}
    assert datasets(decoded(Kind.DATASETS, line(1, "None", "None", "None", "None", "input"))) == [(1, NULL, 0)]
    assert decoded(Kind.PARAMS, line(1, "None", "None")).accepted == 1


def test_texts_are_kept_as_they_are_written() -> None:
    odd = line(1, " Convert characters1+x:y ", "", "a new state", CREATED) + line(2, "none", "NONE", "ok ", CREATED)
    assert [job[2:] for job in jobs(decoded(Kind.JOBS, odd))] == [
        (" Convert characters1+x:y ", "", "a new state"),
        ("none", "NONE", "ok "),
    ]


def test_a_version_that_would_stand_for_all_versions_is_none() -> None:
    text = line(1, "*", "*", "*", CREATED) + line(2, "Cut1", "**", "ok", CREATED) + line(3, "Cut1", " *", "ok", CREATED)
    found = [("*", None, "*"), ("Cut1", "**", "ok"), ("Cut1", " *", "ok")]
    assert [job[2:] for job in jobs(decoded(Kind.JOBS, text))] == found


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("-1", NULL),
        ("None", NULL),
        ("0", 0),
        ("7", 7),
        ("-2", -2),
        (2**62 - 1, 2**62 - 1),
        (2**62, NULL),
        (2**63, NULL),
    ],
)
def test_the_size_minus_one_and_none_and_no_limit_are_null(text: object, size: int) -> None:
    assert datasets(decoded(Kind.DATASETS, line(1, 2, "bam", text, "a", "output"))) == [(1, size, 1)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4.0000000", 4 * SECOND),
        ("0E-7", 0),
        ("1E-7", 1),
        ("-1.5", -15_000_000),
        ("-1", -SECOND),
        ("9223372036854771712", NULL),
        ("9223372036854771712.0000000", NULL),
        (str(2**63), NULL),
        (str(2**62), NULL),
    ],
)
def test_metric_values_are_exact_and_no_limit_is_null(text: str, value: int) -> None:
    assert metrics(decoded(Kind.METRIC_NUM, line(1, "core", "runtime_seconds", text))) == {1: {RUNTIME: value}}


def test_a_metric_is_known_by_plugin_and_name_and_others_are_counted_only() -> None:
    known = b"".join(line(7, metric.plugin, metric.name, i) for i, metric in enumerate(METRICS))
    others = line(7, "cor", "runtime_seconds", 9) + line(7, "core", "runtime_second", 9) + line(8, "env", "X", 9)
    swapped = line(7, "runtime_seconds", "core", 9) + line(7, "corer", "untime_seconds", 9) + line(7, "", "", 9)
    result = decoded(Kind.METRIC_NUM, known + others + swapped)
    assert metrics(result) == {
        7: {i: i * 10**metric.scale for i, metric in enumerate(METRICS)},
        8: {},
    }
    assert result.accepted == result.lines == len(METRICS) + 6


def test_of_a_metric_that_repeats_the_last_value_counts() -> None:
    text = line(1, "core", "runtime_seconds", 1) + line(2, "core", "runtime_seconds", 5)
    text += line(1, "core", "runtime_seconds", 3) + line(2, "core", "runtime_seconds", "None")
    assert metrics(decoded(Kind.METRIC_NUM, text)) == {1: {RUNTIME: 3 * SECOND}, 2: {RUNTIME: NULL}}


def test_columns_are_found_by_the_header() -> None:
    text = line("ok", 5, "x", CREATED, "Cut1")
    assert jobs(decoded(Kind.JOBS, text, columns=b"state\tid\tgalaxy\tcreate_time\ttool_id\n")) == [
        (5, MICROS, "Cut1", None, "ok")
    ]
    text = line("output", 9, 7)
    assert datasets(decoded(Kind.DATASETS, text, columns=b"type\tfile_size\tjob_id\n")) == [(7, 9, 1)]
    text = line("3.5", "runtime_seconds", "core", 7)
    assert metrics(decoded(Kind.METRIC_NUM, text, columns=b"value\tname\tplugin\tjob_id\n")) == {
        7: {RUNTIME: 35_000_000}
    }
