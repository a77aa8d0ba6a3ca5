"""The command that brings raw archives back from cold storage; its steps are tested with them."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Answer, Call
from coming_and_going import Site
from frozen import Bucket, ColdSite, cold_site, error

from grt_batch.cold.policy import RUN
from grt_batch.core.work_folder import lock
from grt_batch.service import on_upload
from grt_batch.uploads.cold import read_cold


@pytest.fixture
def uploads(tmp_path: Path) -> ColdSite:
    return cold_site(tmp_path)


@pytest.fixture
def restore(call: Call, uploads: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command over uploads whose archives are in cold storage."""
    monkeypatch.setenv("GRT_BATCH_COLD_STORAGE_CLASS", "GLACIER")
    assert call("archive", "--to", bucket.url, "--after-days", "0", *uploads.options()).code == 0
    bucket.store.asked.clear()

    def run(*arguments: object) -> Answer:
        return call("restore", *uploads.options(), *arguments)

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["instance"], 2, "'instance' is not NAME=VALUE"),
        (["what=x"], 2, "it has no 'what'"),
        (["instance=a", "--all"], 2, "--all leaves nothing to choose"),
        (["--tier", "quick"], 2, "'quick' is not one of"),
        (["instance=nobody"], 3, "no archive in cold storage passes the filter"),
    ],
    ids=str,
)
def test_wrong_arguments_end_with_a_line(restore: Call, arguments: list[str], code: int, said: str) -> None:
    answer = restore(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.complaint


def test_a_later_call_fetches_what_has_thawed(restore: Call, uploads: ColdSite, bucket: Bucket) -> None:
    assert restore().out == "restored 0 archives (0 bytes)\n"
    asked = restore("instance=a", "--tier", "standard")
    assert (asked.code, asked.err) == (0, "")
    *lines, last = asked.out.splitlines()
    assert [re.sub("20[0-9T:+-]+", "…", line) for line in lines] == [
        f"a/{name}: under way since …, standard" for name in (6, 4)
    ]
    assert last == "restored 0 archives (0 bytes); 2 archives under way"
    bucket.thaw()
    done = restore()
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "a/6: restored (1500 bytes)",
        "a/4: restored (1000 bytes)",
        "restored 2 archives (2500 bytes)",
    ]
    assert list(uploads.contents()) == ["a/4", "a/6"]
    assert restore().out == "restored 0 archives (0 bytes)\n"


def test_status_shows_what_is_remembered(restore: Call, uploads: ColdSite, bucket: Bucket) -> None:
    assert restore("--status").out == "0 archives under way (0 bytes)\n"
    restore("archive=6")
    bucket.store.asked.clear()
    answer = restore("--status")
    copy = uploads.marker("a/6")
    assert copy is not None
    assert (answer.code, answer.err, bucket.store.asked) == (0, "", [])
    titles, row, last = answer.out.splitlines()
    assert re.split("  +", titles) == ["instance", "archive", "bytes", "class", "tier", "asked for", "copy"]
    assert row.split() == ["a", "6", "1500", "GLACIER", "expedited", copy.thawing, f"{bucket.url}/a/6.tar.gz"]
    assert last == "1 archive under way (1500 bytes)"


def test_a_dry_run_only_asks_what_would_be_done(restore: Call, uploads: ColdSite, bucket: Bucket) -> None:
    answer = restore("--all", "--dry-run")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "a/6: would be asked for, expedited or standard from GLACIER (1500 bytes)",
        "a/4: would be asked for, expedited or standard from GLACIER (1000 bytes)",
        "b/5: would be asked for, expedited or standard from GLACIER (1000 bytes)",
        "would restore 3 archives (3500 bytes)",
    ]
    assert set(bucket.store.asked) == {"HeadObject"}
    assert uploads.contents() == {}


def test_some_that_fail_end_with_1_and_a_store_that_refuses_with_4(restore: Call, bucket: Bucket) -> None:
    refused = error("403 Forbidden", "AccessDenied")
    bucket.store.faults["HeadObject"] = [refused] * 3
    answer = restore("--all")
    assert answer.code == 4
    assert answer.err.splitlines()[-1].startswith("grt-batch: The cold storage refused: s3://")
    bucket.store.faults["HeadObject"] = [refused]
    answer = restore("--all")
    assert answer.code == 1
    assert answer.out.splitlines()[-1] == "restored 0 archives (0 bytes); 2 archives under way; 1 archive failed"
    assert "Forbidden" in answer.complaint


def test_two_calls_do_not_meet(restore: Call, uploads: ColdSite) -> None:
    with lock(uploads.config.work / "cold"):
        assert restore("--all").code == 5
    assert uploads.contents() == {}


def test_a_run_follows_when_all_are_there(
    call: Call,
    grt_batch: Callable[..., subprocess.CompletedProcess[str]],
    site: Site,
    site_options: list[object],
    tmp_path: Path,
) -> None:
    """From a folder, whose copies can be read at once."""
    assert call("run", *site_options, "--no-html").code == 0
    before, tape = site.jobs(), tmp_path / "tape"
    *folders, database, _, _ = site_options
    folders.append(database)
    assert call("archive", "--to", tape.as_uri(), "--after-days", "0", *folders[:2], *folders[4:6]).code == 0
    assert not list(site.config.uploads.rglob("*.tar.gz"))
    missing = (tape / "a" / "2.tar.gz").rename(tape / "2")
    answer = call("restore", "instance=a", "--then-run", *folders)
    assert (answer.code, len(list(site.config.uploads.rglob("*.tar.gz")))) == (1, 2)
    missing.rename(tape / "a" / "2.tar.gz")
    with lock(site.config.work):
        answer = call("restore", "instance=a", "--then-run", *folders)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1].startswith("the run that was asked for waits")
    markers = sorted(site.config.uploads.rglob("*.cold"))
    assert [read_cold(marker).request.get(RUN) for marker in markers] == [True, True, True, None]
    done = grt_batch("restore", *folders)
    assert done.returncode == 0, done.stderr
    assert "4 archives published in" in done.stdout
    assert not any(RUN in read_cold(marker).request for marker in markers)
    assert site.jobs() == before
    assert call("restore", *folders).out == "restored 0 archives (0 bytes)\n"


def test_a_run_that_fails_is_started_again(
    call: Call, uploads: ColdSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, commands = [4, 0], []

    def start(command: str) -> int:
        commands.append(shlex.split(command)[3:])
        return codes.pop(0)

    monkeypatch.setattr(on_upload, "start", start)
    tape = (tmp_path / "tape").as_uri()
    assert call("archive", "--to", tape, "--after-days", "0", *uploads.options()).code == 0
    assert call("restore", "--all", "--then-run", *uploads.options()).code == 4
    assert call("restore", *uploads.options()).code == 0
    assert call("restore", *uploads.options()).code == 0
    places = [f"--uploads={uploads.config.uploads}", f"--work={uploads.config.work}"]
    assert commands == [["run", "--recalculate", "--instance=a", "--instance=b", *places]] * 2
