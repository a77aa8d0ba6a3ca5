"""The commands that tell of archives that come, change and go, and that look after the store."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from calling import AS_OF, Call, places
from coming_and_going import Site, small_site

from grt_batch.core.errors import Locked, NoIndex
from grt_batch.core.work_folder import lock


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    return small_site(tmp_path, database)


@pytest.fixture
def options(site: Site, tmp_path: Path) -> list[object]:
    """The options of a run."""
    return ["--uploads", site.config.uploads, *places(tmp_path), "--database", site.config.database, "--as-of", AS_OF]


def plan(call: Call, site: Site, *arguments: object) -> dict[str, tuple[str, str]]:
    """The state of each archive, and why."""
    places = ["--uploads", site.config.uploads, "--work", site.config.work]
    answer = call("plan", *places, "--print", "json", *arguments)
    assert (answer.code, answer.err) == (0, "")
    return {
        f"{row['instance']}/{row['archive']}": (row["state"], row["why"]) for row in json.loads(answer.out)["archives"]
    }


def status(call: Call, site: Site) -> dict[str, str]:
    """The parts of the ledger, by their titles."""
    answer = call("status", "--database", site.config.database, "--work", site.config.work)
    assert (answer.code, answer.err) == (0, "")
    return {(lines := part.partition(":"))[0]: lines[2].strip() for part in answer.out.strip().split("\n\n")}


def entries(site: Site) -> int:
    return sum(1 for _ in site.store.entries())


def test_archives_that_change_and_go_are_seen_in_plan_and_status(
    call: Call, site: Site, options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", *options, "tools", "instances").code == 0
    assert (status(call, site)["removed"], status(call, site)["replaced"]) == ("none", "none")
    stays = "its numbers stay until --forget"
    site.remove("a", "1")
    site.write("a", "2", [3, 4, 7])
    (site.config.uploads / "a" / "archives" / "3.json").unlink()
    assert plan(call, site, "tools", "instances") == {
        "a/1": ("removed", f"its files were removed; {stays}"),
        "a/2": ("changed", "its tar.gz has changed since it was read"),
        "a/3": ("incomplete", f"3.tar.gz has no 3.json; {stays}"),
        "b/1": ("cached", "read before"),
    }
    answer = call("run", *options, "tools", "instances")
    assert answer.code == 0
    assert answer.out.endswith(" (0 archives in quarantine, 1 incomplete, 4 lines rejected, 1 removed)\n")
    parts = status(call, site)
    (removed,) = parts["removed"].splitlines()[1:]
    assert removed.split()[:2] == ["a", "1"]
    assert removed.endswith(f"its files were removed; {stays}")
    (incomplete,) = parts["not published"].splitlines()[1:]
    assert incomplete.split()[:3] == ["a", "3", "incomplete"]
    assert incomplete.endswith(f"3.tar.gz has no 3.json; {stays}")
    (replaced,) = parts["replaced"].splitlines()[1:]
    assert replaced.split()[:2] == ["a", "2"]
    assert set(plan(call, site)) == {"a/1", "a/2", "a/3", "b/1"}
    # What is young is left alone, and counts as it was.
    monkeypatch.setenv("GRT_BATCH_SETTLE_SECONDS", "3600")
    young = f"changed within the settle time; {stays}"
    assert plan(call, site, "--instance", "b", "tools") == {"b/1": ("incomplete", young)}
    # What it was not read for then cannot be had of it now.
    assert plan(call, site, "--instance", "b", "params") == {"b/1": ("incomplete", f"{young}, but not in params")}


def test_forget_is_an_option_of_a_run(call: Call, site: Site, options: list[object]) -> None:
    call("run", *options, "tools", "instances")
    site.remove("a", "1")
    shutil.rmtree(site.config.uploads / "b")
    looked = call("run", *options, "--forget", "--dry-run", "tools")
    assert [line.split()[:2] for line in looked.out.splitlines()[1:-1]] == [["a", "2"], ["a", "3"]]
    assert set(plan(call, site)) == {"a/1", "a/2", "a/3", "b/1"}
    answer = call("run", *options, "--forget", "--instance", "b", "tools", "instances")
    assert (answer.code, answer.err.count("forgot 1 removed archive: b/1\n")) == (0, 1)
    assert set(plan(call, site)) == {"a/1", "a/2", "a/3"}
    assert call("plan", "--uploads", site.config.uploads, "--work", site.config.work, "--instance", "b").code == 3


def test_gc_says_by_kind_what_it_kept_and_what_it_removed(call: Call, site: Site, options: list[object]) -> None:
    call("run", *options, "tools")
    site.store.put("partial", "0" * 40, bytes(76))
    before = entries(site)
    looked = call("gc", "--work", site.config.work, "--dry-run")
    assert (looked.code, looked.err, entries(site)) == (0, "", before)
    done = call("gc", "--work", site.config.work)
    assert (done.code, done.err) == (0, "")
    assert looked.out.replace("to remove", "removed").split() == done.out.split()
    titles, *rows = done.out.splitlines()
    assert titles.split("  ")[0] == "kind"
    assert [row.split()[0] for row in rows] == [
        "account", "jobs", "merged", "partial", "rejects", "superseded", "superseding", "in",
    ]  # fmt: skip
    # The partial of nobody, and that of an archive before it was known which jobs come again.
    assert rows[3].split()[3] == "2"
    kept, _, removed, _ = map(int, rows[-1].removeprefix("in all").split())
    assert (kept, removed) == (entries(site), 2)
    again = call("gc", "--work", site.config.work).out.splitlines()[-1]
    assert again.removeprefix("in all").split()[2:] == ["0", "0"]


def test_gc_waits_for_no_run(call: Call, site: Site, options: list[object]) -> None:
    call("run", *options, "tools")
    before = entries(site)
    with lock(site.config.work):
        answer = call("gc", "--work", site.config.work)
    assert answer.code == Locked.exit_code
    assert f"process {os.getpid()}" in answer.complaint
    assert entries(site) == before


def test_gc_makes_room_on_a_full_disk(
    call: Call, site: Site, options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("run", *options, "tools")
    before = entries(site)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for step in ("os.write", "os.fsync", "os.truncate"):
        monkeypatch.setattr(step, full)
    answer = call("gc", "--work", site.config.work)
    assert (answer.code, answer.err) == (0, "")
    assert entries(site) == before - 1


def test_gc_lets_nothing_go_where_it_is_not_known_what_is_needed(call: Call, site: Site, options: list[object]) -> None:
    call("run", *options, "tools")
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


def test_a_plan_says_that_the_index_is_damaged(call: Call, site: Site) -> None:
    site.config.work.mkdir()
    (site.config.work / "index.json").write_text("{")
    answer = call("plan", "--uploads", site.config.uploads, "--work", site.config.work)
    assert answer.code == 0
    index = site.config.work / "index.json"
    assert f"damaged: {index}; it is not known any more which archives were removed\n" in answer.out
