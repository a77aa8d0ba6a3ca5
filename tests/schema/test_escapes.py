"""A text in a field of a tab-separated file: on one line, in one field, and read back as it was."""

from __future__ import annotations

from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.schema.escapes import ESCAPES, escape, unescape

TEXT = st.text(st.sampled_from([*ESCAPES, "t", "n", "r", "N", "é", " "])) | st.text()


def replaced(text: str) -> str:
    """Escaped by one replacement after the other, in the order of ESCAPES."""
    for character, escaped in ESCAPES.items():
        text = text.replace(character, escaped)
    return text


@examples(150)
@given(TEXT)
@example("\\t\t")
@example("\\")
def test_an_escaped_text_has_no_separator_and_comes_back(text: str) -> None:
    escaped = escape(text)
    assert not set("\t\n\r") & set(escaped)
    assert unescape(escaped) == text


@examples(150)
@given(TEXT)
def test_the_escapes_can_be_replaced_one_after_the_other(text: str) -> None:
    """The backslash is the first, so no escape is escaped again."""
    assert escape(text) == replaced(text)
