"""The joined records besides the jobs: parameters, datasets and metrics, against plain Python."""

from __future__ import annotations

import json
import weakref
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from build import HEADERS, examples, line
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.decode.param_values import REDACTED
from grt_batch.join.jobs import Joiner
from grt_batch.schema.members import NO_LIMIT, Kind, layout_of
from grt_batch.schema.plausible import MOST_BYTES
from grt_batch.schema.records import Dataset, Job, Metric, Param, Record
from grt_batch.uploads.archive import Block

Frames = dict[type[Record], pl.DataFrame]
CREATED = "2018-03-01 15:03:43.801539"
KIND_OF = {Param: Kind.PARAMS, Dataset: Kind.DATASETS, Metric: Kind.METRIC_NUM}
OF_THE_JOB = [field.name for field in Record.fields()]


def joined(*blocks: tuple[Kind, bytes], wanted: Collection[str] = WANTED) -> tuple[Frames, Joiner]:
    """Decode and join some blocks."""
    joiner = Joiner(wanted)
    for kind, text in blocks:
        layout, _ = layout_of(kind, [HEADERS[kind].rstrip(b"\n")])
        joiner.add(decode(Block(layout, 0, text), wanted))
    return frames_of(joiner), joiner


def frames_of(joiner: Joiner) -> Frames:
    """The joined records, those of other kinds than jobs without the fields of their job but its id."""
    records, _ = joiner.join()
    frames = {record: records.frame(record).cast({cs.enum(): pl.String}) for record in records.tables}
    return {record: frame if record is Job else frame.drop(OF_THE_JOB[1:]) for record, frame in frames.items()}


