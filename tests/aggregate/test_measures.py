"""Measures and cubes against plain Python, over jobs that hypothesis makes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from build import examples, plain
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.measures import Count, Cube, Extent, JobRows, Squares, Sum, known_sum
from grt_batch.frames.dictionaries import categories
from grt_batch.schema.records import DerivedField, Field, Job, Records

TOOL = Field("tool", pl.String(), "", "a text, dictionary-encoded in the jobs")
DAY = Field("day", pl.Date(), "UTC", "a day")
SIZE = Field("size", pl.Int64(), "B", "a number")
FLAG = Field("flag", pl.Boolean(), "", "a truth")
SEEN = Field("seen", pl.Boolean(), "", "a truth that may be unknown")
MOMENT = Field("moment", pl.Datetime("us"), "UTC", "a moment")

SQUARES = Squares("squares", SIZE)
SQUARED = Cube("squared", (TOOL,), (SQUARES,))
CUBE = Cube(
    "cube",
    (TOOL, DAY),
    (Count("jobs"), Count("flagged", FLAG), Sum("bytes", SIZE), Sum("seen", SEEN), Extent("moment", MOMENT)),
)
TEXTS = ("", "a", "b", "é")
Row = tuple[str | None, date | None, int | None, bool, bool | None, datetime | None]
JOBS = st.lists(
    st.tuples(
        st.sampled_from([None, *TEXTS]),
        st.sampled_from([None, date(2024, 1, 1), date(2024, 1, 2)]),
        st.none() | st.integers(-(2**62), 2**62) | st.sampled_from([2**62, -(2**62)]),
        st.booleans(),
        st.none() | st.booleans(),
        st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    ),
    max_size=30,
)


def frame(jobs: Sequence[Row]) -> pl.DataFrame:
    """The jobs as the join makes them: texts by a dictionary."""
    schema = {field.name: field.type for field in (TOOL, DAY, SIZE, FLAG, SEEN, MOMENT)}
    return pl.DataFrame(jobs, schema=schema | {"tool": pl.Enum(TEXTS)}, orient="row")


def total(values: Iterable[int | None]) -> int | None:
    """The sum of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def counted(jobs: Sequence[Row]) -> list[tuple[Any, ...]]:
    """The rows of CUBE by plain Python."""
    groups: dict[tuple[str, date | None], list[Row]] = {}
    for job in jobs:
        groups.setdefault((job[0] or "", job[1]), []).append(job)
    rows = []
    for key in sorted(groups, key=lambda key: (key[0], key[1] is not None, key[1])):
        group = groups[key]
        moments = [job[5] for job in group if job[5] is not None]
        sums = sum(job[3] for job in group), total(job[2] for job in group), total(job[4] for job in group)
        rows.append((*key, len(group), *sums, min(moments, default=None), max(moments, default=None)))
    return rows


@examples(100)
@given(jobs=JOBS)
def test_a_cube_counts_sums_and_spans_as_plain_python_does(jobs: list[Row]) -> None:
    cube = CUBE.add(frame(jobs))
    assert cube.with_columns(cs.enum().cast(pl.String)).schema == CUBE.schema()
    assert cube.rows() == counted(jobs)


@examples(50)
@given(parts=st.lists(JOBS, min_size=1, max_size=4))
def test_merging_cubes_is_as_adding_all_jobs_to_one(parts: list[list[Row]]) -> None:
    merged = plain(CUBE.merge([CUBE.add(frame(jobs)) for jobs in parts]))
    assert merged.equals(plain(CUBE.add(frame([job for jobs in parts for job in jobs]))))
    assert merged.equals(plain(CUBE.merge([CUBE.add(frame(jobs)) for jobs in reversed(parts)])))


def test_the_empty_cube_changes_nothing() -> None:
    cube = CUBE.add(frame([("a", None, 1, True, None, None)]))
    assert plain(CUBE.merge([CUBE.empty(), cube, CUBE.empty()])).equals(plain(cube))
    assert CUBE.merge([]).equals(CUBE.empty())
    assert plain(CUBE.add(frame([]))).equals(plain(CUBE.empty()))


