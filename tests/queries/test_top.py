"""The lines of a block: numbers below each other, names cut where the screen ends, and what is painted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grt_batch.core.share import SHARE
from grt_batch.queries.definitions import read
from grt_batch.queries.results import Answer
from grt_batch.queries.top import BLOCKS, Block, lines_of

USED, SLOWEST, *_ = BLOCKS
SHED = "toolshed.g2.bx.psu.edu/repos/"
COLUMNS = ["tool_id", "tool_version", "jobs", "error_rate", "core_hours", "instances"]
ANSWER = Answer(
    COLUMNS,
    [
        (f"{SHED}iuc/bwa_mem2/bwa_mem2", "*", 1_234_567, 0.001, 1234.5, 12),
        (f"{SHED}devteam/fastqc/fastqc", "*", 99, 0.25, 0.04, 3),
        ("Cut1\x1b", "*", 5, 0.5, None, 1),
        ("upload1", "*", 1, None, 0.0, 1),
    ],
    0.1,
)


def test_numbers_end_below_each_other() -> None:
    assert lines_of(USED, ANSWER, None) == [
        "Most used            jobs  failed  core hours  instances",
        "iuc/bwa_mem2    1,234,567   0.1 %       1,234         12",
        "devteam/fastqc         99    25 %        0.04          3",
        r"Cut1\x1b                5    50 %           -          1",
        "upload1                 1       -           0          1",
    ]


def test_a_narrow_screen_has_the_ends_of_names_and_the_first_columns() -> None:
    longer = replace(ANSWER, rows=[(f"{SHED}devteam/picard/picard_markdup", "*", 1, 0.1, 1.0, 1), *ANSWER.rows])
    whole = lines_of(USED, longer, None)
    assert lines_of(USED, longer, 200) == whole
    assert [line[:18] for line in lines_of(USED, longer, 60)[1:3]] == ["…am/picard_markdup", "iuc/bwa_mem2      "]
    assert [lines_of(USED, longer, width)[0].split()[2:] for width in (60, 52, 36, 27, 1)] == [
        ["jobs", "failed", "core", "hours", "instances"],
        ["jobs", "failed", "core", "hours"],
        ["jobs", "failed"],
        ["jobs"],
        ["jobs"],
    ]
    for width in (60, 52, 36, 27):
        assert {len(line) for line in lines_of(USED, longer, width)} == {width}


def test_what_fails_much_is_painted() -> None:
    painted = lines_of(USED, ANSWER, None, lambda text, style: f"<{style}>")
    assert painted == ["<title><head>", "<>", "<bad>", "<grave>", "<>"]


def test_nothing_is_said_of_nothing() -> None:
    assert lines_of(SLOWEST, Answer(["tool_id"], [], 0.1), 80) == ["Slowest", "  nothing"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.title)
def test_a_block_asks_a_query_that_has_its_parameters(block: Block) -> None:
    query = read(SHARE / "config" / "sql")[block.query]
    query.values({"instance": "*", "period": "30d", "limit": "5", **block.parameters})
