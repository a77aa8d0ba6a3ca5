"""A table falls into parts without a rest, and a digest of rows sees every change and nothing else."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.schema.parts import (
    ALL,
    GROUPS,
    WHOLE,
    YEARS,
    Group,
    Years,
    by_group,
    by_instance,
    cut,
    grouped,
    rows_digest,
)
from grt_batch.schema.tables import Column, Table, Type

TABLE = Table(
    "days",
    "a table",
    ("instance_id", "day", "tool"),
    (
        Column("instance_id", Type.TEXT, "instance"),
        Column("day", Type.DATE, "day"),
        Column("tool", Type.TEXT, "tool"),
        Column("jobs", Type.BIGINT, "jobs"),
        Column("seconds", Type.NUMERIC, "seconds"),
    ),
    nullable=("day",),
    of_instances=True,
    by_year="day",
)
DAYS = st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.dates(date(2021, 1, 1), date(2025, 12, 31))
ROW = st.tuples(
    st.sampled_from("abc"), DAYS, st.sampled_from(["cut", "sort", ""]), st.integers(0, 9), st.none() | st.integers()
)
ROWS = st.lists(ROW, max_size=12, unique_by=lambda row: row[:3])


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    seconds = [None if row[4] is None else max(-(2**100), min(2**100, row[4])) for row in rows]  # type: ignore[type-var]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("instance_id", "day", "tool", "jobs"))}
    texts = {"instance_id": pl.Enum("abc"), "tool": pl.Enum(["", "cut", "sort"])}
    found = pl.DataFrame({**columns, "seconds": seconds}, TABLE.schema).with_columns(
        pl.col(name).cast(kind) for name, kind in texts.items()
    )
    return TABLE.frame(found)


def test_few_instances_are_groups_of_their_own() -> None:
    assert grouped(["b", "a"]) == [Group("a", ("a",)), Group("b", ("b",))]
    assert grouped([]) == []


@pytest.mark.parametrize("count", [GROUPS, GROUPS + 1, 1000])
def test_no_more_instances_make_no_more_groups(count: int) -> None:
    ids = [f"server {number}" for number in range(count)]
    groups = grouped(reversed(ids))
    assert groups == grouped(ids)
    assert len(groups) <= GROUPS
    assert sorted(one for group in groups for one in group.instances) == sorted(ids)
    assert len({group.name for group in groups}) == len(groups)
    if count > GROUPS:
        assert max(len(group.instances) for group in groups) < 4 * count / GROUPS


@examples(200)
@given(ROWS)
def test_every_row_is_in_one_part_and_in_its_place(rows: list[tuple[object, ...]]) -> None:
    whole = frame(rows)
    parts = list(cut(TABLE, whole))
    assert sum(part.height for _, part in parts) == whole.height
    assert all(part.height for _, part in parts)
    assert len([years for years, _ in parts if years and years.begin]) <= YEARS
    pieces = [
        ((instance_id, years.place), piece)
        for years, part in parts
        if years
        for instance_id, piece in by_instance(TABLE, part)
    ]
    together = pl.concat([whole.clear(), *(piece for _, piece in sorted(pieces, key=lambda item: item[0]))])
    assert together.equals(whole)


@examples(200)
@given(ROWS)
def test_a_part_has_the_rows_of_its_years(rows: list[tuple[object, ...]]) -> None:
    newest = sorted({row[1].year for row in rows if row[1]})[-YEARS:]  # type: ignore[attr-defined]
    for years, part in cut(TABLE, frame(rows)):
        assert years is not None
        found = {None if day is None else day.year for day in part["day"]}
        if years.end is None:
            assert found == {None}
        elif years.begin is None:
            assert max(found) < years.end == newest[0]  # type: ignore[type-var]
        else:
            assert years == Years(years.begin, years.begin + 1)
            assert found == {years.begin} and years.begin in newest


def test_a_table_without_years_has_one_part() -> None:
    plain = Table("plain", "a table", TABLE.key, TABLE.columns, TABLE.nullable, of_instances=True)
    rows = frame([("a", None, "cut", 1, 1), ("a", date(2024, 1, 1), "cut", 1, 1)])
    ((years, part),) = cut(plain, rows)
    assert years is None
    assert part.equals(rows)


WORDS = Table("words", "a table", ("word",), (Column("word", Type.TEXT, "word"),))


def test_a_table_without_instances_is_one_part_even_without_rows() -> None:
    for words in (["a", "b"], []):
        rows = WORDS.frame(pl.DataFrame({"word": words}, WORDS.schema))
        assert [(group, part.equals(rows)) for group, part in by_group(WORDS, rows)] == [(WHOLE, True)]
        assert [(name, part.equals(rows)) for name, part in by_instance(WORDS, rows)] == [("", True)]


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_the_rows_of_all_instances_together_are_a_group_of_their_own(count: int) -> None:
    table = Table("shared", "a table", ("instance_id", "tool"), TABLE.columns[:1] + TABLE.columns[2:3])
    ids = [ALL, *(f"server {number}" for number in range(count))]
    rows = table.frame(pl.DataFrame({"instance_id": ids * 2, "tool": ["cut"] * len(ids) + ["sort"] * len(ids)}))
    found = dict(by_group(table, rows))
    assert {*found} == {Group(ALL, (ALL,)), *grouped(ids[1:])}
    for group, part in found.items():
        assert sorted(set(part["instance_id"])) == sorted(group.instances)
    assert sum(part.height for part in found.values()) == rows.height
    assert not list(by_group(table, rows.clear()))


@examples(200)
@given(ROWS, ROWS)
def test_other_rows_have_another_digest(one: list[tuple[object, ...]], other: list[tuple[object, ...]]) -> None:
    first, second = frame(one), frame(other)
    assert (rows_digest(first) == rows_digest(second)) == first.equals(second)


@examples(100)
@given(ROWS)
def test_how_texts_are_encoded_does_not_matter(rows: list[tuple[object, ...]]) -> None:
    found = frame(rows)
    wider = found.with_columns(pl.col("tool").cast(pl.Enum(["", "aa", "cut", "sort", "z"])))
    parts = [part for part in (found[:1], found[1:]) if part.height]
    assert rows_digest(wider) == rows_digest(found)
    assert rows_digest(pl.concat(parts) if parts else found) == rows_digest(found)


def test_texts_that_are_not_encoded_count_too() -> None:
    texts = [pl.DataFrame({"text": text}) for text in (["a", "bc"], ["ab", "c"], ["a", None], [None, "a"], ["a", ""])]
    assert len({rows_digest(text) for text in texts}) == len(texts)
