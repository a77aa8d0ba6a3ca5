"""The newlines of a block are counted."""

from __future__ import annotations

import numpy as np
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.kernels.fields import newlines


@examples(100)
@given(st.text("\n\x0b\x8a\x00a", max_size=9).map(lambda text: text.encode("latin-1")), st.integers(0, 700))
@example(b"\n", 9000)
@example(b"\n", 8 * 255 * 3)
@example(b"\n", 8 * 255 + 7)
def test_newlines_are_counted(text: bytes, times: int) -> None:
    assert newlines(np.frombuffer(text * times, np.uint8)) == text.count(b"\n") * times
