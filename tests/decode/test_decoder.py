"""Every line becomes a record, or is rejected with a reason; how the lines are cut into blocks changes nothing."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

import pytest
from block_rows import CREATED, MICROS, SECOND, datasets, jobs, metrics, only_reason, rejects
from build import HEADERS, decoded, examples, line
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.decode.decoder import FRAGMENT, decode
from grt_batch.schema.members import NULL, RUNTIME, Kind, layout_of
from grt_batch.uploads.archive import Block

SHED = "toolshed.g2.bx.psu.edu/repos"


# The lines of FORMAT, "Lines that the exporter broke"


def test_a_row_without_a_version_stops_before_the_record_that_is_joined_to_it() -> None:
    fragment = f"70\t{SHED}/devteam/samtools_view/1.15.1".encode()
    result = decoded(Kind.JOBS, fragment + b"\t" + line(71, "trimmomatic/0.38.1", "0.38.1", "deleted", CREATED))
    assert jobs(result) == [(71, MICROS, "trimmomatic/0.38.1", "0.38.1", "deleted")]
    assert rejects(result) == [(0, FRAGMENT, fragment)]
    assert (result.lines, result.accepted, result.salvaged) == (1, 1, 1)


def test_a_row_without_a_tool_leaves_its_id_before_the_record() -> None:
    result = decoded(Kind.JOBS, b"8358\t" + line(8359, f"{SHED}/iuc/star/2.7.10b", "2.7.10b", "ok", CREATED))
    assert jobs(result) == [(8359, MICROS, f"{SHED}/iuc/star/2.7.10b", "2.7.10b", "ok")]
    assert rejects(result) == [(0, FRAGMENT, b"8358")]


def test_a_dataset_without_a_name_stops_before_the_next() -> None:
    result = decoded(Kind.DATASETS, line(599, 747, "gff3", 368814, 600, 748, "h5ad", 98838, "output1", "output"))
    assert datasets(result) == [(600, 98838, 1)]
    assert rejects(result) == [(0, FRAGMENT, b"599\t747\tgff3\t368814")]


def test_a_tab_inside_a_param_name_is_put_back() -> None:
    result = decoded(Kind.DATASETS, line(5043, 6170, "data", 386662, "new_file|sample\t7__", "output"))
    assert datasets(result) == [(5043, 386662, 1)]
    assert (result.salvaged, rejects(result)) == (1, [])


def test_a_newline_inside_a_param_name_makes_two_bad_lines() -> None:
    text = line(12385, 14971, "gff3", 1566989, "new_file|sample") + line("7__", "output")
    result = decoded(Kind.DATASETS, line(1, 2, "bam", 3, "a", "input") + text + line(4, 5, "bam", 6, "b", "input"))
    assert datasets(result) == [(1, 3, 0), (4, 6, 0)]
    assert rejects(result) == [
        (1, "5 columns instead of 6", b"12385\t14971\tgff3\t1566989\tnew_file|sample"),
        (2, "2 columns instead of 6", b"7__\toutput"),
    ]


def test_the_last_row_may_stop_at_the_end_of_the_file() -> None:
    text = f"21537\t{SHED}/iuc/unicycler/0.4.8.0\t".encode()
    result = decoded(Kind.JOBS, line(1, "Cut1", "1.0", "ok", CREATED) + text)
    assert [job[0] for job in jobs(result)] == [1]
    assert rejects(result) == [(1, "3 columns instead of 5", text)]


# Joined lines


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "fragment", "record"),
    [
        (Kind.JOBS, "70\tCut1\t", line(80, "Cut1", "1.0", "ok", CREATED)),
        (Kind.JOBS, "70\t", line(80, "Cut1", "1.0", "ok", CREATED)),
        (Kind.JOBS, "70\tCut1\t1.0\t", line(80, "Cut1", "1.0", "ok", "None")),
        (Kind.JOBS, "70\tCut1\t1.0\tok\t", line(80, "", "", "", CREATED)),
        (Kind.METRIC_NUM, "70\tcore\truntime_seconds\t", line(80, "core", "runtime_seconds", "4.0000000")),
        (Kind.METRIC_TXT, "70\tcore\t", line(80, "env", "HOST", "node 7")),
        (Kind.PARAMS, "70\t", line(80, "chromInfo", '"?.len"')),
        (Kind.DATASETS, "70\t71\tgff3\t", line(80, 81, "h5ad", 98838, "output1", "output")),
    ],
)
def test_any_number_of_fragments_may_stand_before_a_record(
    kind: Kind, fragment: str, record: bytes, count: int
) -> None:
    """Only the last row of a joined line is whole."""
    text = (fragment * count).encode() + record
    result = decoded(kind, record + text + record)
    assert (result.lines, result.accepted, result.salvaged) == (3, 3, 1)
    assert rejects(result) == [(1, FRAGMENT, text.removesuffix(b"\t" + record))]
    if kind is Kind.JOBS:
        assert jobs(result) == jobs(decoded(kind, record * 3))
    elif kind is Kind.DATASETS:
        assert datasets(result) == datasets(decoded(kind, record * 3))
    elif kind is Kind.METRIC_NUM:
        assert metrics(result) == {80: {RUNTIME: 4 * SECOND}}


def test_an_ambiguous_tab_is_rejected() -> None:
    """It may belong to the tool's id or to its version."""
    text = line(1, "my\ttool", "1.0", "ok", CREATED)
    assert only_reason(Kind.JOBS, text) == "6 columns instead of 5, and more than one reading is valid"


