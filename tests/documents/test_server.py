"""Requests to the server: credentials, busy servers, lost lines, and what is said of them."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bulk_server import Fault, Node, bulk_server

from grt_batch.core.errors import BadArguments, NotLoaded
from grt_batch.documents.server import TRIES, Server


def with_user(node: Node) -> str:
    return node.url.replace("://", "://us%40er:pass%2Fword@")


@pytest.mark.parametrize(
    "url", ["", "host:9200", "ftp://host", "http://", "http://host:x", "http://h/?a=b", "http://[x"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(BadArguments, match="the server of documents"):
        Server(url)


def test_one_user_is_enough() -> None:
    with pytest.raises(BadArguments, match="both"):
        Server("http://user:word@host", "user:word")


def test_credentials_are_sent_and_never_shown(node: Node) -> None:
    for url, key in ((with_user(node), None), (node.url, "us@er:pass/word")):
        with Server(url, key) as server:
            assert server.ask("HEAD", "/grt-tools", expected=(404,)).code == 404
            assert server.url == node.url
            with pytest.raises(NotLoaded) as error:
                server.ask("DELETE", "/nothing")
            assert "pass" not in str(error.value)
    assert node.authorized == {f"Basic {b64encode(b'us@er:pass/word').decode()}"}


def test_a_path_stands_before_all(node: Node) -> None:
    with Server(f"{node.url}/search/") as server:
        server.ask("HEAD", "/grt-tools", expected=(404,))
    assert node.requests == ["HEAD /search/grt-tools"]


def test_a_busy_server_is_asked_again(node: Node) -> None:
    waits: list[float] = []
    node.faults = [
        Fault("GET", "/_alias", 429),
        Fault("GET", "/_alias", 503, {"Retry-After": "7"}),
        Fault("GET", "/_alias", 503, {"Retry-After": "100000"}),
        Fault("GET", "/_alias", 502, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault("GET", "/_alias"),
    ]
    with Server(node.url, wait=waits.append) as server:
        assert server.ask("GET", "/_alias/x", expected=(404,)).content["error"] == "alias [x] missing"
    assert waits == [1.0, 7.0, 60.0, 8.0, 16.0]
    assert node.requests == ["GET /_alias/x"] * 6


def test_patience_has_an_end(node: Node) -> None:
    waits: list[float] = []
    node.faults = [Fault("POST", "/_bulk", 429) for _ in range(TRIES + 1)]
    with Server(node.url, wait=waits.append) as server, pytest.raises(NotLoaded, match="POST /_bulk: 429 told_to_fail"):
        server.ask("POST", "/_bulk?pretty", b"")
    assert len(node.requests) == TRIES
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_what_is_no_matter_of_time_is_said_at_once(node: Node) -> None:
    node.faults = [Fault("PUT", "/x", 403)]
    with Server(node.url, wait=pytest.fail) as server, pytest.raises(NotLoaded, match="PUT /x: 403 told_to_fail: as"):
        server.ask("PUT", "/x", b"{}")


def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    with socket.socket() as taken:
        # Bound, and not listening: nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Server(url, wait=pytest.fail) as server, pytest.raises(NotLoaded, match="refused") as error:
            server.ask("GET", "/_alias/x")
    assert error.value.exit_code == 4
    assert url in str(error.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with a certificate of the loopback, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


def test_only_a_trusted_server_is_spoken_to(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with bulk_server(context) as node:
        with Server(node.url, "user:word", wait=pytest.fail) as server, pytest.raises(NotLoaded, match="certificate"):
            server.ask("HEAD", "/x")
        assert not node.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Server(node.url) as server:
            assert server.ask("HEAD", "/x", expected=(404,)).code == 404
