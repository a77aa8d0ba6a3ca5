"""The description in the words of OpenAPI: it names every address, and the service does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from answering import Answering
from build import examples
from hypothesis import given
from places import ROOT
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from grt_batch.core.config import Config
from grt_batch.queries.definitions import read
from grt_batch.service.application import application
from grt_batch.service.openapi import description

QUERIES = read(ROOT / "config" / "sql")


def test_it_has_every_address_of_the_service(tmp_path: Path) -> None:
    app = application(Config(uploads=tmp_path, keys_file=str(tmp_path / "keys.json")), QUERIES)
    there = {
        (route.path.replace("{name}", next(iter(QUERIES))), method.lower())  # type: ignore[attr-defined]
        for route in app.routes
        for method in route.methods  # type: ignore[attr-defined]
        if "{prefix" not in route.path and method != "HEAD"  # type: ignore[attr-defined]
    }
    paths = description(QUERIES.values(), 10)["paths"]
    told = {(path, method) for path, item in paths.items() for method in item}
    queries = {(f"/api/queries/{name}", "get") for name in QUERIES}
    assert queries <= told
    assert told - queries == there - queries


CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def schema(answering: Answering) -> Any:
    return schemathesis.openapi.from_url(f"{answering.door.url}/api/openapi.json")


READ = sorted(path for path, item in description(QUERIES.values(), 500)["paths"].items() if "get" in item)
"""The addresses that are read. Those that take archives are tested with a client that sends what Galaxy's sends."""


@pytest.mark.parametrize("path", READ)
def test_the_service_does_what_it_says(schema: Any, answering: Answering, path: str) -> None:
    operation = schema[path]["GET"]
    for mode in GenerationMode:
        if mode.is_negative and not operation.query:
            continue

        @examples(3)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate(base_url=answering.door.url, checks=CHECKS)

        check()
