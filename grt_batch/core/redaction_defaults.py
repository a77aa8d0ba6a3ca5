"""The defaults of redact_patterns and redact_names."""

from __future__ import annotations

PATTERNS = (
    # A URL with the name of a user, or with a signature that grants access.
    r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/?#\x22\x27<>\\]*@[^\s\x22\x27<>\\]*",
    r"(?i)\bx-(?:amz|goog)-(?:signature|credential|security-token)=[^&\s\x22\x27<>\\]+",
    # An e-mail address.
    r"[\w.%+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}",
    # A home folder, up to the user's name.
    r"(?:[/\\]+|\b)(?:home|Users)[/\\]+[^/\\\s\x22\x27,;:|<>&]+",
    # Keys of Galaxy, AWS, GitHub, GitLab, Hugging Face, OpenAI, Slack and Google, and private keys.
    r"\b[0-9a-fA-F]{32}\b",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[abeoprs]-|AIza)[\w-]{16,}",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    # JSON Web Tokens, and bearer tokens of HTTP.
    r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]+)?",
    r"(?i)\bbearer\s+[\w.~+/=-]{16,}",
)
"""Regular expressions; what they match anywhere in a value is redacted."""


NAMES = (
    "password",
    "passwd",
    "passphrase",
    "api_key",
    "access_key",
    "private_key",
    "secret",
    "token",
    "credential",
    "credentials",
    "authorization",
    "cookie",
)
"""Words; a value whose name contains one of them is redacted."""