def test_a_sum_goes_beyond_64_bits() -> None:
    jobs: list[Row] = [("a", None, 2**62, False, None, None)] * 9
    once = CUBE.add(frame(jobs))
    assert once["bytes"].to_list() == [9 * 2**62]
    assert CUBE.merge([once] * 9)["bytes"].to_list() == [81 * 2**62]


LARGE = st.lists(st.none() | st.integers(0, 2**63 - 1) | st.integers(0, 2**33), max_size=20)


def squared(sizes: Sequence[int | None]) -> pl.DataFrame:
    return SQUARED.add(frame([("a", None, size, False, None, None) for size in sizes]))


@examples(100)
@given(sizes=LARGE)
def test_a_sum_of_squares_is_that_of_python(sizes: list[int | None]) -> None:
    exact = total(None if size is None else size**2 for size in sizes)
    assert SQUARES.exact(squared(sizes)) == ([exact] if sizes else [])


@examples(50)
@given(parts=st.lists(LARGE, min_size=1, max_size=4))
def test_merging_squares_is_as_adding_all_jobs_to_one(parts: list[list[int | None]]) -> None:
    merged = SQUARED.merge([squared(sizes) for sizes in parts])
    assert merged.equals(squared([size for sizes in parts for size in sizes]))
    assert merged.equals(SQUARED.merge([squared(sizes) for sizes in reversed(parts)]))


def test_a_sum_of_squares_goes_beyond_128_bits() -> None:
    once = squared([2**63 - 1] * 9)
    assert SQUARES.exact(once) == [9 * (2**63 - 1) ** 2]
    assert SQUARES.exact(SQUARED.merge([once] * 9)) == [81 * (2**63 - 1) ** 2]


def test_a_sum_of_nulls_is_null_and_so_is_their_extent() -> None:
    nothing = CUBE.add(frame([("a", None, None, False, None, None)] * 2))
    for cube in (nothing, CUBE.merge([nothing, nothing])):
        (row,) = cube.rows(named=True)
        assert (row["flagged"], row["bytes"], row["seen"]) == (0, None, None)
        assert (row["first_moment"], row["last_moment"]) == (None, None)
    assert SQUARES.exact(SQUARED.merge([squared([None]), squared([None])])) == [None]


def test_what_is_unknown_adds_nothing_to_what_is_known() -> None:
    unknown, known = ([("a", None, number, False, truth, None)] for number, truth in ((None, None), (0, False)))
    (row,) = CUBE.merge([CUBE.add(frame(unknown)), CUBE.add(frame(known))]).rows(named=True)
    assert (row["bytes"], row["seen"]) == (0, 0)
    assert SQUARES.exact(SQUARED.merge([squared([None]), squared([0])])) == [0]


def test_the_known_sum_of_several_columns() -> None:
    rows = pl.DataFrame({"k": [1, 1, 2], "a": [1, None, None], "b": [None, None, 5]})
    found = rows.group_by("k", maintain_order=True).agg(known_sum(pl.col("a", "b")))
    assert found.rows() == [(1, 1, None), (2, None, 5)]
    assert rows.clear().select(known_sum(pl.col("a"))).rows() == [(None,)]


def test_a_null_text_and_an_empty_one_are_one_key() -> None:
    jobs: list[Row] = [(None, None, 1, False, None, None), ("", None, 2, False, None, None)]
    (row,) = CUBE.add(frame(jobs)).rows(named=True)
    assert (row["tool"], row["day"], row["jobs"], row["bytes"]) == ("", None, 2, 3)


def test_jobs_with_other_dictionaries_merge() -> None:
    job = {"day": None, "size": 1, "flag": True, "seen": True, "moment": None}
    one, other = (
        pl.DataFrame([{"tool": name, **job}], schema=frame([]).schema | {"tool": pl.Enum(names)})
        for name, names in (("b", ["b", "a"]), ("b", ["c", "b"]))
    )
    assert CUBE.merge([CUBE.add(one), CUBE.add(other)]).rows() == [("b", None, 2, 2, 2, 2, None, None)]


