"""The names in a sample: enough for its tools, and none twice."""

from __future__ import annotations

import json

from grt_batch.sample.names import CONVERTED_TYPES, EXTENSIONS, NUMBER, PARAMETERS, PLAIN_TOOLS, SHED_REPOSITORIES


def test_no_name_occurs_twice() -> None:
    repositories = [line.partition(":")[0] for line in SHED_REPOSITORIES.strip().splitlines() if line[0] != " "]
    plain = PLAIN_TOOLS.replace("\n", " ").strip().split(", ")
    for names in (CONVERTED_TYPES, EXTENSIONS, plain, repositories):
        assert len({*names}) == len(names)
    assert all(repository.count("/") == 1 for repository in repositories)


def test_every_parameter_has_values_and_its_number_stands_once_in_each() -> None:
    for values in PARAMETERS.values():
        assert values
        assert all(json.dumps(value, default=str).count(str(NUMBER)) <= 1 for value in values)
