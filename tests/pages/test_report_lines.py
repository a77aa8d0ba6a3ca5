"""Lines are chosen as if each were split."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.pages import report_lines
from grt_batch.pages.report_lines import Block, Where, blocks
from grt_batch.schema.escapes import escape

COLUMNS = ("instance", "tool", "jobs")
FIELDS = st.sampled_from(["", "*", "é", "a\tb", "\\", "long enough", "long enoug\n"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=3
)
WHERE = st.dictionaries(st.sampled_from(COLUMNS), st.lists(FIELDS, max_size=2))


def written(rows: list[tuple[str, ...]]) -> list[bytes]:
    return ["\t".join(map(escape, row)).encode() for row in rows]


@given(st.lists(st.tuples(FIELDS, FIELDS, FIELDS), min_size=1), st.lists(WHERE, max_size=2))
def test_matching_lines(rows: list[tuple[str, ...]], wheres: list[Where]) -> None:
    block = Block(b"".join(line + b"\n" for line in written(rows)), COLUMNS)
    wanted = [
        row
        for row in rows
        if not wheres
        or any(all(row[COLUMNS.index(name)] in texts for name, texts in where.items()) for where in wheres)
    ]
    found = block.matching(wheres)
    for first in range(3):
        for end in range(first + 1, 4):
            assert block.texts(found, first, end) == written([row[first:end] for row in wanted])
            assert block.fields(found, COLUMNS[first:end]) == block.texts(found, first, end)
    assert block.fields(found, ["jobs", "instance"]) == written([(row[2], row[0]) for row in wanted])


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_ranges_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(report_lines, "_READ_BYTES", size)
    file = tmp_path / "file.tsv"
    file.write_bytes(b"a\tb\n1\t2\n3\t4\n55\t66\n7\t8")
    for ranges, lines in (
        ([(4, 8), (12, 18)], [b"1\t2", b"55\t66"]),
        # Of a file that somebody else has written, the last line may lack its newline.
        ([(4, 21)], [b"1\t2", b"3\t4", b"55\t66", b"7\t8"]),
        ([], []),
    ):
        found = [line for block in blocks(file, ranges, "ab") for line in block.texts(block.matching(()), 0, 2)]
        assert found == lines


def test_a_line_with_other_columns() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Block(b"1\t2\n3\n", "ab")