@examples(100)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([None, *TEXTS]),
            *[st.none() | st.sampled_from([-(2**63), -1, 0, 2**31, 2**62, 2**63 - 1]) for _ in range(4)],
            st.sampled_from(["z", "y", "a"]),
        ),
        max_size=30,
    )
)
def test_keys_of_any_range_group_and_order_as_themselves(rows: list[tuple[Any, ...]]) -> None:
    order = pl.Enum(["z", "y", "a"])
    numbers = tuple(Field(f"number_{i}", pl.Int64(), "", "a number of any size") for i in range(4))
    cube = Cube("wide", (TOOL, *numbers, Field("kind", order, "", "in an order of its own")), (Count("jobs"),))
    schema = cube.schema() | {"tool": pl.Enum(TEXTS)}
    del schema["jobs"]
    added = cube.add(pl.DataFrame(rows, schema=schema, orient="row"))
    counts = Counter((row[0] or "", *row[1:]) for row in rows)
    expected = pl.DataFrame([(*key, n) for key, n in counts.items()], schema=cube.schema(), orient="row")
    assert added.equals(expected.sort(cube.key_names))
    assert cube.merge([added, cube.empty(), added]).equals(added.with_columns(pl.col("jobs") * 2))


def test_a_cube_without_keys_that_vary_is_one_row() -> None:
    cube = Cube("all", (TOOL,), (Count("jobs"),))
    assert cube.add(frame([("a", None, None, False, None, None)] * 1000)).rows() == [("a", 1000)]


@pytest.mark.parametrize("measure", [*CUBE.measures, SQUARES], ids=lambda measure: type(measure).__name__)
def test_a_measure_gives_the_columns_that_it_declares(measure: Any) -> None:
    jobs = frame([("a", None, 1, True, True, datetime(2024, 1, 1))])
    added = jobs.group_by("tool").agg(measure.add())
    merged = added.group_by("tool").agg(measure.merge())
    for result in (added, merged):
        assert result.drop("tool").schema == measure.schema()


def last_digit(value: pl.Expr) -> pl.Expr:
    return value % 10


DIGIT = DerivedField("digit", pl.Int64(), "", "the last digit of size", source=SIZE, derive=last_digit)


@examples(60)
@given(sizes=st.lists(st.tuples(st.sampled_from(["ok", "error", None]), st.none() | st.integers(0, 99)), max_size=20))
def test_a_cube_of_a_state_by_a_derived_key_is_that_of_the_records_left(
    sizes: list[tuple[str | None, int | None]],
) -> None:
    rows = pl.DataFrame(sizes, schema={"state": pl.Enum(["error", "ok"]), "size": pl.Int64}, orient="row")
    cube = Cube("digits", (DIGIT,), (Count("jobs"), Sum("bytes", SIZE)), state="ok")
    left = [size for state, size in sizes if state == "ok" and size is not None]
    expected = {digit: [size for size in left if size % 10 == digit] for digit in {size % 10 for size in left}}
    assert cube.add(rows).rows() == [(digit, len(expected[digit]), sum(expected[digit])) for digit in sorted(expected)]


def test_a_state_that_no_record_has_gives_nothing() -> None:
    rows = pl.DataFrame({"state": ["error"], "size": [1]}, schema={"state": pl.Enum(["error"]), "size": pl.Int64})
    assert Cube("digits", (DIGIT,), (Count("jobs"),), state="ok").add(rows).height == 0


def test_a_derived_value_is_measured_where_it_is_known() -> None:
    tools = pl.Series("tool", ["a", "a", "b"], dtype=pl.Enum(["a", "b"]))
    rows = pl.DataFrame([tools, pl.Series("size", [12, None, 9])])
    cube = Cube("digits", (TOOL,), (Count("jobs"), Sum("digits", DIGIT), Extent("digit", DIGIT)))
    assert cube.add(rows).rows() == [("a", 2, 2, 2, 2), ("b", 1, 9, 9, 9)]


