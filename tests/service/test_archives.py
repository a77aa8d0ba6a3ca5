"""Raw archives over HTTP: who gets which, whole or in pieces, and a folder of uploads once they are unpacked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from answering import Answering, refusal, served
from calling import Call
from cold_storage import freeze
from runs import copy_uploads

from grt_batch.core.config import Config
from grt_batch.pipeline.request import RunSummary
from grt_batch.service.keys import KeyStore
from grt_batch.uploads.scan import scan

LIST, DOWNLOAD = "/api/archives", "/api/archives/download"


def listed(client: httpx.Client, **given: str) -> set[str]:
    return {row["instance"] for row in client.get(LIST, params=given).json()["archives"]}


def test_everybody_gets_what_is_theirs_or_public(answering: Answering) -> None:
    public, hidden = set(answering.public), set(answering.hidden)
    assert listed(answering.anyone) == public
    assert listed(answering.admin) == public | hidden
    for own in (*public, *hidden):
        with answering.asking(own) as client:
            assert listed(client) == public | {own}
            for other in hidden - {own}:
                assert listed(client, instance=other) == set()
                assert "not yours" in refusal(client.get(DOWNLOAD, params={"instance": other}), 404)
    for header in ("*:wrong", f"{answering.hidden[0]}:wrong", "nobody:wrong"):
        answer = answering.anyone.get(LIST, headers={"Authorization": header})
        assert refusal(answer, 400) == "Bad authentication credentials"


def test_the_list_says_what_each_is(answering: Answering) -> None:
    answer = answering.admin.get(LIST)
    rows = answer.json()["archives"]
    assert answer.headers["cache-control"] == "private, no-cache"
    archives = list(answering.uploads.archives)
    assert [(row["instance"], row["archive"]) for row in rows] == [(one.instance_id, one.name) for one in archives]
    assert {row["state"] for row in rows} == {"published"}
    assert [row["bytes"] for row in rows] == [one.bytes for one in archives]
    assert rows[0]["generated"].endswith("Z")
    pages = [answering.admin.get(LIST, params={"page_size": 5, "page": page}).json() for page in (1, 2, 3)]
    assert [row for page in pages for row in page["archives"]] == rows
    assert [page["next_page"] for page in pages] == [2, 3, None]


def test_what_is_cold_is_listed_and_left_out(ran: Config, tmp_path: Path, call: Call) -> None:
    copy_uploads(ran.uploads, tmp_path / "uploads")
    config = replace(ran, uploads=tmp_path / "uploads", public_after_days=1)
    instance = next(one for one in scan(config.uploads).instances if one.metadata.public and len(one.archives) > 1)
    first, *others = instance.archives
    wanted = {"instance": instance.instance_id}
    freeze(first.tar)
    with served(config, {}) as client:
        # No run has published these files: they are new, and only their owner may have them.
        key = KeyStore(config.keys_path, config.uploads).add(instance.instance_id)
        client.headers["Authorization"] = f"{instance.instance_id}:{key}"
        rows = client.get(LIST, params=wanted).json()["archives"]
        assert [row["cold"] for row in rows] == [True] + [False] * len(others)
        answer = client.get(DOWNLOAD, params=wanted)
        assert answer.status_code == 200
        assert answer.headers["X-Archives-In-Cold-Storage"] == "1"
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            assert len(tar.getnames()) == 2 * len(others)
        told = refusal(client.get(DOWNLOAD, params={**wanted, "archive": first.name}), 409)
        assert told.startswith("1 archive is in cold storage; ask ")
        (tmp_path / "key").write_text(client.headers["Authorization"])
        fetch = ["fetch", f"instance={instance.instance_id}", "--url", client.base_url, "--to", tmp_path / "to"]
        fetched = call(*fetch, "--key-file", tmp_path / "key")
        assert fetched.code == 0
        assert fetched.out.endswith("; 1 archive in cold storage left out: see grt-batch restore\n")


@pytest.mark.parametrize("address", [LIST, DOWNLOAD])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("from=2024", "from is a date as YYYY-MM-DD, not '2024'"),
        ("state=lost", "state is one or more of"),
        ("what=x", "it has no 'what'"),
        ("from=2024-01-01&from=2024-01-01", "'from' is given twice"),
    ],
)
def test_a_wrong_filter_is_refused(answering: Answering, address: str, given: str, said: str) -> None:
    assert said in refusal(answering.admin.get(f"{address}?{given}"), 400)


def test_what_is_downloaded_is_a_folder_of_uploads(
    answering: Answering, tmp_path: Path, database: str, run_here: Callable[..., RunSummary]
) -> None:
    answer = answering.admin.get(DOWNLOAD)
    assert answer.headers["content-type"] == "application/x-tar"
    assert int(answer.headers["content-length"]) == len(answer.content)
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        names = tar.getnames()
        tar.extractall(tmp_path / "uploads", filter="data")
    assert all(
        names[place + 1] == name.replace(".tar.gz", ".json") for place, name in enumerate(names) if ".tar" in name
    )
    mine, theirs = scan(tmp_path / "uploads"), answering.uploads
    assert [(one.instance_id, one.name, one.report) for one in mine.archives] == [
        (one.instance_id, one.name, one.report) for one in theirs.archives
    ]
    config = Config(
        uploads=tmp_path / "uploads", work=tmp_path / "work", reports=tmp_path / "reports", database=database
    )
    summary = run_here(config, modules=("tools",))
    table = "tool_usage.tsv"
    assert summary.quarantined == ()
    before = (answering.config.reports / "latest" / table).read_bytes()
    assert (config.reports / "latest" / table).read_bytes() == before


def one_of(answering: Answering) -> dict[str, str]:
    archive = next(answering.uploads.archives)
    return {"instance": archive.instance_id, "archive": archive.name}


@pytest.mark.parametrize("given", ["one", "all"])
def test_a_download_that_was_broken_off_goes_on(answering: Answering, given: str) -> None:
    wanted = one_of(answering) if given == "one" else {}
    whole = answering.admin.get(DOWNLOAD, params=wanted)
    size, tag = len(whole.content), whole.headers["etag"]

    def part(text: str, **headers: str) -> httpx.Response:
        return answering.admin.get(DOWNLOAD, params=wanted, headers={"Range": text, **headers})

    for text, begin, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=700-", 700, size),
        ("bytes=-1100", size - 1100, size),
        (f"bytes=-{10 * size}", 0, size),
        (f"bytes=512-{10 * size}", 512, size),
    ):
        answer = part(text, **{"If-Range": tag})
        assert (answer.status_code, answer.content) == (206, whole.content[begin:end])
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert answer.headers["etag"] == tag
    for text in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "bytes=x-"):
        assert (part(text).status_code, len(part(text).content)) == (200, size)
    assert part("bytes=0-9", **{"If-Range": '"other"'}).status_code == 200
    answer = part(f"bytes={size}-")
    assert answer.headers["content-range"] == f"bytes */{size}"
    assert f"{size} bytes" in refusal(answer, 416)
    assert answering.admin.get(DOWNLOAD, params=wanted, headers={"If-None-Match": tag}).status_code == 304
    head = answering.admin.head(DOWNLOAD, params=wanted)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))


def test_fetch_takes_what_its_key_may_have(answering: Answering, call: Call, tmp_path: Path) -> None:
    own = next(one for one in answering.hidden if (answering.config.uploads / one / "archives").is_dir())
    (tmp_path / "key").write_text(f"{answering.credentials(own)}\n")
    fetch = ["fetch", f"instance={own}", "--url", answering.door.url, "--to", tmp_path / "up"]
    answer = call(*fetch, "--key-file", tmp_path / "key")
    files = sorted((answering.config.uploads / own / "archives").iterdir())
    size = sum(path.stat().st_size for path in files)
    assert (answer.code, answer.out) == (0, f"fetched 3 archives ({size} bytes) into {tmp_path / 'up'}\n")
    copies = sorted((tmp_path / "up" / own / "archives").iterdir())
    assert [(path.name, path.read_bytes()) for path in copies] == [(path.name, path.read_bytes()) for path in files]
    copies[1].write_bytes(b"half")
    answer = call(*fetch, "--key-file", tmp_path / "key")
    assert answer.out.startswith("fetched 1 archive (")
    assert answer.out.endswith("; 2 archives had been there\n")
    assert copies[1].read_bytes() == files[1].read_bytes()
    answer = call(*fetch)
    assert (answer.code, "no archive passes the filter" in answer.complaint) == (3, True)
    (tmp_path / "key").write_text(f"{own}:wrong")
    answer = call(*fetch, "--key-file", tmp_path / "key")
    assert (answer.code, "Bad authentication credentials" in answer.complaint) == (4, True)
