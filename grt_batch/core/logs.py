"""The log: one line an event on stderr, with the run, the rank, its role and, if there is one, the instance."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime

import orjson

logger = logging.getLogger("grt_batch")


class _Formatter(logging.Formatter):
    def __init__(self, form: str, run_id: str, rank: int | str, role: str) -> None:
        super().__init__()
        self._json = form == "json"
        self._fields = {"run": run_id, "rank": rank, "role": role}

    def format(self, record: logging.LogRecord) -> str:
        message = without_passwords(record.getMessage())
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        instance = getattr(record, "instance", None)
        if self._json:
            fields = {"time": moment, "level": record.levelname.lower(), **self._fields, "instance": instance}
            return orjson.dumps({**fields, "message": message}).decode()
        place = " ".join(
            f"{name}={value}" for name, value in {**self._fields, "instance": instance}.items() if value != ""
        )
        place = place.removesuffix(" instance=None")
        return f"{moment} {record.levelname.lower()} {place}: {message}"


def set_up(form: str, run_id: str, rank: int | str, role: str) -> None:
    """Send the log of this process to stderr, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(form, run_id, rank, role))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


_PASSWORDS = (
    # In a URL, as libpq reads it: up to the @ before the first slash.
    (re.compile(r"(://[^\s:/@'\"]*):[^\s/'\"]*@"), r"\1@"),
    # In a URL, with a slash in the password.
    (re.compile(r"(://[^\s:/@'\"]*):(?!\d+/)[^\s'\"]*@"), r"\1@"),
    # In the query of a URL.
    (re.compile(r"([?&])(?:ssl)?password=[^\s&'\"]*&"), r"\1"),
    (re.compile(r"[?&](?:ssl)?password=[^\s&'\"]*"), ""),
    # In a connection string.
    (re.compile(r"(?i)\s*\b(?:ssl)?password\s*=\s*(?:'(?:[^'\\]|\\.)*'|[^\s'\"]+)"), ""),
)


def without_passwords(text: str) -> str:
    """Return a text without the passwords in its URLs and its connection strings of libpq."""
    for pattern, rest in _PASSWORDS:
        text = pattern.sub(rest, text)
    return text
