"""Columns as JSON are what orjson makes of their rows."""

from __future__ import annotations

import orjson
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.pages.json_text import RAW, lists

VALUES = st.tuples(
    st.sampled_from(["a", "b", ""]),
    st.text(st.characters(exclude_categories=["Cs"])) | st.none(),
    st.integers(-(2**63), 2**63 - 1) | st.none(),
    st.floats(-1e300, 1e300) | st.sampled_from([float("nan"), float("inf")]) | st.none(),
    st.booleans() | st.none(),
)
SCHEMA = {"key": pl.String, "text": pl.String, "count": pl.Int64, "number": pl.Float64, "flag": pl.Boolean}


def expected(row: tuple[object, ...]) -> list[object]:
    *rest, number, flag = row
    known = isinstance(number, float) and abs(number) < float("inf")
    return [*rest, float(f"{number:.4g}") if known else None, flag]


@given(st.lists(VALUES))
def test_lists(rows: list[tuple[object, ...]]) -> None:
    found = lists(pl.DataFrame(rows, schema=SCHEMA, orient="row"), ["key"])
    wanted: dict[object, list[list[object]]] = {}
    for key, *row in rows:
        wanted.setdefault(key, []).append(expected(tuple(row)))
    assert {key: orjson.loads(text) for key, text in found.iter_rows()} == wanted
    assert found["key"].to_list() == list(wanted)


def test_what_is_whole_has_no_point() -> None:
    rows = pl.DataFrame({"key": ["a", "a"], "number": [1024.0, 0.5], RAW: ["[1]", None]})
    assert lists(rows, ["key"]).rows() == [("a", "[[1024,[1]],[0.5,null]]")]
