"""How a published report differs from the computed one."""

from __future__ import annotations

from collections import Counter

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.modules.reports.tools import TOOL_USAGE
from grt_batch.verify.comparison import SAME, compare_reports, differing, differing_numbers

HEADER = b"\t".join(column.name.encode() for column in TOOL_USAGE.columns) + b"\n"
ROWS = [b"a\tall\tt\t%d\tx\n" % version for version in range(4)]
ALL = b"".join(ROWS)


@pytest.mark.parametrize(
    ("found", "rows", "version"),
    [
        (HEADER, "4 rows differ", "0"),
        (HEADER + ALL.replace(b"3\tx", b"3\ty"), "1 row differs", "3"),
        (HEADER + ROWS[0] + ALL, "1 row differs", "0"),
        (HEADER + ROWS[0] + b"".join(ROWS[2:]), "1 row differs", "1"),
        (HEADER + ALL + b"?", "1 row differs", ""),
    ],
    ids=["none", "changed", "twice", "deleted", "damaged"],
)
def test_the_first_row_that_differs_is_named(found: bytes, rows: str, version: str) -> None:
    text = compare_reports(TOOL_USAGE, HEADER + ALL, found)
    assert text.startswith(f"{rows}, first instance_id=")
    assert text.endswith(f"tool_version={version!r}")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (HEADER + ALL, SAME),
        (b"", "another header"),
        (HEADER + b"".join(ROWS[::-1]), "the same rows, but not byte by byte"),
        ((HEADER + ALL)[:-1], "the same rows, but not byte by byte"),
    ],
)
def test_a_report_may_differ_without_a_row(found: bytes, verdict: str) -> None:
    assert compare_reports(TOOL_USAGE, HEADER + ALL, found) == verdict


@pytest.mark.parametrize(
    ("names", "said"),
    [([], SAME), (["b"], "1 file differs, first b"), (["b", "a", "c"], "3 files differ, first a")],
    ids=len,
)
def test_things_that_differ_are_counted(names: list[str], said: str) -> None:
    assert differing(names, "file") == said


def test_numbers_that_differ_are_named() -> None:
    assert differing_numbers([]) == SAME
    assert differing_numbers(["jobs", "bytes"]) == "differs in jobs, bytes"


LINES = st.lists(st.sampled_from(ROWS), max_size=6)


@examples(100)
@given(LINES, LINES)
def test_only_the_rows_that_differ_count(computed: list[bytes], found: list[bytes]) -> None:
    said = compare_reports(TOOL_USAGE, HEADER + b"".join(computed), HEADER + b"".join(found))
    before, after = Counter(computed), Counter(found)
    odd = len((before - after) | (after - before))
    if odd:
        assert said.startswith(f"{odd} row{'s differ' if odd > 1 else ' differs'}, first ")
    else:
        assert said == (SAME if computed == found else "the same rows, but not byte by byte")