JobRow = tuple[Any, ...]
KEPT_TEXTS = ["", "a", "b", "B", "é", "大"]
FIRST_DAY = date(2024, 1, 1)
KEPT = JobRows(name="kept", fields=(Job.tool_id, Job.day, Job.runtime, Job.state), windowed=True)
NAMES = [Job.job_id.name, *(field.name for field in KEPT.fields)]
KEPT_JOB = st.tuples(
    st.none() | st.sampled_from(KEPT_TEXTS),
    st.none() | st.integers(0, 3).map(lambda days: FIRST_DAY + timedelta(days)),
    st.none() | st.integers(0, 2**62),
    st.sampled_from(["ok", "new", None]),
)


def jobs(rows: Sequence[JobRow], names: Sequence[str] = KEPT_TEXTS) -> pl.DataFrame:
    """Jobs as the join makes them, in the order given, with a column that nobody keeps."""
    schema: dict[str, Any] = {
        Job.job_id.name: pl.Int64,
        Job.tool_id.name: pl.Enum(names),
        Job.day.name: pl.Date,
        Job.runtime.name: pl.Int64,
        Job.state.name: pl.Enum(["new", "ok", "unused"]),
    }
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.lit(1).alias("more"))


def kept_rows(rows: Sequence[JobRow]) -> list[JobRow]:
    """Sorted by job; null texts are empty."""
    return sorted((job, tool or "", day, runtime, state or "") for job, tool, day, runtime, state in rows)


some_jobs = st.dictionaries(st.integers(-5, 30), KEPT_JOB, max_size=12).map(
    lambda drawn: [(job, *values) for job, values in drawn.items()]
)


@examples(100)
@given(rows=some_jobs)
def test_kept_jobs_are_the_jobs_by_id_with_the_fields_that_are_kept(rows: list[JobRow]) -> None:
    found = KEPT.add(jobs(rows))
    assert found.rows() == kept_rows(rows)
    assert found.columns == NAMES == list(KEPT.schema())
    for name in (Job.tool_id.name, Job.state.name):
        assert sorted(set(found[name])) == [text for text in categories(found[name]) if text in set(found[name])]
    assert found.select(Job.day.name, Job.runtime.name).dtypes == [pl.Date(), pl.Int64()]
    assert KEPT.typed(found).equals(found)


@examples(100)
@given(rows=some_jobs, places=st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_merging_kept_jobs_is_as_adding_all_to_one(rows: list[JobRow], places: list[int]) -> None:
    parts: list[list[JobRow]] = [[], [], [], []]
    for row, place in zip(rows, places, strict=False):
        parts[place].append(row)
    # Each archive has a dictionary of its own.
    added = [KEPT.add(jobs(part, KEPT_TEXTS[i:] + KEPT_TEXTS[:i])) for i, part in enumerate(parts)]
    whole = KEPT.add(jobs(rows))
    for order in (added, added[::-1], [KEPT.merge(added[:2]), KEPT.merge(added[2:])]):
        merged = KEPT.merge(order)
        assert plain(merged).equals(plain(whole))
        assert plain(merged).schema == plain(whole).schema


def test_no_kept_jobs_change_nothing() -> None:
    some = KEPT.add(jobs([(1, "b", FIRST_DAY, 5, "ok")]))
    assert KEPT.merge([]).equals(KEPT.empty())
    assert KEPT.merge([KEPT.empty(), some, KEPT.add(jobs([]))]).rows() == some.rows()
    assert KEPT.empty().columns == NAMES
    assert plain(KEPT.add(jobs([]))).equals(plain(KEPT.empty()))


def test_jobs_are_kept_of_the_last_days_only() -> None:
    frames = {Job: jobs([(i, "a", day, i, "ok") for i, day in enumerate([FIRST_DAY, None, FIRST_DAY + timedelta(1)])])}
    since = FIRST_DAY + timedelta(1)
    assert KEPT.count(Records(frames, since))[KEPT.name][Job.job_id.name].to_list() == [2]
    assert KEPT.count(Records(frames))[KEPT.name][Job.job_id.name].to_list() == [0, 1, 2]
