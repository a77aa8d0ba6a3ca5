"""The lines of jobs, texts and datasets, each read by itself."""

from __future__ import annotations

from build import examples, line
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.decode.decoder import decode
from grt_batch.schema.members import Kind, layout_of
from grt_batch.uploads.archive import Block

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
