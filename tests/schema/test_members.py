"""Members are known by the ends of their names, their columns by their headers."""

from __future__ import annotations

import build
import pytest

from grt_batch.schema.members import METRICS, Kind, MemberType, layout_of


def names(lines: list[bytes], kind: Kind = Kind.JOBS) -> list[str]:
    return [column.name for column in layout_of(kind, lines)[0].columns]


@pytest.mark.parametrize("kind", Kind)
def test_a_member_is_known_by_the_end_of_the_exporters_path(kind: Kind) -> None:
    assert Kind.of_member(f"home/hxr/arbeit/galaxy/reports/1501836597.08.{kind.value}.tsv") is kind
    assert Kind.of_member(f"/srv/galaxy/0.{kind.value}.tsv") is kind
    assert Kind.of_member(f"0.{kind.value}.tsv") is kind
    assert Kind.of_member(f"{kind.value}.tsv") is kind
    assert Kind.of_member(f"C:\\galaxy\\reports\\0.{kind.value}.tsv") is kind


@pytest.mark.parametrize(
    "name",
    [
        "0.jobs.tsv.bak",
        "0.jobs.tsv.gz",
        "0.jobs.tsv/",
        "0.jobs.tsv/README",
        "0.jobs.TSV",
        "0.jobs",
        "0.myjobs.tsv",
        "0-jobs.tsv",
        "0.metric.tsv",
        "0.metric_num.tsv\n",
        ".tsv",
        "",
    ],
)
def test_a_near_miss_is_no_member(name: str) -> None:
    assert Kind.of_member(name) is None


@pytest.mark.parametrize("kind", Kind)
def test_a_header_is_known_by_its_first_field(kind: Kind) -> None:
    layout, has_header = layout_of(kind, [build.HEADERS[kind].rstrip(b"\n"), b"1\t2"])
    assert has_header
    assert [column.name for column in layout.columns] == build.HEADERS[kind].decode().split()


@pytest.mark.parametrize("kind", Kind)
def test_without_a_header_the_columns_are_the_exporters(kind: Kind) -> None:
    columns = build.HEADERS[kind].decode().split()
    layout, has_header = layout_of(kind, [b"\t".join([b"1"] * len(columns))])
    assert not has_header
    assert [column.name for column in layout.columns] == columns


def test_the_first_archives_have_three_job_columns() -> None:
    assert names([b"1\tupload1\tok"]) == ["id", "tool_id", "state"]


def test_a_broken_first_line_does_not_decide_the_columns() -> None:
    assert names([b"1\tupload1", b"2\tupload1\tok", b"3\tCut1\tok"]) == ["id", "tool_id", "state"]
    five = b"2\tupload1\t1.0\tok\t2017-06-02 19:18:30"
    assert names([b"1\tCut1\tok", five, five])[2:] == ["tool_version", "state", "create_time"]


def test_a_header_may_have_another_order_and_more_columns() -> None:
    layout, has_header = layout_of(Kind.JOBS, [b"state\tid\tcreate_time\tgalaxy\ttool_id", b"ok\t1\tNone\tx\tCut1"])
    assert has_header
    assert [layout.position(name) for name in ("id", "state", "create_time", "tool_id")] == [1, 0, 2, 4]
    assert layout.position("tool_version") == -1
    assert [column.type for column in layout.columns] == [
        MemberType.TEXT,
        MemberType.JOB_ID,
        MemberType.DATE,
        MemberType.TEXT,
        MemberType.FREE_TEXT,
    ]


def test_spaces_and_a_carriage_return_around_the_headers_names_do_not_matter() -> None:
    assert names([b"id\ttool_id \tstate\r"]) == ["id", "tool_id", "state"]


@pytest.mark.parametrize("first", [b"tool_id\tstate", b"state", b"id\tstate\tid"])
def test_a_header_that_does_not_identify_its_records_is_an_error(first: bytes) -> None:
    with pytest.raises(ValueError, match="header of jobs"):
        layout_of(Kind.JOBS, [first])


def test_a_header_with_more_columns_than_the_kernels_can_hold_is_an_error() -> None:
    layout_of(Kind.JOBS, [b"id\t" + b"\t".join(b"c%d" % i for i in range(63))])
    with pytest.raises(ValueError, match="columns"):
        layout_of(Kind.JOBS, [b"id\t" + b"\t".join(b"c%d" % i for i in range(64))])


def test_an_empty_member_has_the_exporters_columns() -> None:
    assert layout_of(Kind.PARAMS, []) == layout_of(Kind.PARAMS, [b""])
    assert not layout_of(Kind.PARAMS, [])[1]


def test_a_measured_metric_has_one_plugin_and_name() -> None:
    assert len({(metric.plugin, metric.name) for metric in METRICS}) == len(METRICS)
