"""Metrics in their usual form are read like any others."""

from __future__ import annotations

import pytest
from block_rows import SECOND, metrics
from build import decoded, examples, line
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.decode.decoder import decode
from grt_batch.schema.members import METRICS, START, Kind, layout_of
from grt_batch.uploads.archive import Block


def test_metrics_that_start_or_end_the_name_of_another_are_told_apart() -> None:
    text = line(1, "core", "start_epoc", 1) + line(1, "core", "tart_epoch", 2) + line(1, "core", "start_epoch", 3)
    assert metrics(decoded(Kind.METRIC_NUM, text)) == {1: {START: 3 * SECOND}}


WHOLES = [0, 12345678, 99999999, 10**16, 10**17, 10**18, 2**62 - 1, 2**62, 2**63, 10**19, 461168601842]
WHOLES += [10**15 - 1, 10**15, 10**15 + 7, 4611686018427387999, 4611686018427388000]
WHOLES += [922337203684, 922337203685, 461168601843, 4611686018500000000]
VALUES = [f"{whole}.{fraction}" for whole in WHOLES for fraction in ("0000000", "4999999", "5000000", "9999999")]
VALUES += [
    "0E-7",
    "0E-8",
    "1E-7",
    "None",
    "-1.0000000",
    ".0000000",
    "1.000000",
    "1.00000000",
    "1.00000x0",
    "1x.0000000",
]
VALUES += ["1234567x12345678.0000000", "x2345678.0000000", "x23456789.0000000", "1.000000/", "1.000000:"]
NAMES = [(metric.plugin, metric.name) for metric in METRICS]
NAMES += [("core", "galaxy_slotsx"), ("core", "other"), ("", ""), ("a", "b"), ("x" * 90, "y" * 90)]
METRIC_LINES = st.lists(
    st.tuples(
        st.sampled_from(["1", "22", "-3", "", "x", "1" * 7, "1" * 8, "1" * 15, "1" * 16, "1" * 18, "1" * 19]),
        st.sampled_from(NAMES),
        st.sampled_from(VALUES),
    )
)
LAST_METRIC = [("1", ("core", "z" * 90), "1.0000000")]


def check_that_expected_metrics_are_read_like_others(found: list[tuple[str, tuple[str, str], str]]) -> None:
    """With one column more, every line is taken apart."""
    text = b"".join(line(job, *names, value) for job, names, value in found + LAST_METRIC)
    usual, other = (
        decode(Block(layout_of(Kind.METRIC_NUM, [header])[0], 0, lines))
        for header, lines in (
            (b"job_id\tplugin\tname\tvalue", text),
            (b"job_id\tplugin\tname\tvalue\tmore", text.replace(b"\n", b"\tmore\n")),
        )
    )
    assert metrics(usual) == metrics(other)
    assert usual.columns["records"].tolist() == other.columns["records"].tolist()
    assert [(reject.line, reject.reason) for reject in usual.rejects] == [(r.line, r.reason) for r in other.rejects]


@pytest.mark.parametrize("names", NAMES, ids="/".join)
def test_a_metric_that_follows_itself_is_read_like_any_other(names: tuple[str, str]) -> None:
    check_that_expected_metrics_are_read_like_others([(str(i), names, value) for i, value in enumerate(3 * VALUES)])


@examples(100)
@given(METRIC_LINES.map(lambda lines: 3 * lines))
def test_a_metric_that_is_expected_is_read_like_any_other(lines: list[tuple[str, tuple[str, str], str]]) -> None:
    check_that_expected_metrics_are_read_like_others(lines)
