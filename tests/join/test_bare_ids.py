"""Parameters whose value is the bare id of an input: it names data, and says nothing else."""

from __future__ import annotations

import re

import pytest
from build import examples, line
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job, Param
from tests.join.test_child_records import dataset, jobs, joined, param, params


def flags(name: str, value: object, *inputs: bytes) -> bool:
    """Whether this parameter of job 1, among others, names data."""
    others = [param(1, "other", 12), param(2, name, "text")]
    found = params(*others, param(1, name, value), datasets=inputs, of=(1, 2))
    assert [row[3] for row in found if row[:2] != (1, name)] == [False, False]
    (names_data,) = (row[3] for row in found if row[:2] == (1, name))
    assert isinstance(names_data, bool)
    return names_data


@pytest.mark.parametrize("name", ["input", "input1", "input3", "input12"])
def test_the_bare_id_of_an_input_of_the_same_name_names_data(name: str) -> None:
    assert flags("input", 12, dataset(1, 12, name))
    assert flags("input", '"12"', dataset(1, 11, "input"), dataset(1, 12, name))


@pytest.mark.parametrize(
    "stranger",
    [
        dataset(2, 12),
        dataset(3, 12),
        dataset(1, 12, direction="output"),
        dataset(1, 12, "input_file"),
        dataset(1, 12, "input1x"),
        dataset(1, 12, "an input"),
        dataset(1, 12, "1"),
        dataset(1, 12, "other_input"),
        dataset(1, 12, "None"),
        dataset(1, 13),
        dataset(1, "None"),
        dataset(1, -12),
        b"",
    ],
)
def test_the_id_of_any_other_dataset_is_a_number(stranger: bytes) -> None:
    assert not flags("input", 12, stranger)
    assert flags("input", 12, stranger, dataset(1, 12))


def test_a_name_that_is_the_numbered_one_or_longer_has_no_bare_ids() -> None:
    assert not flags("input1", 12, dataset(1, 12, "input"))
    assert not flags("input1", 12, dataset(1, 12, "input2"))
    assert flags("input1", 12, dataset(1, 12, "input1"))
    assert flags("input1", 12, dataset(1, 12, "input12"))


def test_a_name_is_no_pattern() -> None:
    assert not flags("in.ut|(x", 12, dataset(1, 12, "input"))
    assert flags("in.ut|(x", 12, dataset(1, 12, "in.ut|(x2"))


@pytest.mark.parametrize(
    "value", ["12,13", "12, 13", "[12,13]", "[12, 13]", "13,12", "12,13,12", '{"input": [12, 13]}']
)
def test_a_list_of_ids_names_data_when_all_are_inputs(value: str) -> None:
    both = dataset(1, 12, "input1"), dataset(1, 13, "input2")
    assert flags("input", value, *both)
    assert flags("input", value, *both, *both)
    assert not flags("input", value, both[0])
    assert not flags("input", value, both[0], dataset(1, 13, "input2", "output"))
    assert not flags("input", value, both[0], dataset(2, 13, "input2"))
    assert not flags("input", value, both[0], dataset(1, 13, "reference"))


@pytest.mark.parametrize(
    "value",
    ["", ",", "[]", "12,", ",12", "12 13", "12;13", "12,None", "-12", "12.0", "1e1", " 12", "12 ", "12,13x", "{12}"],
)
def test_what_is_no_list_of_ids_names_no_data(value: str) -> None:
    assert not flags("input", value, dataset(1, 12, "input1"), dataset(1, 13, "input2"), dataset(1, 1, "input3"))


@pytest.mark.parametrize("value", ["1" * 19, "9" * 400, "[[12]]", '["12"]', "None"])
def test_what_is_too_long_nested_or_null_names_no_data(value: str) -> None:
    assert not flags("input", value, dataset(1, 12), dataset(1, int("1" * 19)))


def test_of_a_repeated_parameter_the_last_value_says_whether_it_names_data() -> None:
    assert params(param(1, "input", 12), param(1, "input", 13), datasets=[dataset(1, 12)]) == [("input", "13", False)]
    assert params(param(1, "input", 13), param(1, "input", 12), datasets=[dataset(1, 12)]) == [("input", "12", True)]


def test_bare_ids_are_known_though_no_datasets_are_wanted() -> None:
    blocks = [(Kind.PARAMS, param(1, "input", 12)), (Kind.DATASETS, dataset(1, 12)), jobs(1)]
    frames, _ = joined(*blocks, wanted=(Param.kind,))
    assert frames.keys() == {Job, Param}
    assert frames[Param].rows() == [(1, "input", "12", True)]


IDS, PLACES = st.sampled_from([1, 2, 12, 13]), st.sampled_from(["input", "input1", "input12", "in", "", "1", "None"])


@examples(60)
@given(
    given_params=st.lists(
        st.tuples(
            st.sampled_from([1, 2]),
            PLACES,
            st.one_of(IDS.map(str), st.lists(IDS, min_size=1, max_size=3).map(str), st.just("None")),
        ),
        max_size=8,
    ),
    given_datasets=st.lists(
        st.tuples(st.sampled_from([1, 2, 3]), IDS, PLACES, st.sampled_from(["input", "input", "output"])), max_size=12
    ),
)
def test_bare_ids_are_those_that_plain_python_finds(
    given_params: list[tuple[int, str, str]], given_datasets: list[tuple[int, int, str, str]]
) -> None:
    def names_data(number: int, name: str, value: str) -> bool:
        ids = [int(digits) for digits in re.findall(r"\d+", value)]
        inputs = {
            identity
            for owner, identity, place, direction in given_datasets
            if (owner, direction) == (number, "input")
            if place != "None" and re.fullmatch(re.escape(name) + r"\d*", place)
        }
        return bool(ids) and inputs.issuperset(ids)

    last: dict[tuple[int, str], str] = {}
    for number, name, value in given_params:
        name = "" if name == "None" else name  # noqa: PLW2901
        last.pop((number, name), None)
        last[number, name] = value
    expected = [
        (number, name, None if value == "None" else value.replace(" ", ""), names_data(number, name, value))
        for (number, name), value in sorted(last.items(), key=lambda item: item[0][0])
    ]
    text = b"".join(param(*drawn) for drawn in given_params)
    files = b"".join(dataset(*drawn) for drawn in given_datasets)
    found = joined(jobs(1, 2), (Kind.PARAMS, text), (Kind.DATASETS, files))[0][Param].rows()
    assert [(*row[:2], row[2] and row[2].replace(" ", ""), row[3]) for row in found] == expected


def test_digits_of_other_scripts_are_no_ids() -> None:
    frames, _ = joined(
        (Kind.JOBS, line(1, "Cut1", "1.0", "ok", "2018-03-01 15:03:43")),
        (Kind.PARAMS, line(1, "input", "١٢")),
        (Kind.DATASETS, line(1, 12, "bam", 5, "input", "input")),
    )
    assert frames[Param].select("value", "names_data").rows() == [("١٢", False)]