def test_too_many_columns_without_a_valid_reading_are_rejected() -> None:
    text = line(1, "Cut1", "1.0", "ok", "more", CREATED, "x")
    assert only_reason(Kind.JOBS, text) == "7 columns instead of 5, and no reading is valid"
    text = line(1, 2, "bam", 3, "a\tb", "inout")
    assert only_reason(Kind.DATASETS, text) == "7 columns instead of 6, and no reading is valid"


def test_a_tab_in_the_tool_of_a_three_column_job_has_one_place() -> None:
    result = decoded(Kind.JOBS, line(1, "my\ttool", "ok"), columns=b"id\ttool_id\tstate\n")
    assert jobs(result) == [(1, NULL, "my\ttool", None, "ok")]


def test_hundreds_of_columns_are_rejected() -> None:
    assert only_reason(Kind.JOBS, b"x\t" * 300 + b"\n") == "301 columns instead of 5, and no reading is valid"
    result = decoded(Kind.JOBS, b"1\tx\t" * 100 + line(7, "Cut1", "1.0", "ok", CREATED))
    assert jobs(result) == [(7, MICROS, "Cut1", "1.0", "ok")]


# Values


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (Kind.JOBS, ("x", "Cut1", "1.0", "ok", CREATED), "id is not an integer"),
        (Kind.JOBS, ("", "Cut1", "1.0", "ok", CREATED), "id is not an integer"),
        (Kind.JOBS, ("1.0", "Cut1", "1.0", "ok", CREATED), "id is not an integer"),
        (Kind.JOBS, (" 1", "Cut1", "1.0", "ok", CREATED), "id is not an integer"),
        (Kind.JOBS, (2**63, "Cut1", "1.0", "ok", CREATED), "id is not an integer"),
        (Kind.JOBS, (1, "Cut1", "1.0", "ok", ""), "create_time is not a date or null"),
        (Kind.JOBS, (1, "Cut1", "1.0", CREATED, "ok"), "create_time is not a date or null"),
        (Kind.JOBS, (1, "Cut1", "1.0", "ok", "2018-02-29 00:00:00"), "create_time is not a date or null"),
        (Kind.METRIC_NUM, ("x", "core", "galaxy_slots", 1), "job_id is not an integer"),
        (Kind.METRIC_NUM, (1, "core", "galaxy_slots", ""), "value is not a number or null"),
        (Kind.METRIC_NUM, (1, "core", "galaxy_slots", "many"), "value is not a number or null"),
        (Kind.METRIC_NUM, (1, "core", "galaxy_slots", "NaN"), "value is not a number or null"),
        (Kind.METRIC_NUM, (1, "env", "unknown", "many"), "value is not a number or null"),
        (Kind.METRIC_TXT, ("x", "env", "HOST", "node"), "job_id is not an integer"),
        (Kind.PARAMS, ("x", "name", "value"), "job_id is not an integer"),
        (Kind.DATASETS, ("x", 2, "bam", 3, "a", "input"), "job_id is not an integer"),
        (Kind.DATASETS, (1, "x", "bam", 3, "a", "input"), "dataset_id is not an integer or null"),
        (Kind.DATASETS, (1, 2, "bam", "0E-7", "a", "input"), "file_size is not an integer or null"),
        (Kind.DATASETS, (1, 2, "bam", "3.0", "a", "input"), "file_size is not an integer or null"),
        (Kind.DATASETS, (1, 2, "bam", "", "a", "input"), "file_size is not an integer or null"),
        (Kind.DATASETS, (1, 2, "bam", 3, "a", "in"), "type is not input or output"),
        (Kind.DATASETS, (1, 2, "bam", 3, "a", "None"), "type is not input or output"),
        (Kind.DATASETS, (1, 2, "bam", 3, "a", "Output"), "type is not input or output"),
    ],
)
def test_a_column_of_the_wrong_type_rejects_its_line(kind: Kind, fields: Sequence[object], expected: str) -> None:
    assert only_reason(kind, line(*fields)) == expected


