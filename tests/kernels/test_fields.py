"""The newlines of a block are counted, and the first and last are found."""

from __future__ import annotations

import numpy as np
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.kernels.fields import line_ends, newlines


@examples(100)
@given(st.text("\n\x0b\x8a\x00a", max_size=9).map(lambda text: text.encode("latin-1")), st.integers(0, 700))
@example(b"\n", 9000)
@example(b"\n", 8 * 255 * 3)
@example(b"\n", 8 * 255 + 7)
def test_newlines_are_counted(text: bytes, times: int) -> None:
    whole = text * times
    data = np.frombuffer(whole, np.uint8)
    assert newlines(data) == whole.count(b"\n")
    assert line_ends(data) == (whole.count(b"\n"), whole.find(b"\n") + 1, whole.rfind(b"\n") + 1)
