"""A table's specification: what it accepts as its rows, their order, and their text for COPY and TSV."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.schema.figures import ALL_DIGITS
from grt_batch.schema.tables import Column, Table, Type, as_report, render

TABLE = Table(
    "of_tests",
    "A table of every type.",
    ("name", "day"),
    (
        Column("name", Type.TEXT, "a text"),
        Column("day", Type.DATE, "a day"),
        Column("n", Type.BIGINT, "a count"),
        Column("small", Type.INTEGER, "a small count"),
        Column("rate", Type.DOUBLE, "a rate"),
        Column("seconds", Type.NUMERIC, "exact seconds", "s", scale=3),
        Column("good", Type.BOOLEAN, "a truth"),
        Column("moment", Type.TIMESTAMP, "a moment"),
        Column("other", Type.JSON, "anything"),
    ),
    nullable=("day",),
)
PLAIN = Table("plain", "Texts.", ("text",), (Column("text", Type.TEXT, "a text"),), nullable=("text",))
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))


def rows(**columns: list[object]) -> pl.DataFrame:
    """Rows of TABLE: null in every column that is not given."""
    height = len(next(iter(columns.values())))
    filled = {name: columns.get(name, [None] * height) for name in TABLE.schema.names()}
    return pl.DataFrame(filled, schema=TABLE.schema)


def text_of(table: Table, frame: pl.DataFrame, *, null: str = "") -> str:
    return b"".join(render(table, frame, null=null)).decode()


def cell(column: str, value: object, *, null: str = "") -> str:
    """The text of one value."""
    fields = text_of(TABLE, rows(**({"name": ["x"]} | {column: [value]})), null=null).removesuffix("\n").split("\t")
    return fields[TABLE.schema.names().index(column)]


def unescaped(text: str) -> str:
    """What COPY reads from an escaped text."""
    characters = iter(text)
    escapes = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return "".join(escapes[next(characters)] if character == "\\" else character for character in characters)


def test_rows_are_in_the_order_of_the_key_by_code_point_with_null_first() -> None:
    names = ["b", "Z", "a", "é", "\U0001f600", "\uffee", "", "b"]
    days = [date(2024, 1, 2), None, None, None, None, None, None, None]
    frame = TABLE.frame(rows(name=names, day=days))
    assert frame["name"].to_list() == ["", "Z", "a", "b", "b", "é", "\uffee", "\U0001f600"]
    assert frame.filter(name="b")["day"].to_list() == [None, date(2024, 1, 2)]


@examples(50)
@given(texts=st.lists(TEXTS, unique=True))
def test_any_texts_are_in_the_order_of_their_code_points(texts: list[str]) -> None:
    assert PLAIN.frame(pl.DataFrame({"text": texts}, schema=PLAIN.schema))["text"].to_list() == sorted(texts)


def test_columns_take_the_order_of_the_table_and_others_go() -> None:
    frame = rows(name=["x"]).select(pl.lit(1).alias("more"), *reversed(TABLE.schema.names()))
    assert TABLE.frame(frame).schema == TABLE.schema


def test_an_empty_frame_has_all_columns() -> None:
    assert TABLE.frame(TABLE.empty()).schema == TABLE.schema
    assert text_of(TABLE, TABLE.empty()) == ""


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="table of_tests: no column n, rate"):
        TABLE.frame(rows(name=["x"]).drop("rate", "n"))


@pytest.mark.parametrize("name", TABLE.schema.names())
def test_a_column_of_a_wrong_type_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"column {name} is Time, not "):
        TABLE.frame(rows(name=["x"]).with_columns(pl.lit(None, pl.Time).alias(name)))


def test_a_null_in_the_key_is_told_by_its_column() -> None:
    with pytest.raises(ValueError, match="null in the key column name"):
        TABLE.frame(rows(name=["x", None]))


def test_a_key_that_stands_twice_is_told() -> None:
    with pytest.raises(ValueError, match=r"the key \('x', datetime.date\(2024, 1, 2\)\) stands twice"):
        TABLE.frame(rows(name=["x", "y", "x"], day=[date(2024, 1, 2)] * 3))


def test_a_key_with_a_null_stands_once_too() -> None:
    with pytest.raises(ValueError, match=r"\('x', None\) stands twice"):
        TABLE.frame(rows(name=["x", "x"]))


def test_a_report_begins_with_the_names_of_the_columns() -> None:
    assert b"".join(as_report(TABLE, render(TABLE, TABLE.empty()))).decode() == "\t".join(TABLE.schema.names()) + "\n"


@examples(100)
@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS | st.sampled_from(["\\N", "\\", "N", "\\N\t\\N"])), max_size=8))
def test_in_a_report_null_is_empty_and_every_text_is_as_in_copy(pairs: list[tuple[str, str | None]]) -> None:
    frame = rows(name=[name for name, _ in pairs], other=[other for _, other in pairs]) if pairs else TABLE.empty()
    found = b"".join(as_report(TABLE, render(TABLE, frame))).decode().split("\n")[1:]
    assert found == text_of(TABLE, frame, null="").split("\n")


@examples(100)
@given(st.lists(st.none() | TEXTS | st.sampled_from(["a\tb", "\\", "\n", "\r"]), unique=True, max_size=8))
def test_encoded_texts_are_written_and_sorted_as_plain_ones(texts: list[str | None]) -> None:
    frame = pl.DataFrame({"text": texts}, schema=PLAIN.schema)
    names = pl.Enum(sorted({text for text in texts if text is not None}, reverse=True))
    encoded = frame.with_columns(pl.col("text").cast(names))
    assert text_of(PLAIN, PLAIN.frame(encoded)) == text_of(PLAIN, PLAIN.frame(frame))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\tb", r"a\tb"),
        ("a\nb", r"a\nb"),
        ("a\rb", r"a\rb"),
        ("a\\b", r"a\\b"),
        ("\\n", r"\\n"),
        ("\\\n\t", r"\\\n\t"),
        ("\\N", r"\\N"),
        ("\"quoted\", and 'so'", "\"quoted\", and 'so'"),
        ("é \U0001f600", "é \U0001f600"),
    ],
)
def test_what_would_break_a_line_is_escaped(value: str, text: str) -> None:
    assert cell("name", value) == text
    assert cell("other", value) == text


@examples(50)
@given(texts=st.lists(TEXTS, min_size=1))
def test_any_text_comes_back_from_its_escaped_form(texts: list[str]) -> None:
    lines = text_of(PLAIN, pl.DataFrame({"text": texts}, schema=PLAIN.schema), null="\\N").split("\n")
    assert lines.pop() == ""
    assert [unescaped(line) for line in lines] == texts


@pytest.mark.parametrize("null", ["", "\\N"])
def test_null_is_what_the_reader_takes_for_null(null: str) -> None:
    line = text_of(TABLE, rows(name=["x"]), null=null)
    assert line == "\t".join(["x", *[null] * (len(TABLE.columns) - 1)]) + "\n"


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("good", True, "true"),
        ("good", False, "false"),
        ("n", -(2**63), "-9223372036854775808"),
        ("small", 3, "3"),
        ("rate", 0.1, "0.1"),
        ("day", date(2024, 2, 29), "2024-02-29"),
        ("moment", datetime(2017, 6, 2, 19, 18, 30), "2017-06-02 19:18:30.000000"),
        ("moment", datetime(2017, 6, 2, 19, 18, 30, 5), "2017-06-02 19:18:30.000005"),
        ("moment", datetime(1969, 12, 31, 23, 59, 59, 999999), "1969-12-31 23:59:59.999999"),
        ("seconds", 1500, "1.5"),
        ("seconds", 0, "0"),
    ],
)
def test_values_are_written_as_postgresql_reads_them(column: str, value: object, text: str) -> None:
    assert cell(column, value) == text


MEASURED = Table(
    "measured",
    "What was measured, with extremes in the table and beside it.",
    ("n",),
    (
        Column("n", Type.BIGINT, "a count"),
        Column("mean", Type.DOUBLE, "derived from sums"),
        Column("least", Type.NUMERIC, "exact, with three decimals", scale=3),
        Column("most", Type.NUMERIC, "exact, as a text", scale=None),
        Column.estimate("p50", Type.DOUBLE, "a percentile", within=("least", "most")),
        Column.estimate("bytes_p50", Type.BIGINT, "a percentile", within=("first_bytes", "last_bytes")),
        Column.estimate("distinct", Type.BIGINT, "an estimate", error=0.03),
        Column("given", Type.DOUBLE, "as it came", digits=ALL_DIGITS),
    ),
)
EXTREMES = {"first_bytes": pl.Int64(), "last_bytes": pl.Int64()}


def measured(**columns: object) -> list[str]:
    """The texts of one row of MEASURED, whose other columns are null."""
    schema = {**MEASURED.schema, **EXTREMES}
    row = {name: [columns.get(name)] for name in schema}
    return (
        text_of(MEASURED, MEASURED.frame(pl.DataFrame({**row, "n": [1]}, schema=schema))).rstrip("\n").split("\t")[1:]
    )


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        ({}, ["", "", "", "", "", "", ""]),
        ({"mean": 1 / 3, "given": 1 / 3}, ["0.333333333", "", "", "", "", "", "0.3333333333333333"]),
        ({"mean": 2.0, "given": 1e20}, ["2", "", "", "", "", "", "100000000000000000000"]),
        ({"p50": 12.3456}, ["", "", "", "12.35", "", "", ""]),
        ({"least": 12349, "most": "13", "p50": 12.3456}, ["", "12.349", "13", "12.35", "", "", ""]),
        ({"least": 12351, "most": "13", "p50": 12.3456}, ["", "12.351", "13", "12.351", "", "", ""]),
        ({"least": 1, "most": "12.3456", "p50": 12.3456}, ["", "0.001", "12.3456", "12.3456", "", "", ""]),
        ({"most": "0.123399999999999999", "p50": 0.1234}, ["", "", "0.123399999999999999", "0.123399999999999999"]),
        ({"bytes_p50": 2**33, "last_bytes": 2**34}, ["", "", "", "", "8590000000", "", ""]),
        ({"bytes_p50": 2**33, "last_bytes": 2**33}, ["", "", "", "", "8589934592", "", ""]),
        ({"bytes_p50": 2**62 + 1, "last_bytes": 2**62 + 1}, ["", "", "", "", "4611686018427387905", "", ""]),
        ({"distinct": 12345}, ["", "", "", "", "", "12340", ""]),
    ],
)
def test_a_number_has_the_digits_of_its_column_and_lies_within_its_bounds(
    columns: dict[str, object], texts: list[str]
) -> None:
    assert measured(**columns)[: len(texts)] == texts


@examples(100)
@given(
    values=st.lists(st.integers(0, 10**13) | st.integers(10**12, 10**12 + 10**6), min_size=3),
    digits=st.integers(1, 5),
)
def test_what_lies_within_bounds_keeps_its_order(values: list[int], digits: int) -> None:
    low, *inside, high = sorted(values)
    columns = (
        Column("low", Type.NUMERIC, "exact", scale=4),
        Column("high", Type.NUMERIC, "exact", scale=4),
        *(
            Column(f"p{place}", Type.DOUBLE, "rounded", digits=digits, within=("low", "high"))
            for place in range(len(inside))
        ),
    )
    table = Table("ordered", "Percentiles.", ("low",), columns)
    row = {"low": low, "high": high, **{f"p{place}": value / 10**4 for place, value in enumerate(inside)}}
    first, last, *found = map(Decimal, text_of(table, pl.DataFrame([row], schema=table.schema)).split("\t"))
    assert [first, *found, last] == sorted([first, *found, last])


def test_bounds_beside_a_table_go_with_its_frame() -> None:
    frame = pl.DataFrame(schema={**MEASURED.schema, **EXTREMES})
    assert MEASURED.frame(frame).schema == frame.schema
    with pytest.raises(ValueError, match="table measured: no column last_bytes"):
        MEASURED.frame(frame.drop("last_bytes"))


@pytest.mark.parametrize(
    ("column", "tolerance"),
    [("n", 0), ("mean", 5e-9), ("least", 0), ("p50", 0.0105), ("distinct", 0.0305), ("given", 0)],
)
def test_a_column_says_how_far_from_the_exact_number_it_may_be(column: str, tolerance: float) -> None:
    (found,) = (known for known in MEASURED.columns if known.name == column)
    assert found.tolerance == pytest.approx(tolerance)


def test_an_exact_number_without_a_scale_is_its_text() -> None:
    table = Table("mixed", "Sums of many units.", ("total",), (Column("total", Type.NUMERIC, "a sum", scale=None),))
    frame = table.frame(pl.DataFrame({"total": ["0.25", "36893488147419103232000000000000000000000"]}))
    assert text_of(table, frame) == "0.25\n36893488147419103232000000000000000000000\n"
    with pytest.raises(ValueError, match="column total is Int128, not String"):
        table.frame(pl.DataFrame({"total": [1]}, schema={"total": pl.Int128}))


@pytest.mark.parametrize("height", [0, 1, 3, 4, 7])
def test_rows_beyond_a_slice_are_all_written_in_their_order(monkeypatch: pytest.MonkeyPatch, height: int) -> None:
    monkeypatch.setattr("grt_batch.schema.tables._SLICE_ROWS", 3)
    names = [f"tool {i}" for i in range(height)]
    parts = list(render(PLAIN, pl.DataFrame({"text": names}, schema=PLAIN.schema)))
    assert b"".join(parts).decode().splitlines() == names
    assert len(parts) == -(-height // 3)


DATED = (
    Column("instance_id", Type.TEXT, "instance"),
    Column("day", Type.DATE, "day"),
    Column("tool", Type.TEXT, "tool"),
)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        (("tool", "instance_id"), {"of_instances": True}),
        (("instance_id",), {"of_instances": True}),
        (("instance_id", "day"), {"by_year": "day"}),
        (("instance_id", "tool", "day"), {"of_instances": True, "by_year": "day"}),
        (("instance_id", "tool"), {"of_instances": True, "by_year": "tool"}),
    ],
)
def test_a_key_that_cannot_be_kept_apart_is_refused(key: tuple[str, ...], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="table odd"):
        Table("odd", "a table", key, DATED, **options)


def test_rows_are_kept_apart_by_instance_where_there_may_be_several() -> None:
    keys = {("instance_id", "day"): True, ("instance_id",): False, ("tool", "instance_id"): False}
    assert {key: Table("one", "a table", key, DATED).by_instance for key in keys} == keys
    assert Table("one", "a table", ("instance_id", "day"), DATED, of_instances=True, by_year="day").by_instance
