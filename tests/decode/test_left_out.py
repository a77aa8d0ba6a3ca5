"""What Galaxy adds by itself is left out of the leaves, and counted."""

from __future__ import annotations

import json

import pytest
from build import line

from grt_batch.core.config import Config
from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.left_out import without
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import Leaf, Param
from grt_batch.uploads.archive import Block
from tests.decode.test_coded_leaves import records

PATTERNS = Config().left_out_params


def decoded(*params: tuple[str, object]) -> Decoded:
    text = b"".join(line(number, name, json.dumps({name: value})) for number, (name, value) in enumerate(params))
    return decode(Block(layout_of(Kind.PARAMS, [b"job_id\tname\tvalue"])[0], 0, text), (Param.kind, Leaf.kind))


def test_names_with_such_a_piece_are_left_out_and_counted() -> None:
    block = decoded(
        ("__page__", 1),
        ("a", {"__current_case__": 0, "b": {"__x": {"y": 1}, "_z__": 2}}),
        ("chromInfo", "x"),
        ("chromInfo2", "y"),
        ("c", [{"__index__": 0, "d": 1}, {"__index__": 1, "d": 1}]),
    )
    found = without(block, PATTERNS)
    assert [[leaf[:2] for leaf in some] for some in records(found)] == [
        [],
        [("a|b|_z__", "2")],
        [],
        [("chromInfo2", "y")],
        [("c|d", "1"), ("c", "2")],
    ]
    assert found.left_out == 6
    assert {name for name, *_ in found.texts["leaf"]} == {"a|b|_z__", "chromInfo2", "c|d", "c"}
    assert found.texts["param"] is block.texts["param"]
    assert found.columns["param"] is block.columns["param"]


@pytest.mark.parametrize("patterns", [(), ("chrom",), ("info*",), ("b",)])
def test_patterns_are_of_whole_pieces(patterns: tuple[str, ...]) -> None:
    block = decoded(("chromInfo", 1), ("ab", {"cb": 2}))
    assert without(block, patterns) is block


def test_a_pattern_may_be_several_things() -> None:
    block = decoded(("a1", 1), ("b", 2), ("c", {"a2": 3, "d": 4}))
    assert [len(some) for some in records(without(block, ("a?", "d")))] == [0, 1, 0]


def test_a_block_without_leaves_is_as_before() -> None:
    block = decode(Block(layout_of(Kind.PARAMS, [b"job_id\tname\tvalue"])[0], 0, line(1, "__a", 1)), (Param.kind,))
    assert without(block, PATTERNS) is block
