"""The command that moves raw archives to cold storage; its steps are tested with them."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest
from calling import Answer, Call
from frozen import Bucket, ColdSite, cold_site, error

from grt_batch.core.work_folder import lock


@pytest.fixture
def uploads(tmp_path: Path) -> ColdSite:
    return cold_site(tmp_path)


@pytest.fixture
def archive(call: Call, uploads: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command over these uploads, for archives of any age."""
    monkeypatch.setenv("GRT_BATCH_COLD_TO", bucket.url)
    monkeypatch.setenv("GRT_BATCH_COLD_STORAGE_CLASS", "DEEP_ARCHIVE")

    def run(*arguments: object) -> Answer:
        return call("archive", "--after-days", "0", *uploads.options(), *arguments)

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["instance"], "'instance' is not NAME=VALUE"),
        (["what=x"], "it has no 'what'"),
        (["--to", "tape"], "'tape' cannot be used: it has no protocol"),
        (["--to", ""], "'' cannot be used: there is none"),
        (["--to", "nobody://has/this"], "nobody"),
        (["--to", "sftp://a:hunter2@tape.example.org/raw"], "it holds a password"),
    ],
    ids=str,
)
def test_wrong_arguments_end_with_2_and_a_line(archive: Call, arguments: list[str], said: str) -> None:
    answer = archive(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.complaint
    assert "hunter2" not in answer.complaint


def test_without_a_target_nothing_moves(call: Call, uploads: ColdSite) -> None:
    answer = call("archive", *uploads.options())
    assert answer.code == 2
    assert "Set cold_to in [cold], or --to" in answer.complaint


def test_without_uploads_there_is_nothing_to_move(archive: Call, tmp_path: Path) -> None:
    answer = archive("--uploads", tmp_path / "none")
    assert (answer.code, answer.out) == (3, "")


def test_each_archive_has_a_line(archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    answer = archive("instance=a")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"a/6: moved to {bucket.url}/a/6.tar.gz (1500 bytes)",
        f"a/4: moved to {bucket.url}/a/4.tar.gz (1000 bytes)",
        f"moved 2 archives (2500 bytes) to {bucket.url}",
    ]
    assert list(uploads.contents()) == ["b/5"]
    copy = uploads.marker("a/6")
    assert copy is not None
    assert copy.storage_class == "DEEP_ARCHIVE"
    assert archive("instance=a").out == f"moved 0 archives (0 bytes) to {bucket.url}\n"


def test_young_archives_stay_as_configured(call: Call, archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    answer = call("archive", *uploads.options(), "--after-days", "36500")
    assert (answer.code, answer.out) == (0, f"moved 0 archives (0 bytes) to {bucket.url}\n")


def test_a_dry_run_only_says_what_would_be_moved(archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    before = uploads.contents()
    answer = archive("--dry-run")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"a/6: would be moved to {bucket.url}/a/6.tar.gz (1500 bytes)",
        f"a/4: would be moved to {bucket.url}/a/4.tar.gz (1000 bytes)",
        f"b/5: would be moved to {bucket.url}/b/5.tar.gz (1000 bytes)",
        f"would move 3 archives (3500 bytes) to {bucket.url} by about 12 requests",
    ]
    assert (bucket.store.asked, uploads.contents()) == ([], before)
    folder = archive("--dry-run", "--to", "file:///tape").out.splitlines()[-1]
    assert folder == "would move 3 archives (3500 bytes) to file:///tape"


def test_some_that_fail_end_with_1(archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    bucket.put("raw/a/6.tar.gz", b"another")
    answer = archive()
    assert answer.code == 1
    assert answer.complaint.startswith(f"a/6: {bucket.url}/a/6.tar.gz is another object")
    assert answer.out.splitlines()[-1] == f"moved 2 archives (2000 bytes) to {bucket.url}; 1 archive failed"


def test_a_store_that_refuses_everything_ends_with_4(archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    before = uploads.contents()
    bucket.store.faults["HeadObject"] = [error("403 Forbidden", "AccessDenied")] * 3
    answer = archive()
    assert (answer.code, answer.out) == (4, f"moved 0 archives (0 bytes) to {bucket.url}; 3 archives failed\n")
    last = answer.err.splitlines()[-1]
    assert last.startswith("grt-batch: The cold storage refused: s3://")
    assert "secretive" not in answer.err
    assert uploads.contents() == before


def test_a_network_that_is_gone_ends_with_4(archive: Call, uploads: ColdSite, monkeypatch: pytest.MonkeyPatch) -> None:
    before = uploads.contents()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    answer = archive()
    assert answer.code == 4
    assert f'Could not connect to the endpoint URL: "http://127.0.0.1:{port}/' in answer.err.splitlines()[-1]
    assert uploads.contents() == before


def test_a_run_that_holds_the_lock_ends_it_with_5(archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    before = uploads.contents()
    with lock(uploads.config.work):
        answer = archive()
    assert (answer.code, len(bucket.keys()), uploads.contents()) == (5, 3, before)
    with lock(uploads.config.work / "cold"):
        answer = archive()
    assert (answer.code, answer.out) == (5, "")


def test_no_marker_holds_a_secret(archive: Call, uploads: ColdSite, bucket: Bucket) -> None:
    archive()
    (marker,) = uploads.config.uploads.rglob("6.cold")
    document = json.loads(marker.read_text(encoding="utf-8"))
    assert document["sha256"] == hashlib.sha256(bucket.content("raw/a/6.tar.gz") or b"").hexdigest()
    assert "testing" not in str(document)
    assert "secretive" not in str(document)
