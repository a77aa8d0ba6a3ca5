"""The JSON Schemas are for those who write metadata.json and N.json: whatever validates is read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import ROOT

from grt_batch.sample import write_sample
from grt_batch.uploads.metadata import read_instance, read_report
from tests.uploads.test_metadata import HASH, NAME, SHAPE_NAMES, SHAPES, VERSION_3, quarantined

SCHEMAS = ROOT / "config" / "schemas"


def schema(name: str) -> dict[str, Any]:
    """A JSON Schema as it is shipped."""
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return document


def validator(name: str) -> Any:
    """Checks documents by a shipped schema. A whole number is one without a decimal point, as the readers have it;
    JSON Schema would take 3.0 for one too."""
    jsonschema = pytest.importorskip("jsonschema")
    draft = jsonschema.Draft202012Validator
    whole = draft.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return jsonschema.validators.extend(draft, type_checker=whole)(schema(name))


NAMES = ["archive-1", "archive-2", "archive-3", "metadata"]


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_valid_and_says_what_it_is(name: str) -> None:
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for key, item in schema(name)["properties"].items():
        assert item.get("title"), f"{key} of {name} has no title"


@pytest.mark.parametrize("document", SHAPES, ids=SHAPE_NAMES)
def test_every_shape_of_the_years_validates(document: dict[str, Any]) -> None:
    for version in (1, 2, 3):
        assert validator(f"archive-{version}").is_valid(document) is (version == document["version"])


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 4},
        {"version": "3"},
        {"generated": None},
        {"generated": "today"},
        {"generated": "2e3"},
        {"generated": "1501836597\n"},
        {"generated": "1501836597.08\n"},
        {"generated": "1501836597.\u0660"},
        {"generated": f"1501836597.{'9' * 21}"},
        {"generated": "9" * 12},
        {"generated": "253402300800"},
        {"generated": -1},
        {"generated": -0.0},
        {"generated": 1e-5},
        {"generated": 253402300800},
        {"report_hash": HASH},
        {"report_hash": f"sha256:{HASH}\n"},
        {"users": [1]},
        {"users": {"total": -1}},
        {"users": {"active": 2**63}},
        {"users": {"active": "3"}},
        {"users": ""},
        {"jobs": []},
        {"jobs": {"ok": "many"}},
        {"jobs": {"ok": 2**63}},
        {"galaxy_version": []},
        {"galaxy_version": 24.1},
    ],
)
def test_what_the_reader_refuses_does_not_validate(changes: dict[str, Any]) -> None:
    document = {**VERSION_3, **changes}
    assert not validator("archive-3").is_valid(document)
    quarantined(json.dumps(document).encode())


def test_the_sample_validates(tmp_path: Path) -> None:
    write_sample(tmp_path / "uploads", jobs=60)
    seen = set()
    for file in sorted((tmp_path / "uploads").rglob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        name = "metadata" if file.name == "metadata.json" else f"archive-{document['version']}"
        validator(name).validate(document)
        seen.add(name)
    assert seen == set(NAMES)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


def documents(rule: Any, root: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Documents that keep a rule of a schema, from the words of JSON Schema that ours use."""
    if "$ref" in rule:
        return documents(root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root)
    if "const" in rule:
        return st.just(rule["const"])
    if "anyOf" in rule:
        rest = {key: value for key, value in rule.items() if key != "anyOf"}
        return st.one_of([documents(_both(rest, _resolved(choice, root)), root) for choice in rule["anyOf"]])
    kinds = rule.get("type", "object" if "properties" in rule else None)
    if kinds is None:
        return _ANYTHING
    return st.one_of([_of_kind(kind, rule, root) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _resolved(rule: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    return root["$defs"][rule["$ref"].removeprefix("#/$defs/")] if "$ref" in rule else rule


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**other, **one, "properties": {**one["properties"], **other["properties"]}}


def _of_kind(kind: str, rule: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            top = rule.get("maximum", rule.get("exclusiveMaximum", 2**63) - 1)
            return st.integers(rule.get("minimum", -(2**63)), top)
        case "number":
            top = rule.get("maximum", rule.get("exclusiveMaximum"))
            exclude = "exclusiveMaximum" in rule
            return st.floats(rule.get("minimum"), top, exclude_max=exclude, allow_nan=False, allow_infinity=False)
        case "string":
            longest = rule.get("maxLength", 1000)
            texts = st.from_regex(rule["pattern"]) if "pattern" in rule else _TEXT
            never = rule.get("not", {}).get("pattern", "(?!)")
            return texts.filter(lambda text: len(text) <= longest and not re.search(never, text))
        case "array" if "prefixItems" in rule:
            return st.tuples(*(documents(item, root) for item in rule["prefixItems"])).map(list)
        case "array":
            return st.lists(documents(rule.get("items", {}), root), max_size=3)
    known = {key: documents(item, root) for key, item in rule.get("properties", {}).items() if item is not False}
    needed = {key: known.pop(key) for key in rule.get("required", ())}
    unknown = _TEXT.filter(lambda key: key not in rule.get("properties", {}))
    others = st.dictionaries(unknown, documents(rule.get("additionalProperties", {}), root), max_size=2)
    return st.tuples(others, st.fixed_dictionaries(needed, optional=known)).map(lambda parts: {**parts[0], **parts[1]})


@pytest.mark.parametrize("name", NAMES)
def test_whatever_validates_is_read(name: str) -> None:
    rules, check = schema(name), validator(name)

    @settings(deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(documents(rules, rules))
    def holds(document: dict[str, Any]) -> None:
        check.validate(document)
        raw = json.dumps(document).encode()
        if name == "metadata":
            assert read_instance(raw).problem is None
        else:
            assert read_report(raw, NAME).version == document["version"]

    holds()
