"""Documents brought into a server: into a new index, which an alias stands for once all of them are there.

So readers see all old documents or all new ones, and none that is no longer made. The index has the as-of date and the
key of its documents in its name: loading the same again replaces each document by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from grt_batch.core.errors import NoDocuments, NotLoaded
from grt_batch.documents.bulk import Refusal, entries, requests, send
from grt_batch.documents.making import MAPPING, files_of
from grt_batch.documents.server import Server
from grt_batch.sinks.made_folder import KEY, key_of

_KEY_DIGITS = 8

_MADE_BY_A_LOAD = rf"-\d{{4}}-\d\d-\d\d-[0-9a-f]{{{_KEY_DIGITS}}}"
"""What follows the alias in the name of an index."""


@dataclass
class Loaded:
    """What a load did: the index, the documents in it, those that were refused with the first of them, and why earlier
    indices could not be deleted, by their names."""

    index: str
    documents: int = 0
    refused: int = 0
    first: Refusal | None = None
    left: dict[str, str] = field(default_factory=dict)


def load(folder: Path, as_of: str, server: Server, alias: str) -> Loaded:
    """Load the documents of a folder, let the alias stand for them, and delete the indices of earlier loads. The day
    `as_of` is like 2024-06-30.

    Raises NoDocuments, and NotLoaded where nothing was loaded: then the alias is as it was.
    """
    files_of(folder)
    key = key_of(folder)
    if not key:
        raise NoDocuments(folder=folder, what=f"{KEY} is missing")
    done = Loaded(f"{alias}-{as_of}-{key[:_KEY_DIGITS]}")
    if not _holders(server, alias) and _exists(server, alias):
        what = f"{alias} is an index there, which no alias can be called: delete it, or give another --index"
        raise NotLoaded(url=server.url, what=what)
    new = _create(server, done.index, (folder / MAPPING).read_bytes())
    for together in requests(entries(folder, done.index)):
        refused = send(server, together)
        done.documents += len(together) - len(refused)
        done.refused += len(refused)
        done.first = done.first or next(iter(refused), None)
    if done.first and not done.documents:
        if new:
            server.ask("DELETE", f"/{done.index}")
        document_id, reason = done.first
        raise NotLoaded(url=server.url, what=f"all were refused, the first, {document_id}, for {reason}")
    server.ask("POST", f"/{done.index}/_refresh")
    _switch(server, alias, done.index)
    done.left = _delete(server, _earlier(server, alias, done.index))
    return done


def _holders(server: Server, alias: str) -> list[str]:
    """Return the indices that the alias stands for."""
    answer = server.ask("GET", f"/_alias/{alias}", expected=(200, 404))
    return sorted(answer.content) if answer.code == 200 and isinstance(answer.content, dict) else []


def _exists(server: Server, index: str) -> bool:
    return server.ask("HEAD", f"/{index}", expected=(200, 404)).code == 200


def _create(server: Server, index: str, mapping: bytes) -> bool:
    """Make an index, and return whether it is new: the same documents may have been loaded before."""
    if _exists(server, index):
        return False
    try:
        server.ask("PUT", f"/{index}", mapping)
    except NotLoaded:
        # Where the first answer was lost, the second try finds it made.
        if not _exists(server, index):
            raise
    return True


def _switch(server: Server, alias: str, index: str) -> None:
    """Let the alias stand for one index alone, in one step."""
    before = _holders(server, alias)
    if before == [index]:
        return
    actions = [{"remove": {"index": other, "alias": alias}} for other in before if other != index]
    actions.append({"add": {"index": index, "alias": alias}})
    try:
        server.ask("POST", "/_aliases", orjson.dumps({"actions": actions}))
    except NotLoaded:
        # Where the first answer was lost, the second try finds nothing to remove.
        if _holders(server, alias) != [index]:
            raise


def _earlier(server: Server, alias: str, index: str) -> list[str]:
    """Return the indices of other loads."""
    answer = server.ask("GET", f"/{alias}-*/_alias", expected=(200, 404))
    names = sorted(answer.content) if answer.code == 200 and isinstance(answer.content, dict) else []
    made = re.compile(re.escape(alias) + _MADE_BY_A_LOAD)
    return [name for name in names if name != index and made.fullmatch(name)]


def _delete(server: Server, indices: Iterable[str]) -> dict[str, str]:
    """Delete indices, and return why not, by the names of those that stay."""
    left = {}
    for index in indices:
        try:
            server.ask("DELETE", f"/{index}", expected=(200, 404))
        except NotLoaded as error:
            left[index] = str(error.what)
    return left
