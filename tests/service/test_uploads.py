"""The protocol as Galaxy's client speaks it, against a service that is a process of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cold_storage import freeze
from doors import Door, opened
from galaxy_client import END, Client, archive, form, meta_of, part, parts_of, read_reply, reply_of

from grt_batch.uploads.scan import scan

NAME = "1501836597.08"


def names(client: Client) -> list[str]:
    return list(client.whoami().json["uploaded_reports"])


@pytest.mark.parametrize("prefix", ["", "/grt", "/grt-admin", "/a/b/", "/"])
def test_a_round_of_the_client_below_any_prefix(door: Door, prefix: str) -> None:
    client = door.client("Galaxy Ж", prefix)
    assert client.whoami().json == {"galaxy": "Galaxy Ж", "uploaded_reports": []}
    sent = [archive("1501836597.08"), archive("1501836597.9"), archive("1401836597.08"), archive("0"), archive("17")]
    replies = client.round(sent)
    assert {(reply.status, reply.body) for reply in replies.values()} == {(200, b'{"state":"success"}')}
    assert names(client) == ["0", "17", "1401836597.08", "1501836597.08", "1501836597.9"]
    assert client.round(sent) == {}
    for one in sent:
        assert (door.archives(client) / f"{one.name}.tar.gz").read_bytes() == one.data
        assert (door.archives(client) / f"{one.name}.json").read_bytes() == one.meta


def test_what_is_stored_is_what_a_run_reads(door: Door, client: Client) -> None:
    client.upload(archive(NAME))
    (instance,) = scan(door.config.uploads, only=(door.archives(client).parent.name,)).instances
    (found,) = instance.archives
    assert (found.name, found.incomplete, found.quarantine) == (NAME, None, None)
    assert found.report
    assert found.report.sha256 == hashlib.sha256(found.tar.read_bytes()).hexdigest()


def test_the_parts_come_in_any_order(client: Client) -> None:
    first, second, third = parts_of(archive(NAME))
    assert client.post(form(third, second, first)).status == 200
    assert names(client) == [NAME]


def test_a_body_in_pieces_of_any_size(client: Client) -> None:
    body = form(*parts_of(archive(NAME, os.urandom(3000))))
    with client.connect() as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in client.upload_head(len(body)) + body:
            link.send(bytes([byte]))
        assert read_reply(link).status == 200


def test_several_requests_on_one_connection(client: Client) -> None:
    with client.connect() as link, link.makefile("rb") as file:
        for name in ("1", "2"):
            body = form(*parts_of(archive(name)))
            link.sendall(client.upload_head(len(body)) + body + client.head("POST", "/api/whoami", Content_Length="0"))
            assert reply_of(file).status == 200
            assert name in reply_of(file).json["uploaded_reports"]


def test_a_client_that_waits_until_it_may_go_on(client: Client) -> None:
    body = form(*parts_of(archive(NAME)))
    with client.connect() as link, link.makefile("rb") as file:
        link.sendall(client.upload_head(len(body), Expect="100-continue"))
        assert reply_of(file).status == 100
        link.sendall(body)
        assert reply_of(file).status == 200


def test_a_client_that_waits_is_refused_before_it_sends(client: Client) -> None:
    with client.connect() as link, link.makefile("rb") as file:
        link.sendall(client.upload_head(2**40, Expect="100-continue"))
        reply = reply_of(file)
    assert reply.status == 413
    assert "400000000 bytes" in reply.message


def test_an_instance_without_a_title_is_called_by_its_id(door: Door, client: Client) -> None:
    folder = door.archives(client).parent
    (folder / "metadata.json").unlink()
    assert client.whoami().json["galaxy"] == folder.name


def test_pairs_that_are_not_whole_are_not_listed_and_come_again(door: Door, client: Client) -> None:
    folder = door.archives(client)
    for name in ("1", "2", "3"):
        client.upload(archive(name))
    (folder / "1.json").unlink()
    (folder / "2.tar.gz").unlink()
    assert names(client) == ["3"]
    assert client.upload(archive("1", b"other")).status == 200
    assert client.upload(archive("2", b"other")).status == 200
    assert names(client) == ["1", "2", "3"]
    assert gzip.decompress((folder / "2.tar.gz").read_bytes()) == b"other"


def test_what_is_cold_is_listed_and_not_taken_again(door: Door, client: Client) -> None:
    client.upload(archive("1"))
    file = door.archives(client) / "1.tar.gz"
    freeze(file)
    assert names(client) == ["1"]
    assert client.upload(archive("1")).status == 200
    assert client.upload(archive("1", b"other")).status == 409
    assert not file.exists()


def test_the_first_layout_is_listed_too(door: Door, client: Client) -> None:
    folder, sent = door.archives(client).parent, archive("5")
    (folder / "5.json").write_bytes(sent.meta)
    (folder / "5.tar.gz").write_bytes(sent.data)
    assert names(client) == ["5"]
    assert client.upload(sent).status == 200
    assert client.upload(archive("5", b"other")).status == 409
    assert not list((folder / "archives").iterdir())


def test_the_same_content_is_a_success_and_another_is_refused(door: Door, client: Client) -> None:
    sent = archive(NAME)
    assert client.upload(sent).status == 200
    before = (door.archives(client) / f"{NAME}.json").stat()
    assert client.upload(sent).json == {"state": "success"}
    assert (door.archives(client) / f"{NAME}.json").stat() == before
    reply = client.upload(archive(NAME, b"other"))
    assert (reply.status, "another content" in reply.message) == (409, True)
    assert client.upload(replace(sent, meta=sent.meta + b"\n")).status == 409
    assert (door.archives(client) / f"{NAME}.tar.gz").read_bytes() == sent.data


def test_an_archive_without_a_hash_is_taken(client: Client) -> None:
    """The design of the format had none."""
    assert client.upload(archive(NAME, version=1, generated=15, report_hash=None)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", ["/api/whoami", "/grt/api/v2/upload"])
def test_other_methods_are_not_allowed(client: Client, method: str, path: str) -> None:
    reply = client.request(method, path)
    assert (reply.status, reply.headers["content-type"]) == (405, "application/json")
    if method != "HEAD":
        assert reply.message == f"{method} is not allowed here; use POST"


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "x" * 1000, "\xe9"])
def test_any_name_of_the_host(client: Client, host: str) -> None:
    assert client.request("POST", "/api/whoami", Content_Length="0", Host=host).status == 200
    assert client.request("POST", "/api", Content_Length="0", Host=host).status == 404
    assert client.post(b"", Host=host).status == 400


@pytest.mark.parametrize("path", ["/", "/api", "/api/whoami/", "/xapi/whoami", "/api/v2/upload/../x", "*", "/%00"])
def test_other_addresses_are_not_found(client: Client, path: str) -> None:
    reply = client.request("POST", path, Content_Length="0")
    assert (reply.status, bool(reply.message)) == (404, True)


WRONG = [
    "", ":", "::", "nobody:key", "Bearer {key}", "{key}", "{id}", "{id}:", ":{key}", "{id}:{key}x", "{id}: {key}",
    "{other}:{key}", "*:{key}", "../{id}:{key}", "{id}\xff:{key}", "{id}:{key}:{key}", "{id}:" + "x" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/whoami", "/api/v2/upload"])
def test_wrong_credentials_get_one_answer(door: Door, client: Client, path: str) -> None:
    instance_id, _, key = client.credentials.partition(":")
    other = door.client().credentials.partition(":")[0]
    answers = set()
    for number, text in enumerate(WRONG):
        wrong = replace(client, credentials=text.format(id=instance_id, key=key, other=other))
        # Each from an address of its own, which has not to wait.
        reply = wrong.request("POST", path, Content_Length="0", X_Forwarded_For=f"10.1.{len(path)}.{number}")
        answers.add((reply.status, reply.body))
    assert answers == {(400, b'{"state":"error","message":"Bad authentication credentials"}')}
    door.awaited(f"from 10.1.{len(path)}.{len(WRONG) - 1} for")
    log = "".join(door.log)
    assert f"wrong key 1 from 10.1.{len(path)}.3 for an unknown instance" in log
    assert f"wrong key 1 from 10.1.{len(path)}.9 for {instance_id}" in log
    assert key not in log


def test_a_refused_upload_is_answered_though_all_of_it_is_sent(client: Client) -> None:
    wrong = replace(client, credentials="nobody:key")
    reply = wrong.post(form(part("data", bytes(20_000_000))), X_Forwarded_For="10.2.0.1")
    assert reply.message == "Bad authentication credentials"


def test_keys_are_added_and_revoked_while_the_service_runs(door: Door, client: Client) -> None:
    instance_id = client.credentials.partition(":")[0]
    (old,) = door.keys.of(instance_id)
    new = replace(client, credentials=f"{instance_id}:{door.keys.add(instance_id)}")
    assert client.whoami().status == new.whoami().status == 200
    door.keys.revoke(instance_id, old.name)
    assert client.request("POST", "/api/whoami", X_Forwarded_For="10.3.0.1").status == 400
    assert new.whoami().status == 200


def test_administrators_have_no_uploads(door: Door, client: Client) -> None:
    admin = replace(client, credentials=f"*:{door.keys.add('*')}")
    assert admin.whoami().status == admin.upload(archive(NAME)).status == 403
    door.keys.revoke("*")


def test_a_folder_that_is_not_there_is_not_made(door: Door, client: Client) -> None:
    folder = door.archives(client).parent
    folder.rename(folder.with_name(".away"))
    assert client.whoami().status == client.upload(archive(NAME)).status == 503
    assert not folder.exists()
    folder.with_name(".away").rename(folder)


GOOD = archive(NAME)
PART = {"identifier": parts_of(GOOD)[0], "meta": parts_of(GOOD)[1], "data": parts_of(GOOD)[2]}


def with_name(name: bytes) -> bytes:
    return form(part("identifier", name), PART["meta"], PART["data"])


def with_meta(meta: bytes) -> bytes:
    return form(PART["identifier"], part("meta", meta, "x"), PART["data"])


def with_data(data: bytes, right_hash: bool = True) -> bytes:
    sha256 = hashlib.sha256(data).hexdigest() if right_hash else "0" * 64
    return form(PART["identifier"], part("meta", meta_of(NAME, sha256), "x"), part("data", data, "x"))


def report(**changes: object) -> bytes:
    return json.dumps({**json.loads(GOOD.meta), **changes}).encode()


BOMB = gzip.compress(bytes(100 << 20), 9, mtime=0)

BAD = {
    **{
        f"identifier {name[:20]!r}": (with_name(name), "identifier is no number")
        for name in (
            b"", b".", b"..", b"...", b"1.", b".1", b"1.2.3", b"../../1", b"/1", b"1/2", b"1\\2", b"1\0", b"1\n", b"-1",
            b"1e5", b" 1", "\u0661".encode(), b"\xff", b"1" * 65, b"1" * 1_000_000, b"metadata.json", b"%2e%2e",
        )
    },
    "list": (with_meta(b"[]"), "no JSON object"),
    "no JSON": (with_meta(b"{"), "no JSON"),
    "no text": (with_meta(b"\xff\xfe"), "no JSON"),
    "empty": (with_meta(b""), "no JSON"),
    "deep": (with_meta(b"[" * 100_000), "no JSON"),
    "version as text": (with_meta(report(version="3")), "version"),
    "version 4": (with_meta(report(version=4)), "version 4; known are 1 to 3"),
    "no version": (with_meta(report(version=None)), "version"),
    "generated": (with_meta(report(generated="yesterday")), "generated is no time"),
    "users": (with_meta(report(users=[1])), "users is no object"),
    "hash of another kind": (with_meta(report(report_hash="md5:12")), "report_hash is no sha256"),
    "another hash": (with_data(GOOD.data, right_hash=False), "is not the report_hash"),
    "no gzip": (with_data(b"hello"), "gzip is broken"),
    "no data": (with_data(b""), "gzip is broken"),
    "cut gzip": (with_data(GOOD.data[:-1]), "ends too early"),
    "wrong checksum": (with_data(GOOD.data[:-8] + bytes(4) + GOOD.data[-4:]), "gzip is broken"),
    "more behind it": (with_data(GOOD.data + b"more"), "gzip is broken"),
    "bomb": (with_data(BOMB), "unpacks to more than 250 times its size"),
    "two identifiers": (form(PART["identifier"], *PART.values()), "a part too many"),
    "another part": (form(*PART.values(), part("extra", b"")), "a part too many"),
    "a part without a name": (form(f"--{END[2:34].decode()}\r\n\r\n\r\n".encode(), *PART.values()), "a part too many"),
    "many parts": (form(*(part(f"field{number}", b"x") for number in range(10_000))), "a part too many"),
    "no identifier": (form(PART["meta"], PART["data"]), "no part identifier"),
    "no files": (form(PART["identifier"]), "no part meta, data"),
    "no part": (END, "no part identifier, meta, data"),
    "no body": (b"", "ends before its last boundary"),
    "no end": (b"".join(PART.values()), "ends before its last boundary"),
    "no form": (b"hello", "malformed"),
    "another boundary": (form(*PART.values()).replace(b"feed", b"food"), "malformed"),
    "long header": (PART["data"].replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), "malformed"),
    "many headers": (PART["data"].replace(b"\r\n\r\n", b"\r\nX: y" * 1000 + b"\r\n\r\n"), "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_uploads_are_refused_and_leave_nothing(door: Door, client: Client, what: str) -> None:
    body, why = BAD[what]
    reply = client.post(body)
    assert (reply.status, why in reply.message) == (400, True), reply
    assert not list(door.archives(client).iterdir())
    assert names(client) == []


@pytest.mark.parametrize(
    "kind",
    ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary="
     + "x" * 1000, "text/plain; boundary=x", "multipart/form-data; boundary=\xe9"],
)  # fmt: skip
def test_bodies_of_other_types_are_refused(client: Client, kind: str) -> None:
    reply = client.post(form(*PART.values()), Content_Type=kind)
    assert reply.status == 400
    assert "form" in reply.message


def test_a_json_file_that_is_too_large(client: Client) -> None:
    reply = client.post(with_meta(b" " * (17 << 20)))
    assert (reply.status, "The json file has more than 16777216 bytes" in reply.message) == (413, True)


def test_an_upload_needs_its_length(client: Client) -> None:
    with client.connect() as link:
        link.sendall(client.upload_head(0, Content_Length="", Transfer_Encoding="chunked"))
        assert read_reply(link).status == 411


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 30, "1, 2"])
def test_lengths_that_are_none(client: Client, length: str) -> None:
    with client.connect() as link:
        link.sendall(client.upload_head(0, Content_Length=length))
        reply = read_reply(link)
    assert (reply.status, bool(reply.message)) in ((400, True), (413, True))


def test_a_body_that_is_longer_than_announced(client: Client) -> None:
    body = form(*PART.values())
    with client.connect() as link, link.makefile("rb") as file:
        link.sendall(client.upload_head(len(body) - 10) + body + b"\r\n")
        assert "ends before its last boundary" in reply_of(file).message
        assert "no HTTP request" in reply_of(file).message
        assert file.read() == b""


def test_a_client_that_goes_away_leaves_nothing(door: Door, client: Client) -> None:
    body = form(*PART.values())
    with client.connect() as link, link.makefile("rb") as file:
        link.sendall(client.upload_head(len(body), Expect="100-continue"))
        reply_of(file)
        assert len(door.hidden()) == 2
        link.sendall(body[:-20])
    with client.connect() as link, link.makefile("rb") as file:
        # Announces more than it sends, and then waits for the answer.
        link.sendall(client.upload_head(len(body) + 1) + body)
        link.shutdown(socket.SHUT_WR)
        assert file.read() == b""
    # The service notices in its own time.
    assert any(names(client) == [] and door.hidden() == [] for _ in range(1000))


@pytest.mark.parametrize(
    "text", [b"hello\r\n\r\n", b"\0" * 100, b"GET / HTTP/9\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0", b"POST\r\n\r\n"]
)
def test_what_is_no_http_is_answered_in_json(client: Client, text: bytes) -> None:
    with client.connect() as link:
        link.sendall(text)
        assert read_reply(link).status == 400


def test_headers_that_are_too_long(client: Client) -> None:
    with client.connect() as link:
        link.sendall(client.head("POST", "/api/whoami", X="y" * 40_000)[:33_000])
        assert "headers are too long" in read_reply(link).message


def test_clients_that_stall_are_cut_off(tmp_path: Path) -> None:
    """They wait for the service, side by side, in each place where a client can stall."""
    with opened(tmp_path / "site", "stall_seconds = 1\n") as door:
        stall(door, door.client())


def stall(door: Door, client: Client) -> None:
    body = form(*parts_of(archive("1")))
    head = client.upload_head(len(body))
    beginnings = {b"": 408, head[:1]: 408, head[:-2]: 408, head: 408, head + body[:-3]: 408, head + body[:50]: 408}
    links = []
    for text in beginnings:
        links.append(client.connect())
        links[-1].sendall(text)
    for link, status in zip(links, beginnings.values(), strict=True):
        with link, link.makefile("rb") as file:
            reply = reply_of(file)
            assert (reply.status, bool(reply.message)) == (status, True)
            assert file.read() == b""
    assert door.hidden() == []
    assert names(client) == []


def test_many_uploads_at_once(door: Door) -> None:
    """A run that looks meanwhile never sees an archive that is wrong."""
    clients = [door.client() for _ in range(5)]
    sent = [archive(str(number), os.urandom(200_000)) for number in range(10)]
    assert clients[0].upload(archive("0.5")).status == 200
    before = door.open_files()
    with ThreadPoolExecutor(50) as pool:
        replies = [pool.submit(client.upload, one) for client in clients for one in sent]
        while not all(reply.done() for reply in replies):
            look(door, clients)
        assert {reply.result().status for reply in replies} == {200}
    assert [names(client) for client in clients[1:]] == [[str(number) for number in range(10)]] * 4
    assert len(names(clients[0])) == 11
    assert door.hidden() == []
    assert door.open_files() <= before


def look(door: Door, clients: list[Client]) -> None:
    ids = {client.credentials.partition(":")[0] for client in clients}
    for found in (found for found in scan(door.config.uploads).archives if found.instance_id in ids):
        assert found.quarantine is None
        if found.incomplete is None:
            assert found.report
            assert found.report.sha256 == hashlib.sha256(found.tar.read_bytes()).hexdigest()
        else:
            assert "has no" in found.incomplete or "changed within" in found.incomplete


def test_the_same_archive_many_times_at_once(door: Door, client: Client) -> None:
    sent = [archive(NAME, f"content {number % 2}".encode()) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(client.upload, sent))
    kept = (door.archives(client) / f"{NAME}.tar.gz").read_bytes()
    assert [reply.status for reply in replies] == [200 if one.data == kept else 409 for one in sent]
    assert sorted(path.name for path in door.archives(client).iterdir()) == [f"{NAME}.json", f"{NAME}.tar.gz"]


def test_a_large_archive_takes_little_memory(door: Door, client: Client) -> None:
    # Members one after another are a gzip file, of which nobody has to hold more than one.
    member, count = gzip.compress(os.urandom(2 << 20), 0, mtime=0), 150
    sha256 = hashlib.sha256()
    for _ in range(count):
        sha256.update(member)
    before = form(PART["identifier"], part("meta", meta_of(NAME, sha256.hexdigest()), "x"))[: -len(END)]
    before, after = before + part("data", b"", f"{NAME}.tar.gz")[:-2], b"\r\n" + END
    with client.connect() as link:
        link.sendall(client.upload_head(len(before) + len(member) * count + len(after)) + before)
        for _ in range(count):
            link.sendall(member)
        link.sendall(after)
        assert read_reply(link).status == 200
    stored = door.archives(client) / f"{NAME}.tar.gz"
    assert stored.stat().st_size == len(member) * count > 300_000_000
    stored.unlink()
    assert door.memory() < 200 << 20


def test_a_kill_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    site, sent = tmp_path / "site", [archive("1"), archive("2", os.urandom(100_000)), archive("3")]
    with opened(site) as door:
        client = door.client()
        assert client.upload(sent[0]).status == 200
        body = form(*parts_of(sent[1]))
        with client.connect() as link, link.makefile("rb") as file:
            link.sendall(client.upload_head(len(body), Expect="100-continue"))
            assert reply_of(file).status == 100
            link.sendall(body[:60_000])
            assert len(door.hidden()) == 2
            door.kill()
    # A run passes over what was left.
    folder = door.archives(client)
    assert [found.name for found in scan(door.config.uploads).archives] == ["1"]
    with opened(site) as door:
        assert "2 hidden files of a service that was killed removed" in "".join(door.log)
        assert door.hidden() == []
        client = replace(client, url=door.url)
        replies = client.round(sent)
        assert {name: reply.status for name, reply in replies.items()} == {"2": 200, "3": 200}
        assert (folder / "2.tar.gz").read_bytes() == sent[1].data
        # Another service that starts meanwhile takes nothing away from this one.
        with client.connect() as link, link.makefile("rb") as file:
            link.sendall(client.upload_head(len(body), Expect="100-continue"))
            reply_of(file)
            with opened(site):
                assert len(door.hidden()) == 2
            link.sendall(body)
            assert reply_of(file).status == 200
    assert door.process.returncode == 0
