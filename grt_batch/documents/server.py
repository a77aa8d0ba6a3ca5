"""An OpenSearch or Elasticsearch over HTTP: one request after the other, again where the server is busy or was lost."""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import orjson

from grt_batch.core.errors import BadArguments, NotLoaded, printable

JSON, NDJSON = "application/json", "application/x-ndjson"

BUSY = frozenset({429, 502, 503, 504})
"""The codes of answers after which the same request may be sent again."""

TRIES = 6
"""How often a request is sent, at most."""

_PATIENCE = 60.0
"""Seconds that the server may be silent."""

_LONGEST_PAUSE = 60.0

_REASON_LENGTH = 300


@dataclass(frozen=True)
class Answer:
    """The code of an answer, and its JSON, None where it is none."""

    code: int
    content: Any = None


class Server:
    """The server at a URL, in a `with` block; `key` is `<user>:<password>`, if there is one, as in a URL."""

    def __init__(self, url: str, key: str | None = None, wait: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet. Raises BadArguments."""
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise _bad(f"its address cannot be read: {error}") from None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise _bad("its address is not like https://host:9200")
        if parts.username is not None:
            if key is not None:
                raise _bad("--key-file and the URL both have a user")
            key = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        place = f"[{host}]" if ":" in host else host
        self._prefix = parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{place}{f':{port}' if port else ''}{self._prefix}"
        self._headers = {"Authorization": f"Basic {b64encode(key.encode()).decode()}"} if key else {}
        self._wait = wait
        self._link = (
            HTTPSConnection(host, port, timeout=_PATIENCE, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(host, port, timeout=_PATIENCE)
        )
        self._reached = False

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.close()

    def ask(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        kind: str = JSON,
        *,
        expected: Collection[int] = (200, 201),
    ) -> Answer:
        """Send a request, up to TRIES times, and return the answer, whose code is `expected`. Raises NotLoaded."""
        for number in range(TRIES):
            asked_to_wait = ""
            try:
                answer, asked_to_wait = self._attempt(method, path, content, kind)
                problem = "" if answer.code in expected else f"{answer.code} {_reason(answer.content)}".rstrip()
                again = answer.code in BUSY
            except (OSError, HTTPException) as error:
                self._link.close()
                problem = str(error) or type(error).__name__
                # A server that was never there is no server that is just being started again.
                again = self._reached and not isinstance(error, ssl.SSLCertVerificationError)
            if not problem:
                return answer
            if not again or number == TRIES - 1:
                break
            self.pause(number, asked_to_wait)
        raise NotLoaded(url=self.url, what=f"{method} {path.partition('?')[0]}: {printable(problem)}")

    def pause(self, number: int, asked_to_wait: str = "") -> None:
        """Wait before the next try: as long as the server says in seconds, or twice as long as the last time."""
        self._wait(min(float(asked_to_wait) if asked_to_wait.isdecimal() else 2.0**number, _LONGEST_PAUSE))

    def _attempt(self, method: str, path: str, content: bytes | None, kind: str) -> tuple[Answer, str]:
        headers = {**self._headers, **({"Content-Type": kind} if content is not None else {})}
        self._link.request(method, f"{self._prefix}{path}", content, headers)
        reply = self._link.getresponse()
        self._reached = True
        body = reply.read()
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError:
            said = None
        return Answer(reply.status, said), reply.getheader("Retry-After", "")


def reason_of(error: Any) -> str:
    """Return what the server says of an error, on one line."""
    if isinstance(error, dict):
        error = ": ".join(str(error[name]) for name in ("type", "reason") if error.get(name))
    return printable(" ".join(str(error or "").split()))[:_REASON_LENGTH]


def _reason(content: Any) -> str:
    return reason_of(content.get("error")) if isinstance(content, dict) else ""


def _bad(what: str) -> BadArguments:
    return BadArguments(command="documents", what=f"the server of documents: {what}")
