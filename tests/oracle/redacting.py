"""What is to be redacted in the value of a parameter, by the words of the documentation: home folders, e-mail
addresses, and values of parameters that are called like a secret. The archives here have none of the rest."""

from __future__ import annotations

import re

REDACTED = "[redacted]"
SECRET = re.compile("password|token|secret", re.IGNORECASE)
PATTERNS = {
    "@": re.compile(r"""[^\s"'<>()\[\]{},;:|]+@[\w.-]+\.[a-z]+"""),
    "/": re.compile(r"""/(home|Users)/[^/\s"',:;]+"""),
}
"""By a sign without which there is no match, and no need to look at every beginning of a long text."""


def redact(name: str | None, value: str) -> str:
    """A value without what is to be redacted."""
    if value and name and any(map(SECRET.fullmatch, name.split("|"))):
        return REDACTED
    return redact_patterns(value)


def redact_patterns(value: str) -> str:
    """A text without what is to be redacted wherever it stands."""
    for sign, pattern in PATTERNS.items():
        value = pattern.sub(REDACTED, value) if sign in value else value
    return value
