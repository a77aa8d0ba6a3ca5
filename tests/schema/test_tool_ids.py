"""Ids of tools are shortened, and never so far that two read the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.schema.tool_ids import Tool, short_names, told_apart, without_shed, without_version

SHED = "toolshed.g2.bx.psu.edu/repos"
TEST = "testtoolshed.g2.bx.psu.edu/repos"
BWA = f"{SHED}/iuc/bwa_mem2/bwa_mem2"


@pytest.mark.parametrize(
    ("tool_id", "short"),
    [
        (f"{BWA}/2.2.1+galaxy1", "iuc/bwa_mem2/bwa_mem2/2.2.1+galaxy1"),
        (BWA, "iuc/bwa_mem2/bwa_mem2"),
        ("localhost:9009/shed/repos/a b/c/d\n/1", "a b/c/d\n/1"),
        ("Cut1", "Cut1"),
        ("repos/iuc/bwa_mem2/bwa", "repos/iuc/bwa_mem2/bwa"),
        (f"{BWA}/2/3", f"{BWA}/2/3"),
        ("", ""),
    ],
)
def test_a_short_id_is_without_the_tool_shed(tool_id: str, short: str) -> None:
    assert without_shed([Tool(tool_id)]) == {Tool(tool_id): short}


def test_a_name_is_one_part_of_the_id() -> None:
    tools = [Tool(f"{BWA}/2.2.1+galaxy1"), Tool(BWA), Tool("Cut1")]
    assert list(short_names(tools).values()) == ["bwa_mem2", "bwa_mem2", "Cut1"]


def test_the_id_of_all_versions() -> None:
    ids = (f"{BWA}/2.2.1+galaxy1", f"{BWA}/", BWA, "Cut1", "a/b", f"{BWA}/2/3")
    assert [without_version(tool_id) for tool_id in ids] == [BWA, BWA, BWA, "Cut1", "a/b", f"{BWA}/2/3"]


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        ([], []),
        ([BWA, "Cut1", ""], ["iuc/bwa_mem2", "Cut1", ""]),
        ([BWA, f"{SHED}/devteam/bwa/bwa_mem2"], ["iuc/bwa_mem2", "devteam/bwa_mem2"]),
        ([BWA, f"{SHED}/iuc/other/bwa_mem2"], ["iuc/bwa_mem2/bwa_mem2", "iuc/other/bwa_mem2"]),
        (
            [BWA, f"{TEST}/iuc/bwa_mem2/bwa_mem2"],
            ["toolshed.g2.bx.psu.edu/iuc/bwa_mem2", "testtoolshed.g2.bx.psu.edu/iuc/bwa_mem2"],
        ),
        ([f"{BWA}/1", f"{BWA}/2"], ["iuc/bwa_mem2/1", "iuc/bwa_mem2/2"]),
        ([f"{BWA}/1", BWA], ["iuc/bwa_mem2/1", "iuc/bwa_mem2"]),
        ([BWA, "iuc/bwa_mem2"], [BWA, "iuc/bwa_mem2"]),
        ([f"{BWA}/1", f"{BWA}/2", "iuc/bwa_mem2/1"], [f"{BWA}/1", "iuc/bwa_mem2/2", "iuc/bwa_mem2/1"]),
    ],
)
def test_an_id_is_cut_to_what_tells_it_apart(ids: list[str], shown: list[str]) -> None:
    tools = list(map(Tool, ids))
    assert told_apart(tools) == dict(zip(tools, shown, strict=True))


def test_a_version_beside_the_id_tells_apart() -> None:
    tools = [Tool(f"{BWA}/1", "1"), Tool(f"{BWA}/2", "2"), Tool(f"{TEST}/iuc/bwa_mem2/bwa_mem2", "3")]
    assert set(told_apart(tools).values()) == {"iuc/bwa_mem2"}
    same = [Tool(f"{BWA}/1", "1"), Tool(f"{BWA}/1+galaxy0", "1"), Tool(f"{BWA}/2", "2")]
    assert list(told_apart(same).values()) == ["iuc/bwa_mem2/1", "iuc/bwa_mem2/1+galaxy0", "iuc/bwa_mem2"]


PIECES = st.sampled_from(["a", "b", "repos", ""])
TOOLS = st.builds(Tool, st.lists(PIECES, min_size=1, max_size=7).map("/".join), st.sampled_from(["1", "2"]))


@given(tools=st.lists(TOOLS, max_size=12))
@example(tools=[Tool(f"s/repos/a/{middle}/b{end}") for middle in "ab" for end in ("", "/", "/1")])
@example(tools=[Tool("s/repos/a/b/a"), Tool("a/a"), Tool("t/repos/a/b/a"), Tool("s/a/a")])
def test_no_two_tools_read_the_same(tools: list[Tool]) -> None:
    shown = told_apart([*tools, *tools[:3]])
    assert set(shown) == set(tools)
    assert len({(text, tool.version) for tool, text in shown.items()}) == len(shown)
    assert all(len(text) <= len(tool.tool_id) for tool, text in shown.items())
