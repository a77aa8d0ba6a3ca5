"""What the kernels read out of a field is what Python's own types read out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal

import numpy as np
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.kernels import values
from grt_batch.schema.members import NO_LIMIT, NULL, SECONDS_SCALE

INT64 = 2**63 - 1
NULL_NUMBER, GARBAGE = (1, NULL), (0, 0)
SCALES = (0, 3, SECONDS_SCALE)
EXACT = Context(prec=400)
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(rb"[+-]?\d+")

signs = st.sampled_from(["", "-", "+"])
decimals = st.builds(
    "{}{}{}{}".format,
    signs,
    st.text("0123456789", min_size=1, max_size=30),
    st.one_of(
        st.just(""),
        st.text("0123456789", max_size=30).map(".{}".format),
        st.integers(0, 10**7 - 1).map(".{:07d}".format),  # as the exporter writes them
    ),
    st.one_of(st.just(""), st.integers(-40, 40).map("E{:+d}".format), st.integers(-9, 9).map("e{}".format)),
)
near_numbers = st.text("0123456789+-.eEN \tx", max_size=12)


def field(kernel: Callable[..., tuple[int, int]], text: bytes, *more: int) -> tuple[int, int]:
    """Call a kernel on a field that stands between others: it must not look at them."""
    data = np.frombuffer(b"7\t" + text + b"\t7", np.uint8)
    status, value = kernel(data, 2, 2 + len(text), *more)
    return int(status), int(value)


def number(text: bytes, scale: int) -> tuple[int, int]:
    """What `number` should give, by Python's decimals."""
    if text == b"None":
        return NULL_NUMBER
    if not NUMBER.fullmatch(text):
        return GARBAGE
    value = Decimal(text.decode())
    if value >= NO_LIMIT:
        return NULL_NUMBER
    if abs(value) >= min(NO_LIMIT, INT64 // 10**scale):
        return 2, INT64 if value > 0 else -INT64
    return 2, int(EXACT.scaleb(value, scale).quantize(Decimal(1), ROUND_HALF_UP, EXACT))


@examples(300)
@given(decimals, st.sampled_from(SCALES))
@example("0E-7", 7)
@example("4.0000000", 7)
@example("0.00000005", 7)
@example("-0.00000005", 7)
@example("0.00000004999999999999", 7)
@example("9223372036854771712", 0)
@example("922337203685.4775807", 7)
@example("922337203684.9999999", 7)
@example("461168601842.7387904", 7)
@example("461168601841.9999999", 7)
@example("999999999999999999.0000000", 7)
@example("000000000000000004.0000000", 7)
@example("0000000000000000004.0000000", 7)
@example("4.0000000", 0)
@example("4.5000000", 0)
@example("1E-10000", 7)
@example("0E+99", 7)
def test_a_number_is_its_decimal_rounded_half_up_at_the_scale(text: str, scale: int) -> None:
    assert field(values.number, text.encode(), scale) == number(text.encode(), scale)


@examples(300)
@given(near_numbers, st.sampled_from(SCALES))
@example("", 7)
@example("None", 7)
@example("none", 7)
@example(".", 7)
@example("-", 7)
@example("1.2.3", 7)
@example("4.000000x", 7)
@example("4.-000000", 7)
@example(".0000000", 7)
@example("4.00000E1", 7)
@example("1E", 7)
@example("1E5E5", 7)
@example("1E5.0", 7)
@example(" 1", 7)
@example("1_000", 7)
@example("NaN", 7)
@example("Infinity", 7)
@example("0x10", 7)
@example("1,5", 7)
def test_what_is_no_number_is_none(text: str, scale: int) -> None:
    assert field(values.number, text.encode(), scale) == number(text.encode(), scale)


@pytest.mark.parametrize("distance", range(-12, 4))
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_at_or_above_2_to_62_is_no_limit(distance: int, sign: str) -> None:
    text = f"{sign}{NO_LIMIT + distance}".encode()
    assert field(values.number, text, 0) == number(text, 0)


def test_an_exponent_beyond_all_bounds_still_counts() -> None:
    assert field(values.number, b"1E-99999999999999999999", 7) == (2, 0)
    assert field(values.number, b"0E+99999999999999999999", 7) == (2, 0)


@pytest.mark.parametrize("text", [b"1E+30", b"1E+10000", b"1E+99999999999999999999", b"9" * 400, b"0.1E+25"])
@pytest.mark.parametrize("scale", SCALES)
def test_a_number_from_2_to_62_on_is_null_and_its_opposite_is_far_below_0(text: bytes, scale: int) -> None:
    assert field(values.number, text, scale) == NULL_NUMBER
    assert field(values.number, b"-" + text, scale) == (2, -INT64)


@pytest.mark.parametrize("text", [b"922337203685", b"4611686018427387903", b"1E+12"])
def test_a_number_beyond_the_column_is_the_largest(text: bytes) -> None:
    assert field(values.number, text, 7) == (2, INT64)
    assert field(values.number, b"-" + text, 7) == (2, -INT64)


@examples(300)
@given(st.one_of(st.builds("{}{:d}".format, signs, st.integers(0, 2**70)), st.text("0123456789+- .", max_size=24)))
@example(f"{INT64}")
@example(f"-{INT64}")
@example(f"{INT64 + 1}")
@example(f"-{INT64 + 1}")
@example("0" * 300 + "7")
@example("9" * 300)
@example("None")
@example("")
@example("-")
@example("+-1")
@example("1.0")
def test_an_integer_is_pythons_and_one_beyond_64_bits_is_told_apart(text: str) -> None:
    expected = GARBAGE
    if INTEGER.fullmatch(text.encode()):
        value = int(text)
        expected = (1, value) if abs(value) <= INT64 else (2, NO_LIMIT if value > 0 else -NO_LIMIT)
    assert field(values.integer, text.encode()) == expected


def micros(moment: datetime) -> int:
    return (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@examples(300)
@given(st.datetimes(), st.integers(0, 9), st.text("0123456789", min_size=9, max_size=9), st.sampled_from(" T"))
@example(datetime(2017, 6, 2, 19, 18, 30), 0, "000000000", " ")
@example(datetime(2000, 2, 29), 6, "123456789", " ")
@example(datetime(1, 1, 1), 9, "999999999", " ")
@example(datetime(9999, 12, 31, 23, 59, 59), 9, "999999999", " ")
@example(datetime(1969, 12, 31, 23, 59, 59), 9, "999999999", " ")
def test_a_date_is_its_microseconds_and_more_digits_are_cut_off(
    moment: datetime, digits: int, fraction: str, between: str
) -> None:
    text = moment.strftime("%m-%d{}%H:%M:%S").format(between)
    text = f"{moment.year:04d}-{text}" + (f".{fraction[:digits]}" if digits else "")
    expected = micros(moment.replace(microsecond=0)) + int(f"{fraction[:digits]:0<6}"[:6])
    assert field(values.date, text.encode()) == (2, expected)


@examples(300)
@given(st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
@example(1900, 2, 29, 0, 0)
@example(2000, 2, 29, 0, 0)
@example(2024, 2, 30, 0, 0)
@example(2023, 4, 31, 0, 0)
@example(2023, 12, 31, 24, 0)
@example(2023, 12, 31, 23, 60)
@example(0, 1, 1, 0, 0)
def test_a_day_that_is_in_no_calendar_is_no_date(year: int, month: int, day: int, hour: int, minute: int) -> None:
    try:
        expected = 2, micros(datetime(year, month, day, hour, minute))
    except ValueError:
        expected = GARBAGE
    assert field(values.date, f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:00".encode()) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"none",
        b"2017-06-02",
        b"2017-06-02 19:18",
        b"2017-06-02 19:18:60",
        b"2017-06-02 19:18:30.",
        b"2017-06-02 19:18:30,5",
        b"2017-06-02 19:18:30.12345x",
        b"2017-06-02 19:18:30.123456x",
        b"2017-06-02 19:18:30.123456789012345678x",
        b"2017-06-02 19:18:30+00:00",
        b"2017-06-02 19:18:30Z",
        b"2017-06-02_19:18:30",
        b"2017/06/02 19:18:30",
        b"2017-06-02 19.18.30",
        b"-017-06-02 19:18:30",
        b"2017-6-02 019:18:30",
        b"1496431110",
        b"20x7-06-02 19:18:30",
    ],
)
def test_garbage_is_no_date(text: bytes) -> None:
    assert field(values.date, text) == GARBAGE


def test_none_is_a_null_date() -> None:
    assert field(values.date, b"None") == NULL_NUMBER
