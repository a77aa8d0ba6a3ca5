"""The measurement of nested values measures what it says."""

from __future__ import annotations

import json

import pytest

from bench import nested
from grt_batch.decode.decoder import decode
from grt_batch.schema.records import Leaf


def test_nested_values_are_measured_beside_flat_ones(capsys: pytest.CaptureFixture[str]) -> None:
    nested.main(["--values", "20", "--rounds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 3 * len(nested.SHAPES) + len(nested.SHAPES)
    assert all("nested / flat" in line for line in lines[-len(nested.SHAPES) :])


def test_no_two_values_are_equal_and_none_is_longer() -> None:
    values = [shape.write(nested.NAME, nested.conditional(5)) for shape in nested.SHAPES.values()]
    assert nested.conditional(5) != nested.conditional(6)
    assert nested.flat(5, 100) != nested.flat(6, 100)
    assert {len(json.dumps(json.dumps(nested.flat(5, len(value) - 8)))) - len(value) for value in values} <= {-2, -1, 0}
    found = decode(nested.block_of(values), (Leaf.kind,))
    assert len(set(found.columns["leaves"].tolist())) == 1
