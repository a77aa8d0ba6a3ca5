"""Documents in bulk requests: some megabytes at a time, and a look at what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from grt_batch.core.errors import NoDocuments, NotLoaded
from grt_batch.documents.documents import action
from grt_batch.documents.making import files_of
from grt_batch.documents.portions import portions
from grt_batch.documents.server import BUSY, NDJSON, TRIES, Server, reason_of

REQUEST_BYTES = 10_000_000
"""The size of a request, if no document is larger."""


_BULK = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
"""Answers say of each document what is looked at, and no more."""


class Entry(NamedTuple):
    """A document to send: its id, and its two lines."""

    document_id: str
    lines: bytes


class Refusal(NamedTuple):
    """A document that the server did not take, and why."""

    document_id: str
    reason: str


def entries(folder: Path, index: str) -> Iterator[Entry]:
    """Yield the documents in the files of a folder, for an index. Raises OSError, NoDocuments for a damaged file."""
    for path in files_of(folder):
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                document = next(lines, b"")
                try:
                    document_id = orjson.loads(line)["index"]["_id"]
                    if not document.endswith(b"}\n"):
                        raise ValueError("half a document")
                except (ValueError, KeyError, TypeError):
                    what = f"{path.name} is damaged in line {2 * number + 1}"
                    raise NoDocuments(folder=folder, what=what) from None
                yield Entry(document_id, b"%b\n%b" % (action(document_id, index), document))


def requests(found: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield documents as many at a time as fit into a request."""
    return portions(found, lambda entry: len(entry.lines), REQUEST_BYTES)


def send(server: Server, together: Sequence[Entry]) -> list[Refusal]:
    """Send documents in one request, those that the server was too busy for again, and return what it refused.

    Raises NotLoaded.
    """
    refused: list[Refusal] = []
    waiting = list(together)
    for number in range(TRIES):
        answer = server.ask("POST", _BULK, b"".join(entry.lines for entry in waiting), NDJSON)
        failed = [
            (entry, status, reason)
            for entry, (status, reason) in zip(waiting, _fates(server, answer.content, len(waiting)), strict=True)
            if reason
        ]
        busy = [entry for entry, status, _ in failed if status in BUSY]
        last = number == TRIES - 1
        refused += [
            Refusal(entry.document_id, reason) for entry, status, reason in failed if last or status not in BUSY
        ]
        if last or not busy:
            break
        server.pause(number)
        waiting = busy
    return refused


def _fates(server: Server, content: Any, count: int) -> list[tuple[int, str]]:
    """Return the status of each document, and why it was refused, "" if it was not."""
    try:
        items = [item["index"] for item in content["items"]]
        fates = [(item["status"], "" if item["status"] in (200, 201) else _why(item)) for item in items]
    except (KeyError, TypeError):
        fates = []
    if len(fates) != count:
        raise NotLoaded(url=server.url, what="POST /_bulk: the answer does not say what became of each document")
    return fates


def _why(item: Any) -> str:
    return reason_of(item.get("error")) or f"status {item['status']}"
