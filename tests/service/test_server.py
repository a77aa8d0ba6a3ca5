"""The process: its port, and its end by a signal."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from doors import Door, opened
from galaxy_client import Client, archive, form, parts_of, read_reply, reply_of

from grt_batch.core.errors import CannotListen
from grt_batch.service.server import listen


def test_a_port_that_another_program_has() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1, port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_an_answer_does_not_wait_for_the_client_to_confirm_its_headers() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["203.0.113.7", "nowhere.invalid", "x" * 300])
def test_an_address_that_is_none_of_this_machine(host: str) -> None:
    with pytest.raises(CannotListen, match=host[:50]):
        listen(host, 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6() -> None:
    try:
        listen("::1", 0).close()
    except CannotListen as error:
        pytest.skip(str(error))


def wrong_key(door: Door, forwarded: str) -> str:
    """The address that the log says a wrong key came from."""
    client = Client(door.url, "nobody:key")
    seen = len(door.log)
    assert client.request("POST", "/api/whoami", Content_Length="0", X_Forwarded_For=forwarded).status == 400
    door.awaited("wrong key", seen)
    (line,) = [line for line in door.log[seen:] if "wrong key" in line]
    return line.split(" from ")[1].split(" for ")[0]


def test_a_proxy_that_is_trusted_says_where_a_request_comes_from(door: Door) -> None:
    assert wrong_key(door, "10.7.0.1") == "10.7.0.1"
    assert wrong_key(door, "10.7.0.2, 127.0.0.1") == "10.7.0.2"
    assert wrong_key(door, "10.7.0.3, 10.7.0.4") == "10.7.0.4"
    for garbage in ("hello", "[::1", "\xe9\x01", "x" * 2000, "[2001:db8::7]:80", ",,,"):
        assert wrong_key(door, garbage)


def test_anybody_else_is_not_believed(tmp_path: Path) -> None:
    with opened(tmp_path / "site", "trusted_proxies = []\n") as door:
        assert wrong_key(door, "10.7.0.1") == "127.0.0.1"


def test_uploads_need_no_library_that_computes(tmp_path: Path) -> None:
    with opened(tmp_path / "site") as door:
        assert door.client().upload(archive("1")).status == 200
        loaded = Path(f"/proc/{door.process.pid}/maps").read_text()
    assert "isal" in loaded
    assert not [name for name in ("numpy", "numba", "llvmlite", "polars", "mpi4py", "duckdb") if f"/{name}/" in loaded]


def test_an_upload_under_way_ends_before_the_service_does(tmp_path: Path) -> None:
    with opened(tmp_path / "site") as door:
        client = door.client()
        body = form(*parts_of(archive("1")))
        with client.connect() as link, link.makefile("rb") as file, client.connect() as idle:
            idle.sendall(client.head("POST", "/api/whoami", Content_Length="0"))
            assert read_reply(idle).status == 200
            link.sendall(client.upload_head(len(body), Expect="100-continue"))
            assert reply_of(file).status == 100
            door.process.terminate()
            assert idle.recv(1) == b""
            link.sendall(body)
            assert reply_of(file).status == 200
            assert door.process.wait(60) == 0
    assert (door.archives(client) / "1.json").exists()
    assert "Traceback" not in "".join(door.log)
