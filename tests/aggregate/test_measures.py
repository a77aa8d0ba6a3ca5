"""Measures and cubes against plain Python, over jobs that hypothesis makes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from build import examples, plain
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.grouping import Groups
from grt_batch.aggregate.measures import Count, Cube, Extent, JobRows, Measure, Squares, Sum, known_sum
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import DerivedField, Field, Job

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


def columns(jobs: Sequence[Row]) -> Columns:
    """The jobs as the join makes them."""
    schema = {field.name: field.type for field in (TOOL, DAY, SIZE, FLAG, SEEN, MOMENT)}
    return Columns.of(pl.DataFrame(jobs, schema=schema, orient="row"))


def table(cube: Cube, found: Columns) -> pl.DataFrame:
    """A cube in the types that it declares."""
    frame = plain(cube.frame(found))
    assert frame.schema == plain(pl.DataFrame(schema=cube.schema())).schema
    return frame


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
    assert table(CUBE, CUBE.add(columns(jobs))).rows() == counted(jobs)


@examples(50)
@given(parts=st.lists(JOBS, min_size=1, max_size=4))
def test_merging_cubes_is_as_adding_all_jobs_to_one(parts: list[list[Row]]) -> None:
    whole = table(CUBE, CUBE.add(columns([job for jobs in parts for job in jobs])))
    added = [CUBE.add(columns(jobs)) for jobs in parts]
    for order in (added, added[::-1], [CUBE.merge(added[:2]), CUBE.merge(added[2:])]):
        assert table(CUBE, CUBE.merge(order)).equals(whole)


def test_the_empty_cube_changes_nothing() -> None:
    cube = CUBE.add(columns([("a", None, 1, True, None, None)]))
    assert table(CUBE, CUBE.merge([CUBE.empty(), cube, CUBE.empty()])).equals(table(CUBE, cube))
    assert CUBE.merge([]).height == CUBE.add(columns([])).height == CUBE.empty().height == 0
    assert table(CUBE, CUBE.empty()).equals(table(CUBE, CUBE.add(columns([]))))


def test_a_sum_goes_beyond_64_bits() -> None:
    jobs: list[Row] = [("a", None, 2**62, False, None, None)] * 9
    once = CUBE.add(columns(jobs))
    assert table(CUBE, once)["bytes"].to_list() == [9 * 2**62]
    assert table(CUBE, CUBE.merge([once] * 9))["bytes"].to_list() == [81 * 2**62]


LARGE = st.lists(st.none() | st.integers(0, 2**63 - 1) | st.integers(0, 2**33), max_size=20)


def squared(sizes: Sequence[int | None]) -> Columns:
    return SQUARED.add(columns([("a", None, size, False, None, None) for size in sizes]))


def exact(found: Columns) -> list[int | None]:
    return SQUARES.exact(table(SQUARED, found))


@examples(100)
@given(sizes=LARGE)
def test_a_sum_of_squares_is_that_of_python(sizes: list[int | None]) -> None:
    assert exact(squared(sizes)) == ([total(None if size is None else size**2 for size in sizes)] if sizes else [])


@examples(50)
@given(parts=st.lists(LARGE, min_size=1, max_size=4))
def test_merging_squares_is_as_adding_all_jobs_to_one(parts: list[list[int | None]]) -> None:
    whole = table(SQUARED, squared([size for sizes in parts for size in sizes]))
    added = [squared(sizes) for sizes in parts]
    assert table(SQUARED, SQUARED.merge(added)).equals(whole)
    assert table(SQUARED, SQUARED.merge(added[::-1])).equals(whole)


def test_a_sum_of_squares_goes_beyond_128_bits() -> None:
    once = squared([2**63 - 1] * 9)
    assert exact(once) == [9 * (2**63 - 1) ** 2]
    assert exact(SQUARED.merge([once] * 9)) == [81 * (2**63 - 1) ** 2]


def test_a_sum_of_nulls_is_null_and_so_is_their_extent() -> None:
    nothing = CUBE.add(columns([("a", None, None, False, None, None)] * 2))
    for cube in (nothing, CUBE.merge([nothing, nothing])):
        (row,) = table(CUBE, cube).rows(named=True)
        assert (row["flagged"], row["bytes"], row["seen"]) == (0, None, None)
        assert (row["first_moment"], row["last_moment"]) == (None, None)
    assert exact(SQUARED.merge([squared([None]), squared([None])])) == [None]


def test_what_is_unknown_adds_nothing_to_what_is_known() -> None:
    unknown, known = ([("a", None, number, False, truth, None)] for number, truth in ((None, None), (0, False)))
    (row,) = table(CUBE, CUBE.merge([CUBE.add(columns(unknown)), CUBE.add(columns(known))])).rows(named=True)
    assert (row["bytes"], row["seen"]) == (0, 0)
    assert exact(SQUARED.merge([squared([None]), squared([0])])) == [0]


def test_the_known_sum_of_several_columns() -> None:
    rows = pl.DataFrame({"k": [1, 1, 2], "a": [1, None, None], "b": [None, None, 5]})
    found = rows.group_by("k", maintain_order=True).agg(known_sum(pl.col("a", "b")))
    assert found.rows() == [(1, 1, None), (2, None, 5)]
    assert rows.clear().select(known_sum(pl.col("a"))).rows() == [(None,)]


def test_a_null_text_and_an_empty_one_are_one_key() -> None:
    jobs: list[Row] = [(None, None, 1, False, None, None), ("", None, 2, False, None, None)]
    for some in (jobs, jobs[:1]):
        (row,) = table(CUBE, CUBE.add(columns(some))).rows(named=True)
        assert (row["tool"], row["day"], row["jobs"]) == ("", None, len(some))


@examples(100)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([None, *TEXTS]),
            *[st.none() | st.sampled_from([1 - 2**63, -1, 0, 2**31, 2**62, 2**63 - 1]) for _ in range(4)],
            st.sampled_from(["z", "y", "a"]),
        ),
        max_size=30,
    )
)
def test_keys_of_any_range_group_and_order_as_themselves(rows: list[tuple[Any, ...]]) -> None:
    order = pl.Enum(["z", "y", "a"])
    numbers = tuple(Field(f"number_{i}", pl.Int64(), "", "a number of any size") for i in range(4))
    cube = Cube("wide", (TOOL, *numbers, Field("kind", order, "", "in an order of its own")), (Count("jobs"),))
    schema = cube.schema()
    del schema["jobs"]
    added = cube.add(Columns.of(pl.DataFrame(rows, schema=schema, orient="row")))
    counts = Counter((row[0] or "", *row[1:]) for row in rows)
    expected = pl.DataFrame([(*key, n) for key, n in counts.items()], schema=cube.schema(), orient="row")
    expected = plain(expected.sort(cube.key_names))
    assert table(cube, added).equals(expected)
    merged = cube.merge([added, cube.empty(), added])
    assert table(cube, merged).equals(expected.with_columns(pl.col("jobs") * 2))


def test_a_cube_without_keys_that_vary_is_one_row() -> None:
    cube = Cube("all", (TOOL,), (Count("jobs"),))
    assert table(cube, cube.add(columns([("a", None, None, False, None, None)] * 1000))).rows() == [("a", 1000)]


@pytest.mark.parametrize("measure", [*CUBE.measures, SQUARES], ids=lambda measure: type(measure).__name__)
def test_a_measure_gives_the_columns_that_it_declares(measure: Measure) -> None:
    jobs = columns([("a", None, 1, True, True, datetime(2024, 1, 1))])
    groups = Groups.of(jobs, ["tool"])
    added = Columns(measure.add(jobs, groups))
    for result in (added, Columns(measure.merge(added, groups))):
        assert list(result.arrays) == list(measure.schema())
        assert result.frame(measure.schema()).schema == measure.schema()


def last_digit(value: pl.Expr) -> pl.Expr:
    return value % 10


DIGIT = DerivedField("digit", pl.Int64(), "", "the last digit of size", source=SIZE, derive=last_digit)


@examples(60)
@given(sizes=st.lists(st.tuples(st.sampled_from(["ok", "error", None]), st.none() | st.integers(0, 99)), max_size=20))
def test_a_cube_of_a_state_by_a_derived_key_is_that_of_the_records_left(
    sizes: list[tuple[str | None, int | None]],
) -> None:
    jobs = Columns.of(pl.DataFrame(sizes, schema={"state": pl.String, "size": pl.Int64}, orient="row"))
    for state in ("ok", "", "none has it"):
        cube = Cube("digits", (DIGIT,), (Count("jobs"), Sum("bytes", SIZE)), state=state)
        left = [size for found, size in sizes if (found or "") == state and size is not None]
        expected = {digit: [size for size in left if size % 10 == digit] for digit in {size % 10 for size in left}}
        rows = [(digit, len(expected[digit]), sum(expected[digit])) for digit in sorted(expected)]
        assert table(cube, cube.add(jobs)).rows() == rows


def test_a_derived_value_is_measured_where_it_is_known() -> None:
    jobs = Columns.of(pl.DataFrame({"tool": ["a", "a", "b"], "size": [12, None, 9]}))
    cube = Cube("digits", (TOOL,), (Count("jobs"), Sum("digits", DIGIT), Extent("digit", DIGIT)))
    assert table(cube, cube.add(jobs)).rows() == [("a", 2, 2, 2, 2), ("b", 1, 9, 9, 9)]


def upper(value: pl.Expr) -> pl.Expr:
    return value.str.to_uppercase()


def test_a_key_that_is_derived_of_a_text_has_its_own_dictionary() -> None:
    jobs = Columns.of(pl.DataFrame({"tool": ["b", "B", None, "a"]}))
    cube = Cube("upper", (DerivedField("upper", pl.String(), "", "", source=TOOL, derive=upper),), (Count("jobs"),))
    assert table(cube, cube.add(jobs)).rows() == [("", 1), ("A", 1), ("B", 2)]


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


def jobs(rows: Sequence[JobRow]) -> Columns:
    """Jobs as the join makes them, in the order given, with a column that nobody keeps."""
    schema: dict[str, Any] = {
        Job.job_id.name: pl.Int64,
        Job.tool_id.name: pl.String,
        Job.day.name: pl.Date,
        Job.runtime.name: pl.Int64,
        Job.state.name: pl.String,
    }
    return Columns.of(pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.lit(1).alias("more")))


def kept_rows(rows: Sequence[JobRow]) -> list[JobRow]:
    """Sorted by job; null texts are empty."""
    return sorted((job, tool or "", day, runtime, state or "") for job, tool, day, runtime, state in rows)


some_jobs = st.dictionaries(st.integers(-5, 30), KEPT_JOB, max_size=12).map(
    lambda drawn: [(job, *values) for job, values in drawn.items()]
)


@examples(100)
@given(rows=some_jobs)
def test_kept_jobs_are_the_jobs_by_id_with_the_fields_that_are_kept(rows: list[JobRow]) -> None:
    found = table(KEPT, KEPT.add(jobs(rows)))
    assert found.rows() == kept_rows(rows)
    assert found.columns == NAMES == list(KEPT.schema())


@examples(100)
@given(rows=some_jobs, places=st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_merging_kept_jobs_is_as_adding_all_to_one(rows: list[JobRow], places: list[int]) -> None:
    parts: list[list[JobRow]] = [[], [], [], []]
    for row, place in zip(rows, places, strict=False):
        parts[place].append(row)
    # Each archive has a dictionary of its own.
    added = [KEPT.add(jobs(part)) for part in parts]
    whole = table(KEPT, KEPT.add(jobs(rows)))
    for order in (added, added[::-1], [KEPT.merge(added[:2]), KEPT.merge(added[2:])]):
        assert table(KEPT, KEPT.merge(order)).equals(whole)


def test_no_kept_jobs_change_nothing() -> None:
    some = KEPT.add(jobs([(1, "b", FIRST_DAY, 5, "ok")]))
    assert table(KEPT, KEPT.merge([])).equals(table(KEPT, KEPT.empty()))
    merged = KEPT.merge([KEPT.empty(), some, KEPT.add(jobs([]))])
    assert table(KEPT, merged).equals(table(KEPT, some))


def test_what_is_created_before_a_day_does_not_count() -> None:
    some = jobs([(i, "a", day, i, "ok") for i, day in enumerate([FIRST_DAY, None, FIRST_DAY + timedelta(1)])])
    since = (FIRST_DAY + timedelta(1) - date(1970, 1, 1)).days
    assert KEPT.add(some, since)[Job.job_id.name].tolist() == [2]
    assert KEPT.add(some)[Job.job_id.name].tolist() == [0, 1, 2]
    counts = Cube("counts", (Job.day,), (Count("jobs"),), windowed=True)
    assert table(counts, counts.add(some, since)).rows() == [(FIRST_DAY + timedelta(1), 1)]
