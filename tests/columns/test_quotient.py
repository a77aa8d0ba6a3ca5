"""A quotient is that of its row alone."""

from __future__ import annotations

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.columns.quotient import quotient

NUMBERS = st.integers(1, 2**53)
DIVIDEND, DIVISOR = pl.col("dividend"), pl.col("divisor")


@examples(100)
@given(dividends=st.lists(st.none() | NUMBERS, min_size=1), divisor=NUMBERS)
@pytest.mark.parametrize("constant", [True, False])
def test_a_quotient_is_that_of_python(constant: bool, dividends: list[int | None], divisor: int) -> None:
    frame = pl.DataFrame({"dividend": dividends}, schema={"dividend": pl.Int64})
    frame = frame.with_columns(divisor=pl.lit(divisor) if constant else pl.lit(pl.Series([divisor] * len(dividends))))
    wanted = [None if dividend is None else dividend / divisor for dividend in dividends]
    assert frame.select(quotient(DIVIDEND, DIVISOR)).to_series().to_list() == wanted
    assert frame.select(quotient(DIVIDEND, pl.lit(float(divisor)))).to_series().to_list() == wanted


def test_a_column_whose_rows_are_alike_is_no_constant() -> None:
    frame = pl.DataFrame({"dividend": [66_366_353, 85_890_113], "divisor": [3_984_588_800] * 2})
    # Such a column becomes a constant by itself where a lazy frame is collected.
    collected = frame.lazy().filter(DIVIDEND > 0).select("dividend", "divisor").collect()
    assert collected.select(quotient(DIVIDEND, DIVISOR)).to_series().to_list() == [
        66_366_353 / 3_984_588_800,
        85_890_113 / 3_984_588_800,
    ]
