"""Groups of rows by integers of any range, against plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.aggregate.grouping import Groups, narrow, wide
from grt_batch.columns.columns import Array, Columns, null_of
from grt_batch.schema.members import NULL

GREATEST = 2**63 - 1
KINDS = (np.int8, np.int16, np.int32, np.int64)


@st.composite
def key_columns(draw: st.DrawFn) -> list[Array]:
    """A few columns of a few rows, of any types and ranges."""
    rows = draw(st.integers(0, 30))
    arrays = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(KINDS))
        info = np.iinfo(kind)
        values = st.sampled_from([info.min, info.min + 1, -1, 0, 1, info.max]) | st.integers(info.min, info.max)
        few = draw(st.lists(values, min_size=1, max_size=4))
        arrays.append(np.array(draw(st.lists(st.sampled_from(few), min_size=rows, max_size=rows)), kind))
    return arrays or [np.zeros(rows, np.int32)]


def check(groups: Groups, keys: Sequence[Any]) -> None:
    """Look at groups of rows with these keys, which compare as they do in Python."""
    different = sorted(set(keys))
    assert groups.count == len(different)
    assert groups.group.tolist() == [different.index(key) for key in keys]
    places = [[row for row, key in enumerate(keys) if key == one] for one in different]
    assert groups.order.tolist() == [row for rows in places for row in rows]
    assert groups.firsts.tolist() == [rows[0] for rows in places]
    assert groups.sizes.tolist() == [len(rows) for rows in places]
    assert groups.begins.tolist() == [sum(map(len, places[:number])) for number in range(len(places) + 1)]


@examples(300)
@given(arrays=key_columns())
@example(arrays=[np.array([NULL, GREATEST, 1 - 2**63, 0])] * 5)
@example(arrays=[np.array([0, 1, 0], np.int8), np.array([NULL] * 3), np.array([5] * 3, np.int32)])
def test_rows_are_grouped_in_the_order_of_their_keys(arrays: list[Array]) -> None:
    columns = Columns({str(place): array for place, array in enumerate(arrays)})
    check(Groups.of(columns, list(columns.arrays)), list(zip(*(array.tolist() for array in arrays), strict=True)))


@pytest.mark.parametrize("different", [1, 3, 10**3, 10**6, 2**40, 2**62, 2**63 - 1])
@pytest.mark.parametrize("shape", ["any", "rising", "runs"])
def test_many_rows_are_grouped_as_few_are(different: int, shape: str) -> None:
    drawn = np.random.default_rng(different % 1000)
    one, other = (drawn.integers(0, different, 20_000) for _ in range(2))
    if shape != "any":
        one = np.concatenate([np.sort(part) for part in np.split(one, 1 if shape == "rising" else 4)])
    groups = Groups.of(Columns({"one": one, "other": other}), ["one", "other"])
    order = np.lexsort((other, one))
    assert (groups.order == order).all()
    keys = np.stack([one, other])[:, order]
    begins = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
    assert (groups.begins[:-1] == begins).all()


VALUE = st.none() | st.integers(-GREATEST, GREATEST) | st.sampled_from([0, GREATEST, -GREATEST, 2**32, -(2**32)])
ROWS = st.lists(st.tuples(st.integers(0, 3), VALUE), max_size=20)


def of(rows: list[tuple[int, int | None]]) -> tuple[Groups, Array, list[list[int]]]:
    """Groups, the values of their rows, and those of each group that are known."""
    groups = Groups.of(Columns({"key": np.array([key for key, _ in rows], np.int64)}), ["key"])
    values = np.array([NULL if value is None else value for _, value in rows], np.int64)
    known = [
        [value for key, value in rows if key == one and value is not None] for one in sorted({key for key, _ in rows})
    ]
    return groups, values, known


def exact(sums: Array) -> list[int | None]:
    assert ((sums[..., 1] >= 0) & (sums[..., 1] < 2**32)).all()
    return [None if high == NULL else (high << 32) + low for high, low in sums.tolist()]


@examples(200)
@given(rows=ROWS)
def test_sums_and_extremes_are_those_of_python(rows: list[tuple[int, int | None]]) -> None:
    groups, values, known = of(rows)
    sums = groups.summed(values)
    assert exact(sums) == [sum(some) if some else None for some in known]
    assert exact(groups.summed(np.concatenate([sums])[groups.group])) == [
        sum(some) * size if some else None for some, size in zip(known, groups.sizes.tolist(), strict=True)
    ]
    first, last = groups.extent(values, values)
    assert first.tolist() == [min(some, default=NULL) for some in known]
    assert last.tolist() == [max(some, default=NULL) for some in known]


@examples(100)
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, GREATEST)), max_size=20))
def test_squares_are_those_of_python(rows: list[tuple[int, int | None]]) -> None:
    groups, values, known = of(rows)
    parts = [exact(part) for part in groups.squares(values)]
    for some, high, mixed, low in zip(known, *parts, strict=True):
        if some:
            assert ((high or 0) << 64) + ((mixed or 0) << 33) + (low or 0) == sum(value**2 for value in some)
        else:
            assert (high, mixed, low) == (None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrow_column_is_reduced_as_a_wide_one(kind: Any) -> None:
    null = int(np.iinfo(kind).min)
    values = np.array([null, 5, -3, null], kind)
    groups = Groups.of(Columns({"key": np.array([0, 1, 1, 2])}), ["key"])
    assert exact(groups.summed(values)) == [None, 2, None]
    first, last = groups.extent(values, values)
    assert (first.dtype, first.tolist(), last.tolist()) == (kind, [null, -3, null], [null, 5, null])
    assert wide(values).tolist() == [NULL, 5, -3, NULL]
    assert narrow(wide(values), values.dtype).tolist() == values.tolist()
    assert null_of(values) == null


def test_counts_and_truths_are_added_up() -> None:
    groups = Groups.of(Columns({"key": np.array([1, 0, 1])}), ["key"])
    assert groups.added(np.array([2**40, 3, 1])).tolist() == [3, 2**40 + 1]
    assert groups.added(np.array([True, False, True])).tolist() == [0, 2]


def test_columns_that_cannot_be_written_are_reduced_too() -> None:
    raw = np.array([3, 1, 3], np.int64).tobytes()
    column = np.frombuffer(raw, np.int64)
    groups = Groups.of(Columns({"key": column}), ["key"])
    assert groups.added(column).tolist() == [1, 6]
    assert exact(groups.summed(np.frombuffer(raw * 2, np.int64).reshape(3, 2))) == [(3 << 32) + 3, (4 << 32) + 4]


def test_no_rows_are_in_no_groups() -> None:
    groups = Groups.of(Columns({"key": np.zeros(0, np.int64)}), ["key"])
    check(groups, [])
    assert groups.summed(np.zeros(0, np.int64)).shape == (0, 2)


FRAME_VALUES: dict[Any, list[Any]] = {
    pl.String(): [None, "", "a", "b"],
    pl.Enum(["z", "a"]): [None, "z", "a"],
    pl.Float64(): [None, -1.5, 0.0, 2.0],
    pl.Boolean(): [None, False, True],
    pl.UInt64(): [None, 0, 2**64 - 1],
    pl.Int128(): [None, -(2**100), 2**100],
    pl.Int8(): [None, -128, 127],
}


@examples(100)
@given(drawn=st.data())
def test_rows_of_a_frame_are_grouped_by_columns_of_any_type(drawn: st.DataObject) -> None:
    kinds = drawn.draw(st.lists(st.sampled_from(list(FRAME_VALUES)), min_size=1, max_size=3))
    rows = drawn.draw(st.lists(st.tuples(*[st.integers(0, len(FRAME_VALUES[kind]) - 1) for kind in kinds]), max_size=9))
    schema = {str(place): kind for place, kind in enumerate(kinds)}
    values = [tuple(FRAME_VALUES[kind][place] for kind, place in zip(kinds, row, strict=True)) for row in rows]
    check(Groups.of_frame(pl.DataFrame(values, schema=schema, orient="row"), list(schema)), rows)