def rows(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """The rows, without the job's id where there is one job only."""
    found = frame.rows()
    return [row[1:] for row in found] if len({row[0] for row in found}) == 1 else found


def job(number: int) -> bytes:
    return line(number, "Cut1", "1.0", "ok", CREATED)


def jobs(*numbers: int) -> tuple[Kind, bytes]:
    return Kind.JOBS, b"".join(map(job, numbers))


def param(number: int, name: object, value: object) -> bytes:
    return line(number, name, value)


def dataset(number: int, identity: object, name: object = "input", direction: str = "input") -> bytes:
    return line(number, identity, "bam", 5, name, direction)


def params(*lines: bytes, datasets: Iterable[bytes] = (), of: Sequence[int] = (1,)) -> list[tuple[Any, ...]]:
    """The parameters of some jobs, by default of job 1."""
    blocks = [jobs(*of), (Kind.PARAMS, b"".join(lines)), (Kind.DATASETS, b"".join(datasets))]
    return rows(joined(*blocks)[0][Param])


def datasets(*lines: bytes) -> list[tuple[Any, ...]]:
    return rows(joined(jobs(1), (Kind.DATASETS, b"".join(lines)))[0][Dataset])


def metrics(*lines: bytes, texts: Iterable[bytes] = (), of: Sequence[int] = (1,)) -> list[tuple[Any, ...]]:
    blocks = [jobs(*of), (Kind.METRIC_NUM, b"".join(lines)), (Kind.METRIC_TXT, b"".join(texts))]
    return rows(joined(*blocks)[0][Metric])


# Every kind of records


@pytest.mark.parametrize("wanted", [(), *((kind,) for kind in WANTED), WANTED])
def test_only_the_wanted_kinds_are_joined_besides_the_jobs(wanted: tuple[str, ...]) -> None:
    blocks = [
        jobs(1),
        (Kind.PARAMS, param(1, "p", "v")),
        (Kind.DATASETS, dataset(1, 2)),
        (Kind.METRIC_NUM, line(1, "core", "galaxy_slots", 1)),
        (Kind.METRIC_TXT, line(1, "env", "HOST", "node")),
    ]
    assert {record.kind for record in joined(*blocks, wanted=wanted)[0]} == {Job.kind, *wanted}


def test_no_block_is_kept_until_the_join() -> None:
    joiner = Joiner(WANTED)
    texts = {
        Kind.JOBS: job(1),
        Kind.PARAMS: param(1, "p", "v"),
        Kind.DATASETS: dataset(1, 2),
        Kind.METRIC_NUM: line(1, "core", "galaxy_slots", 1),
        Kind.METRIC_TXT: line(1, "env", "HOST", "node"),
    }
    columns: list[weakref.ref[Any]] = []
    for kind, text in texts.items():
        layout, _ = layout_of(kind, [HEADERS[kind].rstrip(b"\n")])
        decoded = decode(Block(layout, 0, text), WANTED)
        columns += map(weakref.ref, decoded.columns.values())
        joiner.add(decoded)
        del decoded
    assert len(columns) > len(texts)
    assert not [column for column in columns if column() is not None]
    assert {frame.height for frame in frames_of(joiner).values()} == {1, 2}


@pytest.mark.parametrize("record", KIND_OF, ids=lambda record: record.kind)
def test_a_table_has_the_fields_of_its_record_and_those_of_its_job(record: Any) -> None:
    text = {
        Param: param(1, "p", "v"),
        Dataset: dataset(1, 2),
        Metric: line(1, "core", "galaxy_slots", 1),
    }[record]
    for blocks in [[jobs(1), (KIND_OF[record], text)], [jobs(1)], [(KIND_OF[record], text)], []]:
        joiner = Joiner(WANTED)
        for kind, some in blocks:
            joiner.add(decode(Block(layout_of(kind, [HEADERS[kind].rstrip(b"\n")])[0], 0, some), WANTED))
        records, _ = joiner.join()
        frame = records.frame(record)
        assert frame.columns == [field.name for field in record.fields()]
        for field in record.fields():
            assert frame.select(field.expr).dtypes == [field.type]
            assert len(records[record][field.name]) == frame.height == (len(blocks) == 2)


@pytest.mark.parametrize("record", KIND_OF, ids=lambda record: record.kind)
def test_records_are_by_rising_job_and_orphans_are_counted_and_left_out(record: Any) -> None:
    def text(number: int) -> bytes:
        return {
            Param: param(number, "p", number),
            Dataset: dataset(number, 100 + number),
            Metric: line(number, "p", "n", number),
        }[record]

    kind = KIND_OF[record]
    blocks = [(kind, text(30) + text(9) + text(2)), jobs(30, -4, 2), (kind, text(-4) + text(2**62))]
    frames, joiner = joined(*blocks)
    assert frames[record]["job_id"].to_list() == [-4, 2, 30]
    assert joiner.members[kind].orphans == 2
    assert joiner.members[kind].accepted == 5


# Parameters


def test_of_a_parameter_that_repeats_the_last_one_counts_and_stands_in_its_place() -> None:
    text = [param(1, "a", 1), param(2, "a", 2), param(1, "b", 3), param(1, "a", 4), param(2, "b", 5)]
    expected = [(1, "b", "3", False), (1, "a", "4", False), (2, "a", "2", False), (2, "b", "5", False)]
    for cut in range(6):
        blocks = [(Kind.PARAMS, b"".join(part)) for part in (text[:cut], text[cut:]) if part]
        assert joined(*blocks, jobs(1, 2))[0][Param].rows() == expected


@pytest.mark.parametrize("cut", range(4))
@pytest.mark.parametrize("salvaged", range(3))
def test_a_salvaged_parameter_stands_where_its_line_stood(salvaged: int, cut: int) -> None:
    text = [param(1, "a", value) for value in range(3)]
    text[salvaged] = b"7\tfragment\t8\t" + text[salvaged]
    blocks = [(Kind.PARAMS, b"".join(part)) for part in (text[:cut], text[cut:]) if part]
    frames, joiner = joined(jobs(1), *blocks)
    assert frames[Param].rows() == [(1, "a", "2", False)]
    assert (joiner.members[Kind.PARAMS].salvaged, joiner.members[Kind.PARAMS].fragments) == (1, 1)


def test_a_null_name_is_the_empty_one_and_null_values_are_null() -> None:
    text = [param(1, "None", 1), param(1, "", 2), param(1, "none", "None"), param(1, "b", "null"), param(1, "c", "")]
    assert params(*text) == [("", "2", False), ("none", None, False), ("b", None, False), ("c", "", False)]


def test_values_are_unwrapped_by_their_own_name() -> None:
    text = [
        param(1, "dbkey", r'"\"hg38\""'),
        param(1, "chrom", r'"{\"chrom\": \"\\\"?\\\"\"}"'),
        param(1, "type", '{"type": "auto"}'),
        param(1, "other", '{"type": "auto"}'),
        param(1, "secret", '"null"'),
    ]
    assert params(*text) == [
        ("dbkey", "hg38", False),
        ("chrom", "?", False),
        ("type", "auto", False),
        ("other", '{"type":"auto"}', False),
        ("secret", REDACTED, False),
    ]


def test_the_same_text_under_two_names_has_two_values() -> None:
    """A name and a value are looked up together."""
    text = [param(number, name, '{"a": 1}') for number in (1, 2) for name in "ab"]
    assert params(*text, of=(1, 2)) == [
        (number, name, value, False) for number in (1, 2) for name, value in (("a", "1"), ("b", '{"a":1}'))
    ]


def test_references_name_data() -> None:
    reference = json.dumps({"values": [{"src": "hda", "id": 12}]})
    wrapped = json.dumps(json.dumps({"x": json.dumps({"values": [{"src": "hda", "id": 1}]})}))
    found = params(param(1, "input", reference), param(1, "x", wrapped), param(1, "y", json.dumps([{"id": 12}])))
    assert found == [
        ("input", '{"values":[{"id":12,"src":"hda"}]}', True),
        ("x", '{"values":[{"id":1,"src":"hda"}]}', True),
        ("y", '[{"id":12}]', False),
    ]


# Datasets


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0", 0),
        ("5", 5),
        (MOST_BYTES, MOST_BYTES),
        (MOST_BYTES + 1, None),
        (NO_LIMIT - 1, None),
        ("None", None),
        ("-1", None),
        ("-2", None),
        (-(2**62), None),
        (-(2**70), None),
        (NO_LIMIT, None),
        (2**63, None),
        ("9223372036854771712", None),
        (10**30, None),
    ],
)
def test_a_size_that_is_no_measurement_is_null(written: object, size: int | None) -> None:
    assert datasets(line(1, 2, "bam", written, "a", "output")) == [(2, "bam", size, "a", "output")]


