"""A table's specification: what it accepts as its rows, their order, and their text for COPY and TSV."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

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