def test_a_carriage_return_is_part_of_the_last_column() -> None:
    """The format knows `\\n` alone."""
    text = line(1, "Cut1", "1.0", "ok", CREATED).replace(b"\n", b"\r\n")
    assert only_reason(Kind.JOBS, text) == "create_time is not a date or null"
    assert only_reason(Kind.METRIC_NUM, b"1\tcore\tgalaxy_slots\t1\r\n") == "value is not a number or null"
    assert only_reason(Kind.DATASETS, b"1\t2\tbam\t3\ta\tinput\r\n") == "type is not input or output"


def test_an_empty_line_is_rejected_and_counted() -> None:
    good = line(1, "Cut1", "1.0", "ok", CREATED)
    result = decoded(Kind.JOBS, b"\n" + good + b"\n\n" + good)
    assert (result.lines, result.accepted) == (5, 2)
    assert rejects(result) == [(i, "1 columns instead of 5", b"") for i in (0, 2, 3)]


def test_a_last_line_without_its_newline_is_a_line() -> None:
    good = line(1, "Cut1", "1.0", "ok", CREATED)
    assert jobs(decoded(Kind.JOBS, (good * 2)[:-1])) == jobs(decoded(Kind.JOBS, good * 2))
    joined = b"8358\t" + good
    assert jobs(decoded(Kind.JOBS, (joined + good)[:-1])) == jobs(decoded(Kind.JOBS, (good + joined)[:-1]))


def test_bytes_that_are_no_text_are_replaced_and_counted() -> None:
    good = line(1, "Caf\u00e9 \ufffd", "1.0", "ok", CREATED)
    assert decoded(Kind.JOBS, good).replaced == 0
    text = good.replace(b"\xc3\xa9", b"\xe9") + good + good.replace(b"1.0", b"\0\xff\0")
    result = decoded(Kind.JOBS, text)
    assert result.replaced == 4
    assert [job[2:4] for job in jobs(result)] == [
        ("Caf\ufffd \ufffd", "1.0"),
        ("Caf\u00e9 \ufffd", "1.0"),
        ("Caf\u00e9 \ufffd", "\ufffd\ufffd\ufffd"),
    ]
    assert jobs(decoded(Kind.JOBS, b"9\t" + good.replace(b"ok", b"o\0k")))[0][4] == "o\ufffdk"


# Laws

good_texts = {
    Kind.JOBS: st.sampled_from(["1", "2", "30"]).flatmap(
        lambda job: st.sampled_from([[job, "Cut1", "1.0", "ok", CREATED], [job, "cat 1", "None", "new", "None"]])
    ),
    Kind.METRIC_NUM: st.tuples(
        st.sampled_from(["1", "2", "30"]),
        st.just("core"),
        st.sampled_from(["runtime_seconds", "start_epoch", "other"]),
        st.sampled_from(["1.0", "0E-7", "None", "-1", "9223372036854771712"]),
    ).map(list),
    Kind.METRIC_TXT: st.just(["1", "env", "HOST", "node"]),
    Kind.PARAMS: st.sampled_from([["1", "name", "value"], ["2", "x", "None"]]),
    Kind.DATASETS: st.tuples(
        st.sampled_from(["1", "2", "30"]),
        st.just("7"),
        st.just("bam"),
        st.sampled_from(["5", "-1", "None", "9223372036854775808"]),
        st.just("a"),
        st.sampled_from(["input", "output"]),
    ).map(list),
}
pieces = st.sampled_from(
    ["", "1", "-1", "None", "tool", "0E-7", CREATED, "input", "\ufffd", "x\0", "99999999999999999999"]
)
junk = st.lists(pieces, max_size=14)


def broken(kind: Kind) -> st.SearchStrategy[list[str]]:
    """Rows as the exporter breaks them: some that stopped, and one behind them; and a tab too many."""
    stopped = st.tuples(good_texts[kind], st.integers(0, 5)).map(lambda drawn: drawn[0][: drawn[1]])
    joined = st.tuples(st.lists(stopped, max_size=3), good_texts[kind]).map(
        lambda rows: [*itertools.chain(*rows[0]), *rows[1]]
    )
    tab = st.tuples(good_texts[kind], st.integers(0, 6), pieces).map(
        lambda drawn: [*drawn[0][: drawn[1]], drawn[2], *drawn[0][drawn[1] :]]
    )
    return st.one_of(stopped, joined, tab)


