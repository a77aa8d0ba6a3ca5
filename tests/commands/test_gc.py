"""The command that cleans the store."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from calling import Call
from coming_and_going import Site

from grt_batch.core.errors import Locked, NoIndex
from grt_batch.core.work_folder import beside, lock


def entries(site: Site) -> int:
    return sum(1 for _ in site.store.entries())


def test_gc_says_by_kind_what_it_kept_and_what_it_removed(call: Call, site: Site, site_options: list[object]) -> None:
    call("run", *site_options, "tools")
    site.store.put("partial", "0" * 40, bytes(76))
    before = entries(site)
    looked = call("gc", "--work", site.config.work, "--dry-run")
    assert (looked.code, looked.err, entries(site)) == (0, "", before)
    done = call("gc", "--work", site.config.work)
    assert (done.code, done.err) == (0, "")
    assert looked.out.replace("to remove", "removed").split() == done.out.split()
    titles, *rows = done.out.splitlines()
    assert titles.split("  ")[0] == "kind"
    assert [row.split()[0] for row in rows] == ["account", "ids", "merged", "partial", "rejects", "superseded", "in"]
    # The partial of nobody.
    assert rows[3].split()[3] == "1"
    kept, _, removed, _ = map(int, rows[-1].removeprefix("in all").split())
    assert (kept, removed) == (entries(site), 1)
    again = call("gc", "--work", site.config.work).out.splitlines()[-1]
    assert again.removeprefix("in all").split()[2:] == ["0", "0"]


def test_gc_waits_for_no_run(call: Call, site: Site, site_options: list[object]) -> None:
    call("run", *site_options, "tools")
    before = entries(site)
    with lock(site.config.work):
        answer = call("gc", "--work", site.config.work)
    assert answer.code == Locked.exit_code
    assert f"process {os.getpid()}" in answer.complaint
    assert entries(site) == before


def test_gc_makes_room_on_a_full_disk(
    call: Call, site: Site, site_options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("run", *site_options, "tools")
    site.store.put("partial", "0" * 40, bytes(76))
    before = entries(site)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for step in ("os.write", "os.fsync", "os.truncate"):
        monkeypatch.setattr(step, full)
    answer = call("gc", "--work", site.config.work)
    assert (answer.code, answer.err) == (0, "")
    assert entries(site) == before - 1


def test_gc_lets_nothing_go_where_it_is_not_known_what_is_needed(
    call: Call, site: Site, site_options: list[object]
) -> None:
    call("run", *site_options, "tools")
    before = entries(site)
    (site.config.work / "index.json").unlink()
    answer = call("gc", "--work", site.config.work)
    assert answer.code == NoIndex.exit_code
    assert answer.complaint == str(NoIndex(file=site.config.work / "index.json"))
    assert entries(site) == before


def test_gc_of_nothing_is_nothing(call: Call, tmp_path: Path) -> None:
    answer = call("gc", "--work", tmp_path / "work")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1].split() == ["in", "all", "0", "0", "0", "0"]


def test_gc_waits_for_no_backfill(call: Call, site: Site, site_options: list[object]) -> None:
    call("run", *site_options, "tools")
    with beside(site.config.work):
        answer = call("gc", "--work", site.config.work)
    assert (answer.code, answer.complaint) == (5, str(Locked(holder="a backfill", work=site.config.work)))