@pytest.mark.parametrize(
    ("written", "identity"),
    [("None", None), (7, 7), (-7, -7), (2**63 - 1, 2**63 - 1), (2**63, None), (-(2**64), None), (10**40, None)],
)
def test_an_id_beyond_64_bits_is_null(written: object, identity: int | None) -> None:
    assert datasets(dataset(1, written)) == [(identity, "bam", 5, "input", "input")]


def test_null_and_empty_texts_of_a_dataset_are_told_apart() -> None:
    text = [line(1, 2, "None", 3, "", "input"), line(1, 3, "", 3, "None", "input"), line(1, 4, "none", 3, "a", "input")]
    assert datasets(*text) == [
        (2, None, 3, "", "input"),
        (3, "", 3, None, "input"),
        (4, "none", 3, "a", "input"),
    ]


def test_a_tab_in_a_param_name_is_kept_and_the_fragment_before_a_record_is_none() -> None:
    tab = line(1, 6170, "data", 386662, "new_file|sample\t7__", "output")
    stopped = b"9\t747\tgff3\t368814\t" + line(1, 748, "h5ad", 98838, "output1", "output")
    assert datasets(tab, stopped) == [
        (6170, "data", 386662, "new_file|sample\t7__", "output"),
        (748, "h5ad", 98838, "output1", "output"),
    ]


