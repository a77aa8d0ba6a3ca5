"""The lines of jobs, texts and datasets, each read by itself."""

from __future__ import annotations

import numpy as np
from build import examples, line
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.decode.decoder import decode
from grt_batch.kernels.members import decode_jobs, decode_texts
from grt_batch.schema.members import MOST_COLUMNS, NULL, Kind, layout_of
from grt_batch.uploads.archive import Block

SEP = ord("\t")


def room(lines: int) -> tuple[np.ndarray, ...]:
    """Arrays for two kinds of codes, the records, and the odd lines: tables, out, firsts, odd, places."""
    tables, out, firsts = np.zeros((2, 16), np.int64), np.zeros((5, lines), np.int64), np.zeros((2, lines, 4), np.int64)
    return tables, out, firsts, np.zeros((lines, 3), np.int64), np.empty((2, MOST_COLUMNS), np.int64)


def test_jobs_have_codes_for_tools_and_states_and_odd_lines_their_places() -> None:
    tool, other = ("cat1", "1.0"), ("cat1", "1.1")
    lines = [line(7, *tool, "ok", "1970-01-01 00:00:01"), line("x", *tool, "ok", "None"), line(8, *other, "ok", "None")]
    text = b"".join([*lines, line(9, *tool, "new", "None")])
    tables, out, firsts, odd, places = room(4)
    at = np.arange(5)
    counts = decode_jobs(np.frombuffer(text, np.uint8), SEP, 5, at, tables, out, firsts, odd, places)
    assert [*counts] == [3, 1, 2, 2]
    assert out[:, :3].T.tolist() == [[7, 10**6, 0, 0, 0], [8, NULL, 1, 0, 2], [9, NULL, 0, 1, 3]]
    start, end, start2, end2 = firsts[0, 1]
    assert (text[start:end], text[start2:end2]) == (b"cat1", b"1.1")
    begin, stop, number = odd[0]
    assert (text[begin : stop + 1], number) == (lines[1], 1)


def test_only_the_pairs_that_are_asked_for_have_codes() -> None:
    text = line(1, "env", "HOST", "a") + line(2, "env", "HOST", "b")
    for pairs, expected in ((0, [2, 0, 0, 0]), (1, [2, 0, 1, 0]), (2, [2, 0, 1, 2])):
        tables, out, firsts, odd, places = room(2)
        at = np.array([0, 1, 2, 3, -1])
        found = np.zeros(2, np.int64)
        data = np.frombuffer(text, np.uint8)
        assert [*decode_texts(data, SEP, 4, at, pairs, tables, out, firsts, odd, places, found)] == expected
        assert out[0].tolist() == [1, 2]


NUMBERS = ["0", "1", "007", "1234567", "12345678", "123456789", "1" * 15, "1" * 16, "1" * 19, "9" * 19]
NUMBERS += ["", "-1", "+1", "None", "x", "12x", "1234567x", "12345678x", "1 ", "1/", "1:", "\xff12"]
GOOD = ("1", "2", "bam", "3", "input1", "input")
DATASETS = st.lists(
    st.tuples(
        st.sampled_from(NUMBERS),
        st.sampled_from(NUMBERS),
        st.sampled_from(["bam", "", "None", "fastqsanger.gz"]),
        st.sampled_from(NUMBERS),
        st.sampled_from(["input1", "", "None", "a|b", "é", "x" * 80]),
        st.sampled_from(["input", "output", "inputs", "outpuz", "INPUT", "None", ""]),
    )
)


@examples(200)
@given(DATASETS)
@example([(*GOOD[:place], number, *GOOD[place + 1 :]) for place in (0, 1, 3) for number in NUMBERS])
def test_a_dataset_in_its_usual_form_is_read_like_any_other(found: list[tuple[str, ...]]) -> None:
    """With one column more, every line is taken apart; as are the last ones of a block, which end where it ends."""
    header = b"job_id\tdataset_id\textension\tfile_size\tparam_name\ttype"
    lines = [line(*fields) for fields in [*found, *[GOOD] * 4]]
    usual = decode(Block(layout_of(Kind.DATASETS, [header])[0], 0, b"".join(lines)))
    more = (text.replace(b"\n", b"\tmore\n") for text in lines)
    other = decode(Block(layout_of(Kind.DATASETS, [header + b"\tmore"])[0], 0, b"".join(more)))
    assert usual.texts == other.texts
    for name, column in other.columns.items():
        assert usual.columns[name].tolist() == column.tolist()
    assert [(reject.line, reject.reason) for reject in usual.rejects] == [(r.line, r.reason) for r in other.rejects]
