"""Results in the line protocol, read again by its rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from calling import Answer as Called
from calling import Call
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.core.errors import BadQueries
from grt_batch.queries.definitions import Query
from grt_batch.queries.influx import as_influx
from grt_batch.queries.results import Answer


class Point(NamedTuple):
    """What a line says."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Any]


def parsed(line: str) -> Point:
    """Read a line of the protocol, sign by sign.

    A backslash before a comma, an equals sign or a space takes their meaning; before other signs it is one itself. In
    a text, which stands in quotes, it does so before a quote and a backslash.
    """
    assert not set(line) & set("\n\r\f\t") - set("\t" if '"' in line else "")
    place = 0

    def word(ends: str, escaped: str = ",= ") -> str:
        nonlocal place
        text = ""
        while place < len(line) and line[place] not in ends:
            place += line[place] == "\\" and line[place + 1 : place + 2] in set(escaped)
            text += line[place]
            place += 1
        return text

    def value() -> Any:
        nonlocal place
        if line[place] != '"':
            text = word(", ")
            if text in ("true", "false"):
                return text == "true"
            return int(text[:-1]) if text.endswith("i") else float(text)
        place += 1
        text = word('"', '"\\')
        place += 1
        return text

    measurement, tags, fields = word(", "), {}, {}
    while line[place] == ",":
        place += 1
        key = word("=")
        place += 1
        tags[key] = word(", ")
        assert key and tags[key]
    while place < len(line):
        assert line[place] == ("," if fields else " ")
        place += 1
        key = word("=")
        place += 1
        assert key and key not in fields
        fields[key] = value()
    assert fields
    return Point(measurement, tags, fields)


def points(answer: Answer, *tags: str, name: str = "own") -> list[Point]:
    lines, left_out = as_influx(Query(name, "?", (), "", Path("own.sql"), tags), answer)
    assert lines.count(b"\n") == len(answer.rows) - left_out
    return [parsed(line) for line in lines.decode().split("\n")[:-1]]


def row(**values: Any) -> Answer:
    return Answer(list(values), [tuple(values.values())], 0)


def test_texts_and_dates_are_tags_and_the_rest_are_fields() -> None:
    answer = row(
        tool_id="a b,c=d",
        day=date(2024, 2, 29),
        jobs=3,
        share=0.1,
        total=Decimal("10.50"),
        broken=False,
        last_job=datetime(2024, 2, 29, 1, 2, 3, 500000),
        nothing=None,
        document={"a": ['"', "\\"]},
    )
    assert as_influx(Query("tool-usage", "?", (), "", Path()), answer) == (
        b"tool-usage,tool_id=a\\ b\\,c\\=d,day=2024-02-29 jobs=3i,share=0.1,total=10.5,broken=false,"
        b'last_job=1709168523i,document="{\\"a\\":[\\"\\\\\\"\\",\\"\\\\\\\\\\"]}"\n',
        0,
    )
    (point,) = points(answer)
    assert point.tags == {"tool_id": "a b,c=d", "day": "2024-02-29"}
    assert point.fields["document"] == '{"a":["\\"","\\\\"]}'


def test_a_query_says_which_columns_are_tags() -> None:
    answer = row(tool_id="a", low=0.5, changed="x,y z=", used=date(1970, 1, 2), jobs=1)
    (point,) = points(answer, "tool_id", "low")
    assert point.tags == {"tool_id": "a", "low": "0.5"}
    assert point.fields == {"changed": "x,y z=", "used": 86400, "jobs": 1}


def test_a_tag_that_is_no_column_is_refused() -> None:
    with pytest.raises(BadQueries) as raised:
        points(row(a=1), "a", "b")
    assert "b is no column" in str(raised.value.what)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (datetime(1969, 12, 31, 23, 59, 59, 999999), -1),
        (datetime(2024, 1, 1, tzinfo=UTC), 1704067200),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2))), 1704060000),
    ],
)
def test_a_time_is_seconds_since_1970(value: datetime, seconds: int) -> None:
    assert points(row(at=value)) == [Point("own", {}, {"at": seconds})]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, Decimal("NaN")])
def test_what_is_no_value_is_left_out(value: object) -> None:
    assert points(row(a="", b=value, c=None, d=1)) == [Point("own", {}, {"d": 1})]
    assert as_influx(Query("own", "?", (), "", Path()), row(a="x", b=value)) == (b"", 1)


def test_a_column_is_a_tag_in_all_rows_or_in_none() -> None:
    answer = Answer(["a", "b"], [(None, 1), ("x", 2)], 0)
    assert points(answer) == [Point("own", {}, {"b": 1}), Point("own", {"a": "x"}, {"b": 2})]


SIGNS = st.text(st.sampled_from('ab,= \\"\n\r\t\fé大😀#'), min_size=1, max_size=12)


def written(text: str, signs: str) -> str:
    """What is left of a text without signs that no line can hold."""
    for sign, letter in zip("\n\r\f\t", "nrft", strict=True):
        text = text.replace(sign, f"\\{letter}") if sign in signs else text
    return text


@given(tag=SIGNS, field=SIGNS)
@example(tag="a\\", field="a\\")
@example(tag="\\,", field='\\"')
@example(tag="\\\\ ", field='"\\\\"\n')
def test_every_text_comes_through(tag: str, field: str) -> None:
    kept = written(tag.rstrip("\\"), "\n\r\f\t")
    (point,) = points(row(tag=tag, field=field), "tag")
    assert point.tags == ({"tag": kept} if kept else {})
    assert point.fields == {"field": written(field, "\n\r\f")}


@given(key=SIGNS.filter(lambda text: text.strip("\\")), value=st.integers(-(2**63), 2**63 - 1))
def test_every_name_of_a_column_comes_through(key: str, value: int) -> None:
    assert points(Answer([key], [(value,)], 0)) == [Point("own", {}, {written(key.rstrip("\\"), "\n\r\f\t"): value})]


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_through(value: float) -> None:
    (point,) = points(row(value=value))
    assert point.fields == {"value": value}


@pytest.fixture
def asked(own: Callable[[str], Path], database: str, call: Call) -> Callable[..., Called]:
    def ask(sql: str) -> Called:
        return call("query", "own", "--sql", own(sql), "--database", database, "--format", "influx")

    return ask


def test_the_command_says_how_many_rows_it_left_out(asked: Callable[..., Called]) -> None:
    sql = "-- name: own()\n-- Why?\n{}SELECT * FROM (VALUES ('a', 1::bigint, 'x'), ('b', NULL, NULL)) AS t (k, n, text)"
    assert asked(sql.format("")) == Called(0, "own,k=a,text=x n=1i\n", "left out: 1 row without a field\n")
    assert asked(sql.format("-- tags: k\n")).out == 'own,k=a n=1i,text="x"\n'
    assert asked("-- name: own()\n-- Why?\nSELECT 1 AS a WHERE false") == Called(0, "", "")


def test_a_wrong_tag_ends_with_2_and_a_line(asked: Callable[..., Called]) -> None:
    answer = asked("-- name: own()\n-- Why?\n-- tags: a, b\nSELECT 1 AS a")
    assert (answer.code, answer.out) == (2, "")
    assert "own: of its tags b is no column" in answer.complaint