def test_datasets_are_by_job_and_within_it_as_they_stand() -> None:
    text = [dataset(2, 9), dataset(1, 8), dataset(2, 7), dataset(1, 8), dataset(2, 9, "output1", "output")]
    for cut in range(6):
        blocks = [(Kind.DATASETS, b"".join(part)) for part in (text[:cut], text[cut:]) if part]
        frame = joined(*blocks, jobs(2, 1))[0][Dataset]
        assert frame.select("job_id", "dataset_id").rows() == [(1, 8), (1, 8), (2, 9), (2, 7), (2, 9)]
        assert frame["type"].to_list() == ["input"] * 4 + ["output"]


# Metrics


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0E-7", "0E-7"),
        ("4.0000000", "4"),
        ("4", "4"),
        ("0.0000001", "1E-7"),
        ("-1.5", "-1.5"),
        ("0.1234567", "0.1234567"),
        ("922337203684.1234567", "922337203684.1234567"),
        ("922337203685.0000000", "922337203685"),
        ("922337203686", "922337203686"),
        ("4611686018427387903.0000000", str(NO_LIMIT - 1)),
        (f"-{NO_LIMIT - 1}", f"-{NO_LIMIT - 1}"),
        (str(NO_LIMIT), None),
        (f"-{NO_LIMIT}", None),
        ("9223372036854771712", None),
        ("9223372036854771712.0000000", None),
        ("1E+300", None),
        ("None", None),
    ],
)
def test_a_value_is_the_decimal_that_was_written(written: str, value: str | None) -> None:
    (found,) = metrics(line(1, "plug", "in", written))
    assert found == ("plug", "in", None if value is None else Decimal(value), None)


@examples(50)
@given(written=st.lists(st.decimals(-(NO_LIMIT - 1), NO_LIMIT - 1, places=7) | st.integers(0, 9).map(Decimal)))
@example(written=[Decimal("922337203684.9999999"), Decimal("922337203685.5000000"), Decimal("0.0000001")])
@example(written=[Decimal(1), Decimal("-922337203686.4999999"), Decimal(NO_LIMIT - 1), Decimal(-1)])
def test_values_are_exact_and_very_large_ones_to_their_integers(written: list[Decimal]) -> None:
    frames, _ = joined(jobs(1), (Kind.METRIC_NUM, b"".join(line(1, "p", i, f"{n:f}") for i, n in enumerate(written))))
    for found, value in zip(frames[Metric]["value"], written, strict=True):
        assert abs(found - value) <= (0 if abs(value) < 922_337_203_685 else Decimal("0.5"))


def test_texts_stand_behind_the_numbers_of_their_job_and_both_may_have_one_name() -> None:
    numbers = [line(2, "core", "slots", 1), line(1, "core", "slots", 2), line(1, "core", "HOST", 3)]
    texts = [line(1, "core", "HOST", "node"), line(2, "env", "None", "None"), line(1, "None", "", "")]
    assert metrics(*numbers, texts=texts, of=(1, 2)) == [
        (1, "core", "slots", Decimal(2), None),
        (1, "core", "HOST", Decimal(3), None),
        (1, "core", "HOST", None, "node"),
        (1, None, "", None, ""),
        (2, "core", "slots", Decimal(1), None),
        (2, "env", None, None, None),
    ]


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("salvaged", range(5))
@pytest.mark.parametrize("kind", [Kind.METRIC_NUM, Kind.METRIC_TXT])
def test_of_a_metric_that_repeats_the_last_one_counts(kind: Kind, salvaged: int, cut: int) -> None:
    """Plugin and name together say which metric it is; salvaged lines count where they stood."""
    text = [line(1, "a", "bc", 1), line(1, "ab", "c", 2), line(2, "a", "bc", 3), line(1, "a", "bc", 4)]
    text[salvaged:salvaged] = [b"7\tfragment\t" + line(1, "ab", "c", 5)]
    blocks = [(kind, b"".join(part)) for part in (text[:cut], text[cut:]) if part]
    frames, joiner = joined(*blocks, jobs(1, 2))
    place = "value" if kind is Kind.METRIC_NUM else "text"
    found = {row[:3]: str(row[3]) for row in frames[Metric].select("job_id", "plugin", "name", place).rows()}
    last = "5" if salvaged >= 2 else "2"
    numbers = {(1, "a", "bc"): "4", (1, "ab", "c"): last, (2, "a", "bc"): "3"}
    assert found == {key: f"{n}.0000000" if kind is Kind.METRIC_NUM else n for key, n in numbers.items()}
    assert frames[Metric].height == len(numbers)
    assert joiner.members[kind].salvaged == 1


