"""The settings of jobs, each once for a job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st
from unwrapping import unfolded

from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job, Leaf, Param
from tests.decode.test_leaves import DATASETS, REFERENCE, VALUES, twice, utf8
from tests.join.test_child_records import dataset, jobs, joined, param

Row = tuple[int, str, str | None, bool, bool]


def leaves(*lines: bytes, datasets: Iterable[bytes] = (), of: Sequence[int] = (1, 2)) -> list[Row]:
    """The rows of some jobs."""
    blocks = [jobs(*of), (Kind.DATASETS, b"".join(datasets)), (Kind.PARAMS, b"".join(lines))]
    frames, _ = joined(*blocks, wanted=(Leaf.kind,))
    assert frames.keys() == {Job, Leaf}
    return frames[Leaf].rows()


def said(name: str, *lines: bytes, datasets: Iterable[bytes] = ()) -> list[tuple[str | None, bool]]:
    """What job 1 has under a name."""
    return [row[2:4] for row in leaves(*lines, datasets=datasets) if row[:2] == (1, name)]


def test_a_flat_parameter_is_one_leaf() -> None:
    assert leaves(param(1, "a", "text"), param(2, "b", "None")) == [
        (1, "a", "text", False, True),
        (2, "b", "", False, True),
    ]


def test_what_names_data_has_no_value() -> None:
    assert leaves(param(1, "a", twice(DATASETS)), param(1, "b", 12), datasets=[dataset(1, 12, "b")]) == [
        (1, "a", None, True, True),
        (1, "b", None, True, True),
    ]


def test_a_job_has_the_same_setting_once_and_one_first_row_of_each_name() -> None:
    value = twice([{"a": 1}, {"a": 2}, {"a": 1, "b": REFERENCE}, {"b": None}, {"b": REFERENCE}])
    found = leaves(param(1, "p", value), param(2, "p", value), param(1, "p|a", 2))
    for job in (1, 2):
        rows = [row[1:] for row in found if row[0] == job]
        assert sorted(((row[:3]) for row in rows), key=repr) == [
            ("p", "5", False), ("p|a", "1", False), ("p|a", "2", False), ("p|b", "", False), ("p|b", None, True),
        ]  # fmt: skip
        firsts = [row[0] for row in rows if row[3]]
        assert sorted(firsts) == ["p", "p|a", "p|b"]
        for name in firsts:
            assert next(row for row in rows if row[0] == name)[3]


def test_of_a_parameter_that_comes_twice_the_last_one_has_leaves() -> None:
    first, last = param(1, "p", twice({"a": 1, "b": 1})), param(1, "p", twice({"a": 2}))
    assert leaves(first, param(2, "p", 5), last) == [(1, "p|a", "2", False, True), (2, "p", "5", False, True)]
    assert leaves(first, param(1, "p", "None")) == [(1, "p", "", False, True)]


def test_orphans_have_no_leaves_and_jobs_are_in_order() -> None:
    lines = [param(number, "p", twice({"a": number})) for number in (9, 2, 7, 1)]
    assert leaves(*lines, of=(1, 2, 9)) == [
        (1, "p|a", "1", False, True),
        (2, "p|a", "2", False, True),
        (9, "p|a", "9", False, True),
    ]
    assert leaves() == []
    assert leaves(*lines, of=()) == []


@pytest.mark.parametrize("name", ["c|in", "c|in1", "c|in12"])
def test_the_bare_id_of_an_input_of_the_same_nested_name_names_data(name: str) -> None:
    lines = param(1, "c", twice({"in": "12", "x": 12})), param(2, "c", twice({"in": "12"}))
    inputs = [dataset(1, 12, name), dataset(1, 12, "c|in", "output")]
    assert said("c|in", *lines, datasets=inputs) == [(None, True)]
    assert said("c|x", *lines, datasets=inputs) == [("12", False)]
    assert leaves(*lines, datasets=inputs)[-1] == (2, "c|in", "12", False, True)


def test_the_datasets_of_a_repeat_are_numbered_before_the_bar() -> None:
    line = param(1, "q", twice([{"in": 11}, {"in": 12}, {"in": 13}]))
    assert said("q|in", line, datasets=[dataset(1, 11, "q_0|in"), dataset(1, 12, "q_1|in2")]) == [
        (None, True), ("13", False)
    ]  # fmt: skip
    deep = param(1, "a", twice([{"b": [{"in": "[11, 12]"}]}]))
    assert said("a|b|in", deep, datasets=[dataset(1, 11, "a_0|b_0|in"), dataset(1, 12, "a_0|b_0|in")]) == [(None, True)]


def test_a_bare_id_and_a_reference_say_the_same() -> None:
    line = param(1, "p", twice([{"in": 11}, {"in": REFERENCE}, {"in": None}]))
    found = leaves(line, datasets=[dataset(1, 11, "p_0|in")])
    assert sorted((row[1:4] for row in found), key=repr) == [
        ("p", "3", False),
        ("p|in", "", False),
        ("p|in", None, True),
    ]
    assert sum(row[4] for row in found) == 2


def test_parameters_are_whole_beside_their_leaves() -> None:
    text = {"b": [1, {"c": None}], "a": REFERENCE}
    frames, _ = joined(jobs(1), (Kind.PARAMS, param(1, "p", twice(text))), wanted=(Param.kind, Leaf.kind))
    whole = json.dumps(text, sort_keys=True, separators=(",", ":"))
    assert frames[Param].rows() == [(1, "p", whole, False)]
    assert frames[Leaf].height == 4


@examples(150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3]), st.sampled_from(["p", "q", "p|a"]), VALUES | st.sampled_from([11, "[12,11]"])
        ),
        max_size=8,
    ),
    st.lists(
        st.tuples(st.sampled_from([1, 2]), st.sampled_from([11, 12]), st.sampled_from(["p", "p1", "q|id"])), max_size=4
    ),
)
def test_leaves_are_those_that_plain_python_finds(
    drawn: list[tuple[int, str, Any]], inputs: list[tuple[int, int, str]]
) -> None:
    last = {(number, name): utf8(twice(value)).decode() for number, name, value in drawn}
    expected = set()
    for (number, name), raw in last.items():
        for leaf, value, names_data in unfolded(name, raw):
            ids = {"11": {11}, "12": {12}, "[12,11]": {11, 12}, "[11]": {11}, "[12]": {12}}.get(value or "", set())
            known = {one for job, one, place in inputs if job == number and place.rstrip("1") == leaf}
            is_bare = bool(ids) and ids <= known
            if number < 3:
                expected.add((number, leaf, None if is_bare or names_data else value or "", names_data or is_bare))
    lines = [param(number, name, utf8(twice(value)).decode()) for number, name, value in drawn]
    found = leaves(*lines, datasets=[dataset(*one) for one in inputs])
    assert {row[:4] for row in found} == expected
    assert len(found) == len(expected)
    assert sum(row[4] for row in found) == len({row[:2] for row in found})
