"""A server that takes documents as OpenSearch does: it records requests, is strict, and fails where it is told to."""

from __future__ import annotations

import fnmatch
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from typing import Any

MOST_BYTES = 10_000_000
INDEX_TEXTS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def _is_date(value: Any) -> bool:
    try:
        return bool(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return False


_FITTING: dict[str, Callable[[Any], bool]] = {
    "keyword": lambda value: isinstance(value, str),
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "double": lambda value: type(value) in (int, float),
    "boolean": lambda value: isinstance(value, bool),
    "date": _is_date,
}


def problem(value: Any, kind: dict[str, Any], path: str = "") -> str:
    """Why a value does not fit the type that a strict mapping has for it, "" if it does. A list is its values."""
    if isinstance(value, list):
        return next((found for one in value if (found := problem(one, kind, path))), "")
    if "properties" not in kind:
        return "" if _FITTING[kind["type"]](value) else f"{path} is no {kind['type']}: {value!r}"
    if not isinstance(value, dict):
        return f"{path} is no object: {value!r}"
    for name, inner in value.items():
        if name not in kind["properties"]:
            return f"mapping set to strict, {path}.{name} is not allowed"
        if found := problem(inner, kind["properties"][name], f"{path}.{name}"):
            return found
    return ""


@dataclass
class Fault:
    """What happens once, instead of the answer to a request that begins so: a code, or without one the line is cut,
    before anything was done or `after`."""

    method: str
    path: str
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


@dataclass
class Index:
    """An index: its mapping, its documents, and those that a search finds."""

    mapping: dict[str, Any]
    documents: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)


