"""An S3 server with archive classes on the loopback, which fails where it is told to, and uploads to move there.

What the server lacks of S3 is here: requests that take their time, tiers, and damage."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.uploads.cold import ColdCopy, read_cold
from grt_batch.uploads.scan import scan

NOON = 1719748800
"""2024-06-30 at 12:00 UTC, in Unix seconds."""

Fault = Callable[[dict[str, Any], Any, Any], Iterable[bytes]]
"""What answers a request in place of the server: called with the environment, `start_response` and the server."""

_OPERATIONS = {
    ("POST", "restore"): "RestoreObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("GET", "uploads"): "ListMultipartUploads",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("HEAD", ""): "HeadObject",
    ("GET", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
}


class FrozenStore:
    """The server. `faults` are taken from their lists, one for each request of that operation; None is no fault."""

    def __init__(self) -> None:
        """Start the server."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):  # type: ignore[misc]
            def log(self, *_: object) -> None:
                """Log nothing."""

        self.asked: list[str] = []
        self.tiers: list[str] = []
        self.faults: dict[str, list[Fault | None]] = defaultdict(list)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self.url = "http://{}:{}".format(*self._server.server_address[:2])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        words = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        special = [word for word in ("restore", "uploads", "uploadId") if word in words]
        name = _OPERATIONS.get((environ["REQUEST_METHOD"], special[0] if special else ""), "")
        if environ["PATH_INFO"].strip("/").count("/"):
            self.asked.append(name)
        if name == "RestoreObject":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = SimpleNamespace(read=lambda *_: body)
            self.tiers += re.findall("<Tier>(.*)</Tier>", body.decode())
        fault = self.faults[name].pop(0) if self.faults[name] else None
        answer = fault(environ, start_response, self._moto) if fault else self._moto(environ, start_response)
        if name == "RestoreObject":
            bucket, _, key = environ["PATH_INFO"].strip("/").partition("/")
            Bucket(self, bucket).freeze(key)
        return answer

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def error(status: str, code: str) -> Fault:
    """An answer of S3 that says so."""

    def answer(environ: dict[str, Any], start_response: Any, _: Any) -> list[bytes]:
        body = f"<Error><Code>{code}</Code><Message>because of the test</Message></Error>".encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer


def gone(environ: dict[str, Any], *_: Any) -> list[bytes]:
    """The network goes instead of an answer."""
    # Otherwise the client would wait until it has sent everything.
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return []


def breaking_off(after: int) -> Fault:
    """The network goes after some bytes of the body."""

    def answer(environ: dict[str, Any], start_response: Any, server: Any) -> Iterator[bytes]:
        body = b"".join(server(environ, start_response))
        yield body[:after]
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)

    return answer


def without_checksum(environ: dict[str, Any], start_response: Any, server: Any) -> Iterable[bytes]:
    """An answer of a store that has no checksums."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [(name, text) for name, text in headers if "checksum" not in name.lower()], *rest)

    return server(environ, start)  # type: ignore[no-any-return]


def with_number_of_parts(environ: dict[str, Any], start_response: Any, server: Any) -> Iterable[bytes]:
    """An answer whose checksum says that it is of two parts."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        numbered = [(name, f"{text}-2" if name.lower() == "x-amz-checksum-sha256" else text) for name, text in headers]
        assert numbered != headers
        return start_response(status, numbered, *rest)

    return server(environ, start)  # type: ignore[no-any-return]


@dataclass
class Bucket:
    """A bucket of its own for each test."""

    store: FrozenStore
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/raw"

    @property
    def _keys(self) -> Any:
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.name].keys

    def content(self, key: str) -> bytes | None:
        found = self._keys.get(key)
        return None if found is None else bytes(found.value)

    def keys(self) -> list[str]:
        return sorted(self._keys)

    def metadata(self, key: str) -> dict[str, str]:
        return dict(self._keys[key].metadata)

    def remove(self, key: str) -> None:
        del self._keys[key]

    def put(self, key: str, content: bytes) -> None:
        import boto3

        boto3.client("s3").put_object(Bucket=self.name, Key=key, Body=content, ChecksumAlgorithm="SHA256")

    def damage(self, key: str) -> None:
        """Another byte in the object; the store's checksum is of what it has."""
        found = self._keys[key]
        found.value = b"?" + found.value[1:]
        found.checksum_value = base64.b64encode(hashlib.sha256(found.value).digest()).decode()

    def damaging(self, key: str) -> Fault:
        """The store keeps something else than it was sent."""

        def answer(environ: dict[str, Any], start_response: Any, server: Any) -> list[bytes]:
            body = list(server(environ, start_response))
            self.damage(key)
            return body

        return answer

    def freeze(self, key: str) -> None:
        """What was asked for is under way. (Of its own accord, moto calls it done.)"""
        found = self._keys.get(key)
        if found is not None and found._expiry is not None and found._status is None:
            found._status = "IN_PROGRESS"

    def thaw(self) -> None:
        """What was asked for can be read now."""
        for found in self._keys.values():
            if found._expiry is not None:
                found._status = "RESTORED"

    def expire(self) -> None:
        """What was thawed is frozen again."""
        for found in self._keys.values():
            found._expiry = found._status = None


