"""Rows become the JSON that they stand for: every digit, every text, and nothing for null."""

from __future__ import annotations

import json

import polars as pl
import pytest

from grt_batch.documents.json_objects import JSON, as_json, by_name, lists, objects
from grt_batch.schema.tables import Column, Type

COLUMNS = [Column("text", Type.TEXT, ""), Column("sum", Type.NUMERIC, ""), Column("flag", Type.BOOLEAN, "")]
ROWS = pl.DataFrame(
    {
        "key": ["a", "a", "b"],
        "name": ["one", 'two "x"', "one"],
        "text": ['say "no"\n\\', "é", None],
        "sum": ["123456789012345678901.123456789", None, "-0.5"],
        "flag": [True, None, False],
    }
)


def test_an_object_has_what_is_known() -> None:
    texts = objects(ROWS, COLUMNS, ("key",))
    assert texts["key"].to_list() == ["a", "a", "b"]
    assert texts[JSON].to_list() == [
        r'{"text":"say \"no\"\n\\","sum":123456789012345678901.123456789,"flag":true}',
        '{"text":"é"}',
        '{"sum":-0.5,"flag":false}',
    ]


def test_a_key_may_be_in_the_object_and_json_stays_json() -> None:
    rows = pl.DataFrame({"key": ["a"], "inner": ['{"x":[1]}']})
    texts = objects(rows, [Column("key", Type.TEXT, "")], ("key",), "inner")
    assert texts.rows() == [("a", '{"key":"a","inner":{"x":[1]}}')]


def test_objects_of_a_key_by_their_names_and_in_lists() -> None:
    texts = objects(ROWS, COLUMNS[2:], ("key", "name"))
    found = {key: json.loads(text) for key, text in by_name(texts, "name", ("key",)).iter_rows()}
    assert found == {"a": {"one": {"flag": True}, 'two "x"': {}}, "b": {"one": {"flag": False}}}
    assert lists(texts, ("key",)).rows() == [("a", '[{"flag":true},{}]'), ("b", '[{"flag":false}]')]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Type.TIMESTAMP, "2024-01-31 12:00:00.250000", '"2024-01-31T12:00:00.250000Z"'),
        (Type.DATE, "2024-01-31", '"2024-01-31"'),
        (Type.DOUBLE, "1e-7", "1e-7"),
        (Type.DOUBLE, "NaN", None),
        (Type.DOUBLE, "-inf", None),
        (Type.BIGINT, 2**62, str(2**62)),
    ],
)
def test_each_type(kind: Type, value: object, text: str | None) -> None:
    assert as_json(pl.Series("x", [value, None]), Column("x", kind, "")).to_list() == [text, None]


def test_no_rows() -> None:
    assert objects(ROWS.clear(), COLUMNS, ("key",)).height == 0
    assert lists(by_name(objects(ROWS.clear(), COLUMNS, ("key", "name")), "name", ("key",)), ("key",)).height == 0
