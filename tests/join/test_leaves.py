"""The settings of jobs, each once for a job."""

from __future__ import annotations

from typing import Any

from grt_batch.join.child_records import attached
from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job, Leaf
from tests.join.test_child_records import dataset, jobs, joined, param


def leaves(*lines: bytes, datasets: bytes = b"") -> list[tuple[Any, ...]]:
    """The rows of job 1."""
    blocks = [jobs(1), (Kind.PARAMS, b"".join(lines)), (Kind.DATASETS, datasets)]
    frames, _ = joined(*blocks, wanted=(Leaf.kind,))
    assert frames.keys() == {Job, Leaf}
    whole = attached(frames[Job], frames[Leaf])
    assert {field.name: field.type for field in Leaf.fields()}.keys() == set(whole.columns)
    return [row[1:] for row in frames[Leaf].rows()]


def test_a_flat_parameter_is_one_leaf() -> None:
    assert leaves(param(1, "a", "text"), param(1, "b", "None")) == [
        ("a", "text", False, True),
        ("b", None, False, True),
    ]


def test_what_names_data_has_no_value() -> None:
    reference = '{"values": [{"src": "hda", "id": 5}]}'
    assert leaves(param(1, "a", reference), param(1, "b", 12), datasets=dataset(1, 12, "b")) == [
        ("a", None, True, True),
        ("b", None, True, True),
    ]