def test_a_metric_is_joined_twice_in_the_measures_of_its_job_and_as_it_was() -> None:
    frames, _ = joined(jobs(1), (Kind.METRIC_NUM, line(1, "core", "galaxy_slots", "-2.0000000")))
    assert frames[Metric].rows() == [(1, "core", "galaxy_slots", Decimal(-2), None)]
    assert frames[Job].select("cores", "implausible").rows() == [(None, True)]


# The fields of the job


numbers = st.sampled_from([1, 2, 3, -4, 2**60])
some_fields: dict[Kind, st.SearchStrategy[tuple[object, ...]]] = {
    Kind.JOBS: st.tuples(
        numbers, st.sampled_from(["a", "b", "None"]), st.just("1"), st.sampled_from(["ok", "new"]), st.just(CREATED)
    ),
    Kind.METRIC_NUM: st.tuples(
        numbers,
        st.sampled_from(["core", "None"]),
        st.sampled_from(["galaxy_slots", "other"]),
        st.sampled_from(["1", "0E-7", "None", "-1", "922337203686", NO_LIMIT, "no number"]),
    ),
    Kind.METRIC_TXT: st.tuples(
        numbers, st.sampled_from(["core", "env"]), st.sampled_from(["a", ""]), st.sampled_from(["x", "None"])
    ),
    Kind.PARAMS: st.tuples(
        numbers, st.sampled_from(["input", "b", "None"]), st.sampled_from([12, "[12, 13]", "None", '"\\"x\\""', "y"])
    ),
    Kind.DATASETS: st.tuples(
        numbers,
        st.sampled_from([12, 13, 2**70, "None"]),
        st.sampled_from(["bam", "None"]),
        st.sampled_from([5, -1, -2, 2**63, "x"]),
        st.sampled_from(["input1", "input2", "b"]),
        st.sampled_from(["input", "input", "output", "inout"]),
    ),
}
BROKEN = st.sampled_from([b"\n", b"x\ty\n", b"\t" * 9 + b"\n", b"\xff\0\t\n"])


def lines_of(kind: Kind) -> st.SearchStrategy[list[tuple[Kind, bytes]]]:
    """Lines of one kind: good ones, ones behind others that stopped, and ones that are nothing."""
    good = some_fields[kind].map(lambda fields: line(*fields))
    stopped = st.tuples(some_fields[kind], st.integers(0, 4), good).map(
        lambda drawn: b"".join(str(text).encode() + b"\t" for text in drawn[0][: drawn[1]]) + drawn[2]
    )
    return st.lists(st.one_of(good, good, good, stopped, BROKEN).map(lambda text: (kind, text)), max_size=8)


some_members = st.permutations(list(Kind)).flatmap(lambda kinds: st.tuples(*map(lines_of, kinds)))
Members = tuple[list[tuple[Kind, bytes]], ...]


def accounts(joiner: Joiner) -> tuple[object, ...]:
    return joiner.members, joiner.replaced, joiner.reasons


def whole(members: Members) -> list[tuple[Kind, bytes]]:
    """Each member in one block."""
    return [(lines[0][0], b"".join(text for _, text in lines)) for lines in members if lines]


