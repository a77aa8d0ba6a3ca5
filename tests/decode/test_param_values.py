"""The one value of a parameter: every shape of every year, real ones, and what no exporter should have written."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st
from places import REAL

from grt_batch.decode.param_values import REDACTED, VALUE_BYTES, shortened, unwrap
from grt_batch.sample.names import PARAMETERS, Written
from grt_batch.sample.releases import Shape
from grt_batch.schema.members import Kind

NAME = "p"
TEXTS = st.text(max_size=12) | st.sampled_from(["", "hg38", "1.0", "true", "None", 'a "quoted" word', "a\\b", "😀"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def canonical(value: object) -> str | None:
    """The text of a value, as the standard library writes it."""
    if value is None or isinstance(value, str):
        return value and value.replace("\0", "\ufffd")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def says_one_thing(shape: Shape, value: object) -> bool:
    """Whether a value in this shape can be read in one way only."""
    if isinstance(value, dict) and list(value) == [NAME]:
        return False
    if isinstance(value, str):
        bare = shape is Shape.BARE and value in ("null", "None")
        return not (value.startswith(('"', "{", "[")) or bare or value == "null")
    return value is not None or shape is not Shape.TWICE


@examples(400)
@given(value=VALUES, shape=st.sampled_from(Shape))
def test_every_shape_gives_the_value_back(value: Any, shape: Shape) -> None:
    if says_one_thing(shape, value):
        text, _ = unwrap(NAME, shape.write(NAME, value).encode())
        assert text == canonical(value)


@pytest.mark.parametrize("shape", Shape)
def test_the_values_of_the_sample_are_the_same_in_every_shape(shape: Shape) -> None:
    for name, values in PARAMETERS.items():
        for value in values:
            text, names_data = unwrap(name, shape.write(name, value).encode())
            if isinstance(value, Written):
                assert (text, names_data) == (REDACTED if value is Written.REDACTED else None, False)
            else:
                assert text == canonical(value)
                assert names_data == (isinstance(value, dict) and list(value) == ["values"])


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (r'"\"hg38\""', "hg38"),
        (r'"{\"p\": \"\\\"?\\\"\"}"', "?"),
        (r'"{\"p\": \"Müller, not JSON\"}"', "Müller, not JSON"),
        (r'"{\"p\": {\"b\": [1, null], \"a\": \"é\"}}"', '{"a":"é","b":[1,null]}'),
        ('{"p": "auto"}', "auto"),
        ('{"q": "auto"}', '{"q":"auto"}'),
        ('{"p": 1, "q": 2}', '{"p":1,"q":2}'),
        ('"a07b"', "a07b"),
        ("bare text", "bare text"),
        ("", ""),
        ('""', ""),
        (r'"\"\""', ""),
        ("null", None),
        ("None", None),
        ('{"p": null}', None),
        (r'"{\"p\": \"null\"}"', None),
        (r'"\"null\""', "null"),
        ('{"p": "None"}', "None"),
        ('"null"', REDACTED),
        ("false", "false"),
        ('{"p": true}', "true"),
        ('"12"', "12"),
        ('{"p": 1.0}', "1.0"),
        ('{"p": 0.05}', "0.05"),
        ('{"p": 1e-05}', "1e-05"),
        ('{"p": 1.50}', "1.50"),
        ('{"p": 18446744073709551617}', "18446744073709551617"),
        ('{"p": -0}', "-0"),
        ('{"p": NaN}', "NaN"),
        ('{"p": [1.50, 123456789012345678901.0]}', "[1.50,123456789012345678901.0]"),
        ("007", "007"),
        ('{"p": 1', '{"p": 1'),
        ('{"p": 1} and more', '{"p": 1} and more'),
        (r'"{\"q\": 1"', '{"q": 1'),
        ('{"p": 1}\n', '{"p": 1}\n'),
        ('"unfinished', '"unfinished'),
        ('{"p": {"p": {"p": 5}}}', "5"),
    ],
)
def test_a_field_has_one_value(raw: str, value: str | None) -> None:
    assert unwrap(NAME, raw.encode()) == (value, False)


@pytest.mark.parametrize(
    ("value", "names_data"),
    [
        ({"values": [{"src": "hda", "id": 1}]}, True),
        ({"values": [{"src": "hdca", "id": 1}, {"src": "dce", "id": 2, "size": None}]}, True),
        ({"values": []}, True),
        ({"src": "ldda", "id": 3}, True),
        ([{"src": "hda", "id": 1}, {"src": "hda", "id": 2}], True),
        ([], False),
        ({}, False),
        ({"values": [1, 2]}, False),
        ({"values": "hda"}, False),
        ({"values": [], "cutoff": 3}, False),
        ({"src": 1, "id": 1}, False),
        ({"id": 1}, False),
        ([{"__index__": 0, "input": {"values": [{"src": "hda", "id": 1}]}}], False),
        ({"__current_case__": 0, "input": {"values": [{"src": "hda", "id": 1}]}}, False),
    ],
)
@pytest.mark.parametrize("shape", Shape)
def test_a_value_names_datasets_where_it_says_nothing_else(shape: Shape, value: object, names_data: bool) -> None:
    assert unwrap(NAME, shape.write(NAME, value).encode()) == (canonical(value), names_data)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (r'"\"half \ud800 a pair\""', "half \ufffd a pair"),
        (r'"half \\ud83d a pair"', r"half \ud83d a pair"),
        (r'{"p": ["\ud83d\ude00", "\ud83d", "\uDE00\uD83D", "\\ud800"]}', '["😀","\ufffd","\ufffd\ufffd","\\\\ud800"]'),
        (r'{"\ud800": 1}', '{"\ufffd":1}'),
        (r'"NUL \u0000 here"', "NUL \ufffd here"),
        (r'["NUL \u0000 here"]', r'["NUL \u0000 here"]'),
        ('"a\ttab"', '"a\ttab"'),
    ],
)
def test_a_value_is_text_that_a_database_can_hold(raw: str, value: str) -> None:
    assert unwrap(NAME, raw.encode()) == (value, False)


@examples(300)
@given(st.text(alphabet='"\\{}[]:,p1ud8c0 n\0é…', max_size=40) | st.text(max_size=600))
def test_any_text_has_a_value(raw: str) -> None:
    text, names_data = unwrap(NAME, raw.encode())
    assert text is not None or "null" in raw or raw == "None"
    assert text is not None or not names_data
    assert len(shortened(text or "").encode()) <= VALUE_BYTES
    assert "\0" not in (text or "")


@pytest.mark.parametrize("depth", [400, 5_000, 200_000])
@pytest.mark.parametrize(("begin", "end"), ["[]", ('{"p":', "}"), ('{"q":', "}")])
def test_what_is_nested_too_deep_stays_text(begin: str, end: str, depth: int) -> None:
    raw = begin * depth + "1" + end * depth
    text, names_data = unwrap(NAME, raw.encode())
    assert not names_data
    assert text == raw


def test_layers_end() -> None:
    raw = "x"
    for _ in range(12):
        raw = json.dumps(raw)
    assert unwrap(NAME, raw.encode()) == ("x", False)


@pytest.mark.parametrize("letter", ["a", "é", "大", "😀"])
@pytest.mark.parametrize("shape", Shape)
def test_a_long_value_is_cut_and_stays_different(shape: Shape, letter: str) -> None:
    fitting = letter * (VALUE_BYTES // len(letter.encode()))
    assert unwrap(NAME, shape.write(NAME, fitting).encode()) == (fitting, False)
    assert shortened(fitting) == fitting
    long = [f"{fitting}one", f"{fitting}two", fitting * 100]
    assert [unwrap(NAME, shape.write(NAME, value).encode()) for value in long] == [(value, False) for value in long]
    cut = [shortened(value) for value in long]
    assert len(set(cut)) == len(long)
    for whole, text in zip(long, cut, strict=True):
        start, _, digest = text.rpartition("…")
        assert whole.startswith(start)
        assert VALUE_BYTES - 4 < len(text.encode()) <= VALUE_BYTES
        assert digest == hashlib.sha256(whole.encode()).hexdigest()[:16]


def test_one_huge_value() -> None:
    files = [{"name": "x" * 100, "size": i} for i in range(10_000)]
    text, _ = unwrap("files", json.dumps(json.dumps({"files": json.dumps(files)})).encode())
    assert text is not None
    assert text.startswith('[{"name":"xxx')


def real_params(folder: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """Archive, job, name and value of every whole line of the parameters below a folder."""
    for archive in sorted(folder.rglob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is None or Kind.of_member(member.name) is not Kind.PARAMS:
                    continue
                for line in file.read().split(b"\n"):
                    fields = line.split(b"\t")
                    if len(fields) == 3 and fields[0].isdigit():
                        yield archive.name, fields[0].decode(), fields[1].decode(), fields[2]


@pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")
class TestReal:
    """The archives that Galaxy servers and Galaxy's own exporter wrote."""

    def test_the_same_jobs_in_two_shapes(self) -> None:
        """In 2017 the same parameters were exported as objects, then as JSON encoded twice; either kept some back."""
        found: dict[tuple[str, str], list[tuple[str | None, bool]]] = {}
        for _, job, name, raw in real_params(REAL / "grt-2017"):
            found.setdefault((job, name), []).append(unwrap(name, raw))
        compared = 0
        for (_, name), values in found.items():
            first, second = values
            if first[0] is None or second[0] == REDACTED:
                continue
            if first[1]:  # The later exporter no longer wrote the size of a dataset.
                references = json.loads(first[0] or "")["values"]
                stripped = [{key: item[key] for key in ("id", "src")} for item in references]
                first = (canonical({"values": stripped}), True)
            assert first == second, name
            compared += 1
        assert compared == 82

    def test_the_exporter_of_version_2(self) -> None:
        values: dict[str, set[str | None]] = {}
        naming: dict[str, set[bool]] = {}
        for _, _, name, raw in real_params(REAL / "exporter"):
            text, names_data = unwrap(name, raw)
            if text != REDACTED:
                values.setdefault(name, set()).add(text)
                naming.setdefault(name, set()).add(names_data)
        assert values["chromInfo"] == {"/galaxy/tool-data/shared/ucsc/chrom/?.len"}
        assert values["dbkey"] == {"?", "dm6", "hg38", "mm10"}
        assert values["delimiter"] == {"T"}
        assert values["__rerun_remap_job_id__"] == {None}
        assert values["xlab"] == {"raw\ttab and\nnewline, not JSON"}
        assert values["adv|type_conditional|size"] == {"1.5"}
        assert values["__job_resource"] == {'{"__job_resource__select": "no", "__current_case__": 0'}
        assert naming["input"] == naming["input1"] == naming["infile"] == {True}
        assert naming["queries"] == naming["adv"] == naming["dbkey"] == {False}
        for text in set().union(*values.values()):
            assert not (text or "").startswith(('{\\"', '"'))
