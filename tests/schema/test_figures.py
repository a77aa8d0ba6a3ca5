"""The text of numbers, against Python's own: correctly rounded, plain, and back again."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.schema.figures import ALL_DIGITS, exact_text, plain_text, significant

DIGITS = st.integers(1, 12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
HALVES = st.builds(
    lambda number, power: (number * 10 + 5) / 10**power if power > 0 else float((number * 10 + 5) * 10**-power),
    st.integers(0, 10**9),
    st.integers(-12, 30),
)
"""What decimals with a 5 at their end are in binary: just below the half, just above, or the half itself."""
DOUBLES = FINITE | HALVES | st.integers(0, 2**40).map(lambda number: number / 2**12) | st.integers(0, 2**70).map(float)
BIGINTS = st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**6), 10**6)


def doubles(values: Sequence[float | None], digits: int) -> list[float | None]:
    return significant(pl.Series(values, dtype=pl.Float64), digits).to_list()


def texts(values: Sequence[float | None], digits: int = ALL_DIGITS) -> list[str | None]:
    return plain_text(significant(pl.Series(values, dtype=pl.Float64), digits)).to_list()


def decimal_text(value: int, scale: int) -> str:
    """The number by Python's own decimals, without zeros at its end."""
    text = format(Decimal(value).scaleb(-scale, Context(prec=60)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_texts(values: Sequence[int | None], scale: int) -> list[str | None]:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Int128})
    return frame.select(text=exact_text(pl.col("value"), scale))["text"].to_list()


@examples(400)
@given(values=st.lists(DOUBLES, min_size=1), digits=DIGITS)
def test_a_double_is_rounded_as_python_writes_it(values: list[float], digits: int) -> None:
    python = [float(format(value, f".{digits}g")) for value in values]
    wanted = [rounded if math.isfinite(rounded) else value for rounded, value in zip(python, values, strict=True)]
    assert doubles(values, digits) == wanted


@examples(100)
@given(values=st.lists(BIGINTS, min_size=1), digits=DIGITS)
def test_an_integer_is_rounded_as_its_decimal(values: list[int], digits: int) -> None:
    context = Context(prec=digits, rounding=ROUND_HALF_EVEN)
    exact = [int(context.create_decimal(value)) for value in values]
    wanted = [rounded if abs(rounded) < 2**63 else value for rounded, value in zip(exact, values, strict=True)]
    assert significant(pl.Series(values, dtype=pl.Int64), digits).to_list() == wanted


@examples(100)
@given(values=st.lists(DOUBLES, min_size=2), digits=st.integers(1, ALL_DIGITS))
def test_rounding_keeps_the_order(values: list[float], digits: int) -> None:
    rounded = doubles(sorted(values), digits)
    assert rounded == sorted(rounded)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234567890.5, 9, "1234567890"),
        (0.12345678949999999, 9, "0.123456789"),
        (100.5, 3, "100"),
        (101.5, 3, "102"),
        (2.675, 3, "2.67"),
        (9999.5, 4, "10000"),
        (0.00099995, 4, "0.001"),
        (-12345.6, 4, "-12350"),
        (8589934592.0, 4, "8590000000"),
        (1e23, 4, "1e+23"),
        (1e-300, 9, "1e-300"),
        (5e-324, 9, "5e-324"),
        (123456789e292, 4, "1.235e+300"),
        (sys.float_info.max, 4, "1.7976931348623157e+308"),
        (0.0, 9, "0"),
        (-0.0, 9, "0"),
        (math.inf, 9, "inf"),
        (-math.inf, 9, "-inf"),
        (math.nan, 9, "NaN"),
    ],
)
def test_numbers_at_the_edges(value: float, digits: int, text: str) -> None:
    assert texts([value], digits) == [text]
    assert texts([None, value], digits) == [None, text]


@examples(20)
@given(values=st.lists(st.none() | FINITE | st.integers(-(10**6), 10**6).map(float)))
def test_a_text_gives_the_same_number_again(values: list[float | None]) -> None:
    assert [None if text is None else float(text) for text in texts(values)] == values


@examples(200)
@given(values=st.lists(FINITE | st.floats(1e-7, 1e22) | st.integers(0, 2**80).map(float), min_size=1), digits=DIGITS)
def test_a_text_is_plain_and_has_no_more_digits(values: list[float], digits: int) -> None:
    for value, text in zip(values, texts(values, digits), strict=True):
        assert text is not None
        assert not text.startswith("-0") or value < 0
        if 1e-6 <= abs(float(text)) < 1e21 or value == 0:
            assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", text)
        if math.isfinite(float(format(value, f".{digits}g"))):
            figures = re.sub(r"e.*|[-.]", "", text).lstrip("0").rstrip("0")
            assert len(figures) <= digits


def test_a_text_has_an_exponent_beyond_what_is_plain() -> None:
    assert texts([1e-6, 9e-7, 1.5e20, 1e21]) == ["0.000001", "9e-7", "150000000000000000000", "1e+21"]


def test_numbers_that_are_no_doubles_have_their_text() -> None:
    assert plain_text(pl.Series([2**63 - 1, None])).to_list() == [str(2**63 - 1), None]


@examples(100)
@given(scale=st.integers(0, 18), values=st.lists(st.integers(-(10**36), 10**36) | st.integers(-20, 20), min_size=1))
def test_the_text_of_an_exact_number_is_that_of_its_decimal(scale: int, values: list[int]) -> None:
    assert exact_texts(values, scale) == [decimal_text(value, scale) for value in values]


@pytest.mark.parametrize("scale", [0, 7])
def test_the_text_of_an_exact_null_is_null(scale: int) -> None:
    assert exact_texts([None, 10**scale], scale) == [None, "1"]