@dataclass
class Node:
    """What the server has, and what it was asked."""

    url: str = ""
    indices: dict[str, Index] = field(default_factory=dict)
    aliases: dict[str, set[str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    authorized: set[str | None] = field(default_factory=set)
    broken_rules: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    busy: dict[str, int] = field(default_factory=dict)
    """How often the server is too busy for a document, by its id."""
    without: str = ""
    """A field that no mapping has here."""

    def seen(self, alias: str) -> dict[str, Any]:
        """The documents that a reader of an alias finds."""
        return {key: text for name in self.aliases.get(alias, ()) for key, text in self.indices[name].found.items()}

    def fault(self, method: str, path: str) -> Fault | None:
        """What goes wrong with a request."""
        for fault in self.faults:
            if fault.method == method and path.startswith(fault.path):
                self.faults.remove(fault)
                return fault
        return None

    def rule(self, kept: bool, rule: str) -> None:
        """Note a rule that was not kept."""
        if not kept:
            self.broken_rules.append(rule)

    def answer(self, method: str, path: str, kind: str | None, body: bytes) -> tuple[int, Any]:
        """Carry out a request."""
        path = path.partition("?")[0]
        match method, path.strip("/").split("/"):
            case "POST", ["_bulk"]:
                return self._bulk(kind, body)
            case "POST", ["_aliases"]:
                self.rule(kind == "application/json", "aliases are JSON")
                return self._switch(json.loads(body)["actions"])
            case "POST", [index, "_refresh"] if index in self.indices:
                self.indices[index].found = dict(self.indices[index].documents)
                return 200, {"_shards": {"failed": 0}}
            case "GET", ["_alias", alias]:
                held = {name: {"aliases": {alias: {}}} for name in self.aliases.get(alias, ())}
                return (200, held) if held else (404, {"error": f"alias [{alias}] missing", "status": 404})
            case "GET", [pattern, "_alias"]:
                names = fnmatch.filter(self.indices, pattern)
                return 200, {
                    name: {"aliases": {a: {} for a, of in self.aliases.items() if name in of}} for name in names
                }
            case "HEAD", [name]:
                return (200 if name in self.indices or name in self.aliases else 404), None
            case "PUT", [index]:
                return self._create(index, kind, body)
            case "DELETE", [index] if index in self.indices:
                del self.indices[index]
                for names in self.aliases.values():
                    names.discard(index)
                return 200, {"acknowledged": True}
        return 404, _error("index_not_found_exception", f"no such index [{path}]")

    def _create(self, index: str, kind: str | None, body: bytes) -> tuple[int, Any]:
        self.rule(kind == "application/json", "a mapping is JSON")
        self.rule(set(index) <= INDEX_TEXTS and index[0] not in "-_.", f"the name {index} is allowed")
        if index in self.indices:
            return 400, _error("resource_already_exists_exception", f"index [{index}] already exists")
        made = json.loads(body)
        self.rule(set(made) == {"settings", "mappings"}, "an index is made of settings and mappings")
        self.rule(made["mappings"]["dynamic"] == "strict", "the mapping is strict")
        made["mappings"]["properties"].pop(self.without, None)
        self.indices[index] = Index(made["mappings"])
        return 200, {"acknowledged": True, "index": index}

    def _switch(self, actions: list[dict[str, dict[str, str]]]) -> tuple[int, Any]:
        after = {alias: set(names) for alias, names in self.aliases.items()}
        for action in actions:
            ((name, what),) = action.items()
            if what["alias"] in self.indices:
                return 400, _error("invalid_alias_name_exception", "an index exists with the same name as the alias")
            if what["index"] not in self.indices:
                return 404, _error("index_not_found_exception", f"no such index [{what['index']}]")
            names = after.setdefault(what["alias"], set())
            if name == "remove" and what["index"] not in names:
                return 404, _error("aliases_not_found_exception", f"aliases [{what['alias']}] missing")
            (names.add if name == "add" else names.discard)(what["index"])
        self.aliases = after
        return 200, {"acknowledged": True}

    def _bulk(self, kind: str | None, body: bytes) -> tuple[int, Any]:
        lines = body.split(b"\n")
        self.sizes.append(len(body))
        self.rule(kind == "application/x-ndjson", f"bulk requests are application/x-ndjson, not {kind}")
        self.rule(lines.pop() == b"", "a bulk request ends with a newline")
        self.rule(len(lines) % 2 == 0 and len(lines) > 0, "lines come in pairs")
        self.rule(len(body) <= MOST_BYTES or len(lines) == 2, "a request is small")
        items = [self._index(json.loads(action), document) for action, document in zip_longest(lines[::2], lines[1::2])]
        return 200, {
            "took": 1,
            "errors": any("error" in item for item in items),
            "items": [{"index": i} for i in items],
        }

    def _index(self, action: dict[str, Any], text: bytes) -> dict[str, Any]:
        self.rule(
            set(action) == {"index"} and set(action["index"]) == {"_index", "_id"}, "an action names index and id"
        )
        where, key = action["index"]["_index"], action["index"]["_id"]
        self.rule(0 < len(key.encode()) <= 512, "an id has 1 to 512 bytes")
        self.rule(where in self.indices, f"the index {where} was made before")
        if self.busy.get(key, 0) > 0:
            self.busy[key] -= 1
            return {"status": 429, **_error("es_rejected_execution_exception", "the queue is full")}
        document = json.loads(text)
        if wrong := problem(document, self.indices[where].mapping):
            return {"status": 400, **_error("mapper_parsing_exception", wrong)}
        status = 200 if key in self.indices[where].documents else 201
        self.indices[where].documents[key] = document
        return {"status": status}


def _error(kind: str, reason: str) -> dict[str, Any]:
    return {"error": {"type": kind, "reason": reason}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    node: Node

    def _handle(self) -> None:
        node = self.node
        node.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        node.authorized.add(self.headers["Authorization"])
        node.rule("Transfer-Encoding" not in self.headers, "the length of a request is known")
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        fault = node.fault(self.command, self.path)
        code, content, headers = 0, None, dict[str, str]()
        if fault is None or fault.after:
            code, content = node.answer(self.command, self.path, self.headers["Content-Type"], body)
        if fault is not None:
            if not fault.code:
                self.close_connection = True
                return
            code, content, headers = fault.code, _error("told_to_fail", "as the test wants"), fault.headers
        said = b"" if content is None else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(said)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent: requests are recorded."""


@contextmanager
def bulk_server(context: ssl.SSLContext | None = None) -> Iterator[Node]:
    """A server on a free port of the loopback; with a context it speaks TLS."""
    node = Node()
    handler = type("Handler", (_Handler,), {"node": node})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    node.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield node
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
