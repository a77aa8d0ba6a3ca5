"""The command that shows the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from calling import Call, places, planned
from cold_storage import freeze
from coming_and_going import Site

from grt_batch.core.errors import NothingPublished

LEDGER = ("instances", "archives", "not published", "removed", "last runs")


def status(call: Call, *options: object) -> dict[str, str]:
    """The parts of the ledger, by their titles."""
    answer = call("status", *options)
    assert (answer.code, answer.err) == (0, "")
    return {(lines := part.partition(":"))[0]: lines[2].strip() for part in answer.out.strip().split("\n\n")}


def test_status_shows_the_ledger(call: Call, finished: SimpleNamespace) -> None:
    parts = status(call, "--database", finished.database)
    assert list(parts) == [*LEDGER, "replaced", "miscounted", "implausible", "storage", "cold", "targets", "held"]
    assert len(parts["instances"].splitlines()) == 3
    assert {row.split()[1] for row in parts["archives"].splitlines()[1:]} == {"published", "quarantined", "incomplete"}
    assert "the hash in " in parts["not published"]
    assert json.loads((finished.reports / "latest" / "run.json").read_text())["run_id"] in parts["last runs"]


def test_archives_that_change_and_go_are_seen_in_plan_and_status(
    call: Call, site: Site, site_options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", *site_options, "tools", "instances").code == 0
    ledger = ["--database", site.config.database, "--work", site.config.work]
    parts = status(call, *ledger)
    assert (parts["removed"], parts["replaced"]) == ("none", "none")
    stays = "its numbers stay until --forget"
    site.remove("a", "1")
    site.write("a", "2", [3, 4, 7])
    (site.config.uploads / "a" / "archives" / "3.json").unlink()
    assert planned(call, site.config, "tools", "instances") == {
        "a/1": ("removed", f"its files were removed; {stays}"),
        "a/2": ("changed", "its tar.gz has changed since it was read"),
        "a/3": ("incomplete", f"3.tar.gz has no 3.json; {stays}"),
        "b/1": ("cached", "read before"),
    }
    answer = call("run", *site_options, "tools", "instances")
    assert answer.code == 0
    assert answer.out.endswith(" (0 archives in quarantine, 1 incomplete, 4 lines rejected, 1 removed)\n")
    parts = status(call, *ledger)
    (removed,) = parts["removed"].splitlines()[1:]
    assert removed.split()[:2] == ["a", "1"]
    assert removed.endswith(f"its files were removed; {stays}")
    (incomplete,) = parts["not published"].splitlines()[1:]
    assert incomplete.split()[:3] == ["a", "3", "incomplete"]
    assert incomplete.endswith(f"3.tar.gz has no 3.json; {stays}")
    (replaced,) = parts["replaced"].splitlines()[1:]
    assert replaced.split()[:2] == ["a", "2"]
    assert set(planned(call, site.config)) == {"a/1", "a/2", "a/3", "b/1"}
    # What is young is left alone, and counts as it was.
    monkeypatch.setenv("GRT_BATCH_SETTLE_SECONDS", "3600")
    young = f"changed within the settle time; {stays}"
    assert planned(call, site.config, "--instance", "b", "tools") == {"b/1": ("incomplete", young)}
    # What it was not read for then cannot be had of it now.
    assert planned(call, site.config, "--instance", "b", "params") == {
        "b/1": ("incomplete", f"{young}, but not in params")
    }


def test_status_shows_what_is_cold_and_what_that_costs(
    call: Call, site: Site, site_options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", *site_options, "tools", "instances").code == 0
    freeze(site.config.uploads / "a" / "archives" / "1.tar.gz", storage_class="DEEP_ARCHIVE")
    freeze(site.config.uploads / "a" / "archives" / "2.tar.gz", thawing="2024-06-30T13:00:00Z")
    ledger = ["--uploads", site.config.uploads, "--database", site.config.database, "--work", site.config.work]
    parts = status(call, *ledger)
    assert parts["storage"].splitlines()[0].split() == ["instance_id", "place", "archives", "bytes"]
    assert [row.split()[:3] for row in parts["storage"].splitlines()[1:]] == [
        ["*", "hot", "2"], ["*", "cold", "1"], ["*", "thawing", "1"],
        ["a", "hot", "1"], ["a", "cold", "1"], ["a", "thawing", "1"], ["b", "hot", "1"],
    ]  # fmt: skip
    assert [row.split()[:3] for row in parts["cold"].splitlines()[1:]] == [["a", "1", "cold"], ["a", "2", "thawing"]]
    # They are published all the same.
    assert parts["not published"] == "none"
    assert parts["removed"] == "none"
    monkeypatch.setenv("GRT_BATCH_COLD_PRICE", "1000000")
    monkeypatch.setenv("GRT_BATCH_CURRENCY", "EUR")
    first = status(call, *ledger)["storage"].splitlines()
    assert first[0].endswith("EUR a month")
    assert float(first[1].split()[-1]) == 0
    assert float(first[2].split()[-1]) > 0


def test_status_fails_where_something_is_wrong(call: Call, finished: SimpleNamespace, tmp_path: Path) -> None:
    asked = ["--reports", finished.reports, "--work", finished.folder / "work", "--fail-if"]
    answer = call("status", *asked, "quarantine")
    assert (answer.code, answer.err, answer.out.count("\n")) == (1, "", 1)
    assert answer.out.startswith("quarantine: Archive ")
    answer = call("status", *asked, "failed, held")
    assert (answer.code, answer.out) == (0, "ok: nothing is failed or held\n")
    kinds = {line.partition(":")[0] for line in call("status", *asked, "late,warning,quarantine").out.splitlines()}
    assert kinds == {"quarantine"}
    assert "there is no 'lte'" in call("status", *asked, "late,lte").complaint
    answer = call("status", *places(tmp_path), "--fail-if", "late")
    assert (answer.code, answer.complaint) == (4, str(NothingPublished(reports=tmp_path / "reports")))
