"""A text begins behind its byte order mark, and one of another encoding is told apart."""

from __future__ import annotations

import codecs

import pytest

from grt_batch.core.byte_order_mark import mark_size, without_mark


@pytest.mark.parametrize("text", [b"", b"{}", b"\xef\xbb", b"\xff", b"\xfe", "é".encode()])
def test_a_text_without_a_mark_stays_as_it_is(text: bytes) -> None:
    assert (mark_size(text), without_mark(text)) == (0, text)
    assert without_mark(codecs.BOM_UTF8 + text) == text


def test_only_the_first_mark_is_one() -> None:
    assert without_mark(codecs.BOM_UTF8 * 2) == codecs.BOM_UTF8


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_another_encoding_is_named(encoding: str) -> None:
    marked = "" if encoding == "utf-16" else "\ufeff"
    with pytest.raises(ValueError, match=f"written in {encoding[:6].upper()} instead of UTF-8"):
        mark_size((marked + "id").encode(encoding))
