"""Archives copied into another folder: whole, once, and readable for a run."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cold_storage import freeze
from coming_and_going import Site

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, Unavailable
from grt_batch.service.fetching import Fetched, fetch_from_folder, fetch_from_service
from grt_batch.service.filter import Filter
from grt_batch.service.selection import Selection
from grt_batch.uploads.scan import scan


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work"))
    for name in ("1", "2"):
        site.write("a", name, [int(name)])
    site.write("b", "3", [1]).unlink()
    return site


def fetched(site: Site, target: Path, **given: str) -> Fetched:
    return fetch_from_folder(Selection(site.config).held(Filter.parse(given)), target)


def test_it_is_a_folder_of_the_same_uploads(site: Site, tmp_path: Path) -> None:
    done = fetched(site, tmp_path / "copy")
    files = sorted((site.config.uploads / "a" / "archives").iterdir())
    assert done == Fetched(2, sum(file.stat().st_size for file in files))
    assert [file.name for file in sorted((tmp_path / "copy").rglob("*.*"))] == [file.name for file in files]
    for file in files:
        assert (tmp_path / "copy" / "a" / "archives" / file.name).read_bytes() == file.read_bytes()
    assert [archive.report for archive in scan(tmp_path / "copy").archives] == [
        archive.report for archive in scan(site.config.uploads, only=("a",)).archives
    ]


def test_what_is_there_stays_and_what_changed_is_fetched_again(site: Site, tmp_path: Path) -> None:
    fetched(site, tmp_path / "copy", archive="1")
    assert fetched(site, tmp_path / "copy").before == 1
    site.write("a", "1", [7, 8])
    assert fetched(site, tmp_path / "copy").archives == 1


def test_what_is_cold_is_left_out_and_counted(site: Site, tmp_path: Path) -> None:
    freeze(site.config.uploads / "a" / "archives" / "1.tar.gz")
    done = fetched(site, tmp_path / "copy")
    assert (done.archives, done.before, done.cold) == (1, 0, 1)


def test_a_folder_that_cannot_be_written_is_a_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="Not a directory"):
        fetched(site, tmp_path / "file")


def test_a_service_that_does_not_answer_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 gives no archives: .*refused"):
        fetch_from_service("http://127.0.0.1:1", None, {}, tmp_path)


ROW = {"instance": "a", "archive": "1", "bytes": 4, "state": "published", "sha256": None}


def tar_of(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"data"))
    return packed.getvalue()


WHOLE = tar_of("a/archives/1.tar.gz", "a/archives/1.json")


@contextmanager
def false_service(row: dict[str, object], tar: bytes, status: int = 200) -> Iterator[str]:
    """The address of a service that lists a row, and gives a tar for it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed = json.dumps({"archives": [row], "next_page": None}).encode()
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(tar if "download" in self.path else listed)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("row", "tar", "status", "said"),
    [
        ({"instance": ".."}, WHOLE, 200, "it lists '..'/'1'"),
        ({"instance": "a/../../b"}, WHOLE, 200, "it lists"),
        ({"archive": "../1"}, WHOLE, 200, "it lists 'a'/'../1'"),
        ({"archive": 1}, WHOLE, 200, "expected string"),
        ({"sha256": "0" * 64}, WHOLE, 200, "1.tar.gz arrived damaged"),
        ({}, tar_of("../1.tar.gz", "../1.json"), 200, "the tar of a/1 has '../1.tar.gz'"),
        ({}, tar_of("a/archives/1.tar.gz"), 200, "the tar of a/1 lacks a/archives/1.json"),
        ({}, tar_of("a/archives/1.tar.gz", "a/archives/1.json", "x"), 200, "the tar of a/1 has 'x'"),
        ({}, WHOLE[:100], 200, "truncated header"),
        ({}, b"", 200, "empty file"),
        ({}, WHOLE, 302, "HTTP Error 302"),
        ({}, WHOLE, 500, "HTTP Error 500"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str | dict) else "",
)
def test_a_service_that_lies_does_no_harm(
    tmp_path: Path, row: dict[str, object], tar: bytes, status: int, said: str
) -> None:
    with false_service(ROW | row, tar, status) as url, pytest.raises(Unavailable) as caught:
        fetch_from_service(url, "a:key", {}, tmp_path / "to")
    assert said in str(caught.value)
    place = tmp_path / "to" / "a" / "archives"
    assert {path for path in tmp_path.rglob("*") if path.is_file()} <= {place / "1.tar.gz", place / "1.json"}


def test_a_service_that_does_not_lie_is_believed(tmp_path: Path) -> None:
    with false_service(ROW, WHOLE) as url:
        assert fetch_from_service(f"{url}/", None, {}, tmp_path) == Fetched(1, 8)
        assert fetch_from_service(url, None, {}, tmp_path) == Fetched(0, 0, 1)
