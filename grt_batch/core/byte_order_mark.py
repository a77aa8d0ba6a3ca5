"""The byte order mark that some editors and systems write before a text, where every text here is UTF-8."""

from __future__ import annotations

import codecs

# UTF-32 first: its mark begins with that of UTF-16.
_OTHERS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def mark_size(text: bytes) -> int:
    """Return the size of the mark that a text begins with, 0 for none; its first four bytes suffice.

    Raises ValueError for a mark of another encoding.
    """
    for mark, encoding in _OTHERS.items():
        if text.startswith(mark):
            raise ValueError(f"written in {encoding} instead of UTF-8")
    return len(codecs.BOM_UTF8) if text.startswith(codecs.BOM_UTF8) else 0


def without_mark(text: bytes) -> bytes:
    """Return a text without its mark. Raises ValueError for a mark of another encoding."""
    return text[mark_size(text) :]