@examples(40)
@given(members=some_members)
def test_who_wants_nothing_gets_the_same_jobs_and_accounts(members: Members) -> None:
    frames, joiner = joined(*whole(members))
    for wanted in [(), *((kind,) for kind in WANTED)]:
        fewer, other = joined(*whole(members), wanted=wanted)
        assert accounts(other) == accounts(joiner)
        for record in fewer:
            assert fewer[record].equals(frames[record])
    for kind, counts in joiner.members.items():
        found = sum(text.count(b"\n") for of, text in whole(members) if of is kind)
        assert counts.lines == counts.accepted + counts.rejected == found


@examples(40)
@given(members=some_members, data=st.data())
def test_however_members_are_cut_into_blocks_the_records_are_the_same(members: Members, data: st.DataObject) -> None:
    blocks: list[tuple[Kind, bytes]] = []
    for kind, text in chain.from_iterable(members):
        if blocks and blocks[-1][0] is kind and data.draw(st.booleans()):
            blocks[-1] = kind, blocks[-1][1] + text
        else:
            blocks.append((kind, text))
    frames, joiner = joined(*whole(members))
    cut, other = joined(*blocks)
    assert accounts(other) == accounts(joiner)
    for record, frame in frames.items():
        if record is Dataset:
            # Salvaged datasets stand behind the others of their block.
            assert sorted(map(repr, cut[record].rows())) == sorted(map(repr, frame.rows()))
        else:
            assert cut[record].rows() == frame.rows()


@examples(40)
@given(members=some_members)
def test_every_accepted_record_is_an_orphan_or_belongs_to_a_job(members: Members) -> None:
    """Parameters and metrics stand once each; of datasets every record is a row."""
    frames, joiner = joined(*whole(members))
    known = set(frames[Job]["job_id"])
    files = joiner.members[Kind.DATASETS]
    assert frames[Dataset].height == files.accepted - files.orphans
    for record in (Param, Dataset, Metric):
        ids = frames[record]["job_id"].to_list()
        assert ids == sorted(ids)
        assert known.issuperset(ids)
    assert frames[Param].select("job_id", "name").is_unique().all()
    texts = frames[Metric].filter(pl.col("text").is_not_null())
    assert frames[Param].select("job_id", "name").is_unique().all()
    assert texts.select("job_id", "plugin", "name").is_unique().all()
    for frame, kind in ((frames[Param], Kind.PARAMS), (texts, Kind.METRIC_TXT)):
        assert frame.height <= joiner.members[kind].accepted - joiner.members[kind].orphans


@pytest.mark.parametrize(
    ("kind", "header", "lines", "expected"),
    [
        (Kind.METRIC_NUM, b"job_id\tname\tvalue", line(1, "x", 1), []),
        (Kind.METRIC_TXT, b"job_id\tname\tvalue", line(1, "x", "y"), [("", "x", None, "y")]),
        (Kind.PARAMS, b"job_id\tvalue", line(1, "x"), [("", "x", False)]),
        (Kind.PARAMS, b"job_id\tname", line(1, "x"), [("x", "", False)]),
    ],
    ids=["numbers without a plugin", "texts without a plugin", "no name", "no value"],
)
def test_a_member_may_lack_a_column(kind: Kind, header: bytes, lines: bytes, expected: list[tuple[Any, ...]]) -> None:
    joiner = Joiner(WANTED)
    orphan = lines.replace(b"1\t", b"2\t", 1)
    for member, columns, text in (
        (Kind.JOBS, HEADERS[Kind.JOBS].rstrip(b"\n"), job(1)),
        (kind, header, lines + orphan),
    ):
        joiner.add(decode(Block(layout_of(member, [columns])[0], 0, text), WANTED))
    frames = frames_of(joiner)
    record = Param if kind is Kind.PARAMS else Metric
    assert rows(frames[record]) == expected
    assert joiner.members[kind].orphans == 1
