"""How a text is written in a field of a tab-separated file."""

from __future__ import annotations

ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
"""The characters that are written otherwise, the backslash first, as in PostgreSQL's COPY."""


def escape(text: str) -> str:
    """Escape a text for a TSV file."""
    return text.translate({ord(character): escaped for character, escaped in ESCAPES.items()})
