"""What is kept secret unless the configuration says otherwise, and how passwords stay out of what the program says."""

from __future__ import annotations

PATTERNS = (
    # A URL with a user's name, or with a signature that lets whoever has it in.
    r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/?#\x22\x27<>\\]*@[^\s\x22\x27<>\\]*",
    r"(?i)\bx-(?:amz|goog)-(?:signature|credential|security-token)=[^&\s\x22\x27<>\\]+",
    # An e-mail address.
    r"[\w.%+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}",
    # A home folder, down to the user's name.
    r"(?:[/\\]+|\b)(?:home|Users)[/\\]+[^/\\\s\x22\x27,;:|<>&]+",
    # Keys: Galaxy's, those of AWS, of GitHub, GitLab, Hugging Face, OpenAI, Slack and Google, and private ones.
    r"\b[0-9a-fA-F]{32}\b",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[abeoprs]-|AIza)[\w-]{16,}",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    # Tokens: JSON Web Tokens, and those of HTTP.
    r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]+)?",
    r"(?i)\bbearer\s+[\w.~+/=-]{16,}",
)
"""Regular expressions of what is redacted wherever it stands in a value."""


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
"""Words; the value of whatever has one of them in its name is redacted."""
