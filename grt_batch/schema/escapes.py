"""How a text is written in a field of a tab-separated file."""

from __future__ import annotations

import re

ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
"""The characters that are written otherwise, the backslash first, as in PostgreSQL's COPY."""


def escape(text: str) -> str:
    """Escape a text for a TSV file."""
    return text.translate({ord(character): escaped for character, escaped in ESCAPES.items()})


_WRITTEN = {escaped: character for character, escaped in ESCAPES.items()}


_ESCAPE = re.compile(r"\\[\\tnr]")


def unescape(text: str) -> str:
    """Return the text that `escape` escaped."""
    return _ESCAPE.sub(lambda found: _WRITTEN[found[0]], text) if "\\" in text else text
