"""A range of a sorted file is the lines that a filter over all of its lines keeps."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.documents.sorted_file import SortedFile
from grt_batch.schema.escapes import escape

WORD = st.text(st.sampled_from("ab\t\\é|"), max_size=3)
PAIR = st.tuples(WORD, WORD)


def line(row: tuple[str, str]) -> bytes:
    return "\t".join((*map(escape, row), "a value\n")).encode()


@examples(200)
@given(st.lists(PAIR).map(sorted), PAIR, PAIR, st.integers(1, 2))
def test_a_range_is_what_a_filter_keeps(
    rows: list[tuple[str, str]], one: tuple[str, str], other: tuple[str, str], columns: int
) -> None:
    low, high = sorted((one[:columns], other[:columns]))
    with NamedTemporaryFile() as rewritten:
        rewritten.write(b"a\tb\tvalue\n" + b"".join(map(line, rows)))
        rewritten.flush()
        with SortedFile(Path(rewritten.name)) as file:
            assert file.lines(low, high) == b"".join(line(row) for row in rows if low <= row[:columns] <= high)


def test_a_file_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    with SortedFile(tmp_path / "none.tsv") as file:
        assert file.lines(("a",), ("z",)) == b""
