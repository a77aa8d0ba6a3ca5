"""The order that keys give the rows of a frame, against plain Python."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.columns.order import key_order

Row = tuple[Any, ...]
TEXTS = ["", "a", "b", "B", "é", "大"]
INT64 = 2**63
WIDE = st.integers(-INT64, INT64 - 1) | st.sampled_from([-INT64, -INT64 + 1, -1, 0, 2**31 - 2, 2**31, INT64 - 1])


@examples(150)
@given(
    rows=st.lists(st.tuples(*[st.none() | WIDE] * 2, st.none() | st.sampled_from(TEXTS), st.none() | st.floats(-9, 9)))
)
@example(rows=[(1, 2, "a", 0.5), (1, 2, "a", 0.5), (None, 2, "a", 0.5), (None, None, None, None), (1, 2, None, 0.5)])
@example(rows=[(-INT64, INT64 - 1, "b", 0.5), (INT64 - 1, -INT64, "a", 0.5), (-INT64, INT64 - 1, "b", 0.25)])
def test_rows_are_put_in_the_order_of_their_key(rows: list[Row]) -> None:
    names = ["one", "two", "text", "plain", "real"]
    kinds = [pl.Int64(), pl.Int64(), pl.Enum(sorted({row[2] for row in rows} - {None})), pl.String(), pl.Float64()]
    wide = [(*row[:3], *row[2:], number) for number, row in enumerate(rows)]
    given_rows = pl.DataFrame(
        wide, schema=dict(zip([*names, "number"], [*kinds, pl.Int64()], strict=True)), orient="row"
    )
    order, begins = key_order(given_rows, names)
    wanted = sorted(wide, key=lambda row: [(value is not None, value) for value in row[:5]])
    assert given_rows[order].rows() == wanted
    firsts = [place for place, (one, other) in enumerate(pairwise(wanted), 1) if one[:5] != other[:5]]
    assert begins.tolist() == [0, *firsts][: len(rows)]
