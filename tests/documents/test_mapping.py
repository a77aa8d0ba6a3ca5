"""Every field of every document has a type in the mapping, and fits it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bulk_server import problem
from small_sets import TABLES

from grt_batch.documents.documents import MOST_PARAMS, MOST_VALUES
from grt_batch.documents.mapping import mapping

MAPPING = mapping(TABLES)["mappings"]
NESTED_OBJECTS, NESTED_FIELDS, FIELDS = 10_000, 50, 1000
"""The limits of an index."""


def test_each_document_fits(made_private: Path) -> None:
    assert json.loads((made_private / "mapping.json").read_bytes()) == mapping(TABLES)
    documents = (made_private / "documents-0001.ndjson").read_bytes().splitlines()[1::2]
    assert documents
    assert [found for one in documents if (found := problem(json.loads(one), MAPPING))] == []


@pytest.mark.parametrize(
    "document",
    [
        {"other": 1},
        {"usage": {"all": {"jobs": 1.5}}},
        {"usage": {"all": {"jobs": "1"}}},
        {"usage": {"all": {"first_job": "yesterday"}}},
        {"metrics": {"runtime_seconds": {"all": {"mean": "NaN"}}}},
        {"params": [{"name": 1}]},
        {"histograms": {"runtime_seconds": 1}},
    ],
)
def test_what_does_not_fit_is_seen(document: dict[str, Any]) -> None:
    assert problem(document, MAPPING)


def fields(kind: dict[str, Any]) -> list[str]:
    """The types of a field and of those within."""
    inner = [found for it in kind.get("properties", {}).values() for found in fields(it)]
    return [kind.get("type", "object"), *inner]


def test_an_index_takes_it() -> None:
    kinds = fields(MAPPING)
    assert len(kinds) < FIELDS
    assert kinds.count("nested") < NESTED_FIELDS
    assert MOST_PARAMS * (1 + MOST_VALUES) < NESTED_OBJECTS
    assert set(kinds) == {"object", "nested", "keyword", "long", "double", "boolean", "date"}