def lines_of(kind: Kind) -> st.SearchStrategy[list[bytes]]:
    """Lines that are good, broken or junk."""
    encoded = st.one_of(good_texts[kind], good_texts[kind], broken(kind), junk).map(lambda fields: line(*fields))
    return st.lists(st.one_of(encoded, encoded, encoded, st.just(b"\xff\xc3\t\n")), max_size=20)


some_lines = st.sampled_from(Kind).flatmap(lambda kind: st.tuples(st.just(kind), lines_of(kind)))


@examples(300)
@given(some_lines, st.integers(0, 20), st.booleans())
@example((Kind.JOBS, []), 0, True)
def test_blocks_cut_at_any_line_decode_as_the_whole(drawn: tuple[Kind, list[bytes]], cut: int, ends: bool) -> None:
    kind, lines = drawn
    text = b"".join(lines)
    text = text if ends else text.removesuffix(b"\n")
    head = b"".join(lines[:cut])[: len(text)]
    tail = text[len(head) :]
    whole, parts = decoded(kind, text), [decoded(kind, part) for part in (head, tail) if part]
    for part in (whole, *parts):
        rejected = sum(not reject.fragment for reject in part.rejects)
        assert part.lines == part.accepted + rejected
        assert sum(reject.fragment for reject in part.rejects) <= part.salvaged <= part.accepted
        assert len({(reject.line, reject.fragment) for reject in part.rejects}) == len(part.rejects)
    for count in ("lines", "accepted", "salvaged", "replaced"):
        assert getattr(whole, count) == sum(getattr(part, count) for part in parts)
    shifted, before = [], 0
    for part in parts:
        shifted += [(before + at, reason, raw) for at, reason, raw in rejects(part)]
        before += part.lines
    assert rejects(whole) == shifted
    match kind:
        case Kind.JOBS:
            assert jobs(whole) == [job for part in parts for job in jobs(part)]
        case Kind.DATASETS:
            # Their order means nothing.
            assert sorted(datasets(whole)) == sorted(row for part in parts for row in datasets(part))
        case Kind.METRIC_NUM:
            merged: dict[int, dict[int, int]] = {}
            for part in parts:
                for job, values in metrics(part).items():
                    merged.setdefault(job, {}).update(values)
            assert metrics(whole) == merged


@examples(150)
@given(some_lines)
def test_every_line_is_counted_as_what_it_is_alone(drawn: tuple[Kind, list[bytes]]) -> None:
    kind, lines = drawn
    alone = [decoded(kind, one) for one in lines]
    whole = decoded(kind, b"".join(lines))
    assert whole.accepted == sum(one.accepted for one in alone)
    assert [reject.text for reject in whole.rejects] == [reject.text for one in alone for reject in one.rejects]


@examples(150)
@given(st.sampled_from(Kind), st.binary(max_size=200))
def test_any_bytes_decode(kind: Kind, data: bytes) -> None:
    result = decoded(kind, data)
    assert result.lines == result.accepted + sum(not reject.fragment for reject in result.rejects)
    assert result.lines == data.count(b"\n") + bool(data and not data.endswith(b"\n"))


@examples(150)
@given(some_lines, st.data())
def test_any_header_that_names_the_job_decodes(drawn: tuple[Kind, list[bytes]], data: st.DataObject) -> None:
    kind, lines = drawn
    key, *others = HEADERS[kind].decode().split()
    names = data.draw(st.permutations([key, *data.draw(st.lists(st.sampled_from([*others, "x"]), unique=True))]))
    try:
        layout, has_header = layout_of(kind, ["\t".join(names).encode()])
    except ValueError:
        return
    result = decode(Block(layout, 0, b"".join(lines)))
    assert has_header or names[0] == "x"
    assert result.lines == result.accepted + sum(not reject.fragment for reject in result.rejects)


@pytest.mark.parametrize("text", [b"1\t2\n", b"1\t2\t3\n", b"1\t2\t3\t4\n"])
def test_datasets_whose_header_names_no_type_are_no_records(text: bytes) -> None:
    """Either its lines are rejected, or it is no header: the archive goes into quarantine."""
    with contextlib.suppress(ValueError):
        assert only_reason(Kind.DATASETS, text, columns=b"job_id\tdataset_id\n")
