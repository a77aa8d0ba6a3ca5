"""The schemas are schemas, and the examples are examples of them."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from grt_batch.queries.definitions import KINDS as KINDS_OF_QUERIES
from grt_batch.service import documents


@pytest.mark.parametrize("name", ["ERROR", "STATE", "WHOAMI", "QUERIES", "ARCHIVES", "MAP"])
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(getattr(documents, name))


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        (documents.WHOAMI, documents.EXAMPLE_WHOAMI),
        (documents.ARCHIVES, documents.EXAMPLE_ARCHIVES),
        (documents.ERROR, {"state": "error", "message": "Bad authentication credentials"}),
    ],
    ids=["whoami", "archives", "error"],
)
def test_an_example_is_one(schema: dict[str, Any], example: object) -> None:
    validator = Draft202012Validator(schema)
    assert validator.is_valid(example)
    assert not validator.is_valid({})


def test_every_kind_of_parameter_has_a_schema() -> None:
    assert documents.KINDS.keys() == KINDS_OF_QUERIES.keys()
