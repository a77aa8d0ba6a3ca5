"""A client that sends what Galaxy's client sends, byte for byte, over a plain socket; and archives to send.

It sends all of a request before it reads the answer, and has no time-out but that of the tests.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "5f2b3c0d9e8a7f6655443322110ffeed"
TIMEOUT = 60


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The sentence of the protocol's error."""
        document = self.json
        assert document.keys() == {"state", "message"}, document
        assert document["state"] == "error"
        return str(document["message"])


@dataclass(frozen=True)
class Sent:
    """An archive to upload."""

    name: str
    meta: bytes
    data: bytes


def archive(name: str, content: bytes = b"", **report: object) -> Sent:
    """Return an archive whose tar.gz unpacks to `content`, or to something of its own."""
    data = gzip.compress(content or f"the archive {name}\n".encode() * 20, mtime=0)
    return Sent(name, meta_of(name, hashlib.sha256(data).hexdigest(), **report), data)


def meta_of(name: str, sha256: str, **report: object) -> bytes:
    """Return an N.json of version 3."""
    document = {
        "version": 3,
        "galaxy_version": "23.1",
        "generated": name,
        "report_hash": f"sha256:{sha256}",
        "metrics": {},
        "users": {"active": 1, "total": 2},
        "jobs": {"ok": 1},
    }
    return json.dumps({**document, **report}).encode()


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    """Return a part of a form as the client's library writes it, with the boundary before it."""
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def parts_of(sent: Sent) -> list[bytes]:
    """Return the parts of an upload's form, in the order of the client."""
    return [
        part("identifier", sent.name.encode()),
        part("meta", sent.meta, f"{sent.name}.json"),
        part("data", sent.data, f"{sent.name}.tar.gz"),
    ]


def form(*parts: bytes) -> bytes:
    """Return the body of a form."""
    return b"".join(parts) + END


@dataclass(frozen=True)
class Client:
    """A Galaxy server: the URL that its admin wrote, and its id and key."""

    url: str
    credentials: str

    def whoami(self) -> Reply:
        """Ask which archives are there."""
        return self.request("POST", "/api/whoami", Content_Length="0")

    def upload(self, sent: Sent) -> Reply:
        """Send an archive."""
        return self.post(form(*parts_of(sent)))

    def post(self, body: bytes, **headers: str) -> Reply:
        """Send a body as an upload."""
        with self.connect() as link:
            link.sendall(self.upload_head(len(body), **headers))
            link.sendall(body)
            return read_reply(link)

    def round(self, archives: Iterable[Sent]) -> dict[str, Reply]:
        """Do what the client does each day: send every archive that is not there."""
        there = self.whoami().json["uploaded_reports"]
        return {sent.name: self.upload(sent) for sent in archives if sent.name not in there}

    def request(self, method: str, path: str, **headers: str) -> Reply:
        """Send a request without a body."""
        with self.connect() as link:
            link.sendall(self.head(method, path, **headers))
            return read_reply(link, method)

    def upload_head(self, size: int, **headers: str) -> bytes:
        """Return the headers of an upload."""
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.head("POST", "/api/v2/upload", **{"Content_Length": str(size), "Content_Type": kind, **headers})

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """Return a request line with its headers. A header that is an empty text is left out."""
        address = urlsplit(self.url)
        lines = {
            "Host": address.netloc,
            "User-Agent": "python-requests/2.32.3",
            "Accept-Encoding": "gzip, deflate",
            "Accept": "*/*",
            "Connection": "keep-alive",
            "AUTHORIZATION": self.credentials,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {address.path}{path} HTTP/1.1\r\n{text}\r\n".encode("latin-1")

    def connect(self) -> socket.socket:
        """Return a connection."""
        address = urlsplit(self.url)
        return socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=TIMEOUT)


def read_reply(link: socket.socket, method: str = "POST") -> Reply:
    """Read one answer."""
    with link.makefile("rb") as file:
        return reply_of(file, method)


def reply_of(file: Any, method: str = "POST") -> Reply:
    """Read one answer from a file."""
    first = file.readline()
    assert first.startswith(b"HTTP/1.1 "), first
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = b"" if method == "HEAD" else file.read(int(headers.get("content-length", 0)))
    return Reply(int(first.split()[1]), headers, body)