@contextmanager
def frozen_store() -> Iterator[FrozenStore]:
    """The server, where what is asked for stays under way until a test thaws it."""
    pytest.importorskip("moto.server", reason="no moto: pip install 'moto[server]'")
    pytest.importorskip("boto3", reason="no boto3: pip install 'grt-batch[cold]'")
    from moto.moto_api import state_manager

    store = FrozenStore()
    state_manager.set_transition("s3::keyrestore", {"progression": "manual", "times": 10**9})
    try:
        yield store
    finally:
        state_manager.unset_transition("s3::keyrestore")
        store.close()


@contextmanager
def new_bucket(store: FrozenStore, number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A new bucket, which the usual environment variables lead to."""
    import boto3

    settings = {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "secretive",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(store, f"bucket-{number}")
    boto3.client("s3").create_bucket(Bucket=bucket.name)
    store.faults.clear()
    store.asked.clear()
    store.tiers.clear()
    yield bucket
    store.faults.clear()


@dataclass(frozen=True)
class ColdSite:
    """Uploads whose archives are known as published."""

    config: Config

    def write(self, instance_id: str, name: str, size: int = 1000) -> Path:
        """Write an archive, made so many days before 2024-06-30 as its name says; returns its tar.gz."""
        folder = self.config.uploads / instance_id / "archives"
        folder.mkdir(parents=True, exist_ok=True)
        tar = folder / f"{name}.tar.gz"
        tar.write_bytes(random.Random(f"{instance_id}/{name}").randbytes(size))
        generated = NOON - 86400 * int(name)
        (folder / f"{name}.json").write_bytes(orjson.dumps({"version": 2, "generated": generated}))
        return tar

    def publish(self) -> None:
        """Enter all archives that are here into the index, as a run does."""
        index = ArchiveIndex(self.config.work, self.config.uploads)
        found = scan(self.config.uploads)
        entries = []
        for instance in found.instances:
            whole = [archive for archive in instance.archives if not archive.incomplete]
            for archive in whole:
                index.remember(archive, file_sha256(archive.tar), "key")
            states = tuple(ArchiveEntry(archive, State.PUBLISHED, key="key") for archive in whole)
            entries.append(InstanceEntry(instance.instance_id, instance.metadata, states))
        index.learn(Ledger(date(2024, 6, 30), self.config, tuple(entries)), {})
        index.save()

    def tar(self, label: str) -> Path:
        instance_id, name = label.split("/")
        return self.config.uploads / instance_id / "archives" / f"{name}.tar.gz"

    def marker(self, label: str) -> ColdCopy | None:
        place = self.tar(label).with_name(f"{label.split('/')[1]}.cold")
        return read_cold(place) if place.exists() else None

    def contents(self) -> dict[str, bytes]:
        """The bytes of each archive that is here."""
        tars = sorted(self.config.uploads.glob("*/archives/*.tar.gz"))
        return {f"{tar.parents[1].name}/{tar.name.removesuffix('.tar.gz')}": tar.read_bytes() for tar in tars}

    def options(self) -> list[object]:
        return ["--uploads", self.config.uploads, "--work", self.config.work]


def cold_site(folder: Path, **changes: Any) -> ColdSite:
    """Two published archives of `a`, of 24 and 26 June, and one of `b`, of 25 June."""
    site = ColdSite(replace(Config(uploads=folder / "uploads", work=folder / "work"), **changes))
    site.write("a", "6", 1500)
    site.write("a", "4")
    site.write("b", "5")
    site.publish()
    return site


_KILLED = """
import importlib, os, signal, sys
place, attribute, when, count = sys.argv[1:5]
module, _, owner = place.partition(":")
owner = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
before, left = getattr(owner, attribute), [int(count)]
def killed(*arguments, **options):
    left[0] -= 1
    if left[0] == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = before(*arguments, **options)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, attribute, killed)
from grt_batch.cli import main
main(sys.argv[5:])
"""


def killed(step: str, *arguments: object) -> None:
    """Call the program as a process that is killed at a step, such as `before module:Class.function 2`."""
    when, name, *count = step.split()
    place, _, attribute = name.rpartition(".")
    command = [sys.executable, "-c", _KILLED, place, attribute, when, *(count or ["1"]), *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == -9, done.stderr
