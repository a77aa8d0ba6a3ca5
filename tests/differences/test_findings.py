"""Which report sets the rules of [gate] hold back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.differences.findings import Finding, findings, told

TITLES = ("instance_id", "archive", "sha256", "jobs", "superseded", "rejected", "metrics", "params", "datasets")
Line = tuple[object, ...]

PUBLISHED: tuple[Line, ...] = (
    ("a", "1", "h1", 60, 10, 0, 40, 0, 0),
    ("a", "2", "h2", 50, 0, 0, 0, 0, 0),
    ("b", "1", "h3", 10, 0, 0, 0, 0, 0),
    ("c", "1", "h4", 0, 0, 0, 0, 0, 0),
)


def write(folder: Path, *archives: Line, **tables: int) -> Path:
    """A set with these archives, and with tables of so many rows."""
    folder.mkdir()
    lines = [TITLES, *archives]
    (folder / "archive.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    for name, rows in tables.items():
        (folder / f"{name}.tsv").write_text("title\n" + "row\n" * rows)
    return folder


def found(folder: Path, *archives: Line, **rules: object) -> list[tuple[str, str, float]]:
    """What is found of these archives, against the published ones."""
    sets = write(folder / "before", *PUBLISHED), write(folder / "after", *archives)
    return [(finding.rule, finding.subject, finding.percent) for finding in findings(Config(**rules), *sets)]  # type: ignore[arg-type]


def test_the_same_is_never_held(tmp_path: Path) -> None:
    rules = {"gate_jobs_fell": 0, "gate_vanished": 1, "gate_rejected": 0, "gate_shrunk": {"*": 0}}
    assert found(tmp_path, *PUBLISHED, **rules) == []


@pytest.mark.parametrize(("most", "held"), [(49, True), (50, False), (100, False)])
def test_jobs_of_an_instance_fall(tmp_path: Path, most: float, held: bool) -> None:
    archives = (("a", "1", "h1", 60, 10, 0, 40, 0, 0), ("a", "2", "h2", 0, 0, 0, 0, 0, 0), PUBLISHED[2])
    assert found(tmp_path, *archives, gate_jobs_fell=most) == [("gate_jobs_fell", "a", 50.0)] * held


@pytest.mark.parametrize(("most", "held"), [(0, False), (1, True), (2, False)])
def test_instances_vanish(tmp_path: Path, most: int, held: bool) -> None:
    """One without jobs cannot vanish."""
    assert found(tmp_path, *PUBLISHED[:2], gate_vanished=most) == [("gate_vanished", "b", 100.0)] * held


@pytest.mark.parametrize("archives", [(), (("d", "1", "h", 500, 0, 0, 0, 0, 0),)], ids=["nothing", "others"])
def test_without_a_rule_only_the_loss_of_all_is_a_fault(tmp_path: Path, archives: tuple[Line, ...]) -> None:
    assert found(tmp_path, *archives) == [("gate_vanished", "a", 100.0), ("gate_vanished", "b", 100.0)]


@pytest.mark.parametrize(("most", "held"), [(24, True), (25, False)])
def test_lines_of_a_new_archive_are_rejected(tmp_path: Path, most: float, held: bool) -> None:
    """25 of 100. An archive that was published with as many has been looked at."""
    bad = (10, 0, 25, 20, 20, 25)
    archives = {"a/3": "h5", "a/4": "h6", "b/1": "h7"}
    old, *new = ((*name.split("/"), sha256, *bad) for name, sha256 in archives.items())
    sets = write(tmp_path / "before", *PUBLISHED, old), write(tmp_path / "after", old, *new)
    rejected = [finding.subject for finding in findings(Config(gate_rejected=most), *sets)]
    assert rejected == ["a/4", "b/1"] * held


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ({}, []),
        ({"*": 49}, ["one", "two"]),
        ({"one": 49}, ["one"]),
        ({"*": 49, "one": 50}, ["two"]),
        ({"*": 50}, []),
    ],
    ids=str,
)
def test_tables_shrink(tmp_path: Path, rule: dict[str, float], held: list[str]) -> None:
    before = write(tmp_path / "before", one=10, two=4, empty=0, gone=9)
    after = write(tmp_path / "after", one=5, two=2, empty=0, came=1)
    shrunk = findings(Config(gate_shrunk=rule), before, after)
    assert [(finding.subject, finding.percent) for finding in shrunk] == [(name, 50.0) for name in held]


def test_files_that_stay_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = write(tmp_path / "before", one=10), write(tmp_path / "after")
    os.link(before / "one.tsv", after / "one.tsv")
    (after / "archive.tsv").unlink()
    os.link(before / "archive.tsv", after / "archive.tsv")
    for reader in ("_rows", "_archives"):
        monkeypatch.setattr(f"grt_batch.differences.findings.{reader}", None)
    assert findings(Config(gate_shrunk={"*": 0}), before, after) == []


@pytest.mark.parametrize("text", ["", "instance_id\tarchive\n", "\t".join(TITLES) + "\na\tb\n"])
def test_of_a_set_that_somebody_changed_nothing_is_known(tmp_path: Path, text: str) -> None:
    before, after = write(tmp_path / "before"), write(tmp_path / "after", *PUBLISHED)
    (before / "archive.tsv").write_text(text)
    assert findings(Config(gate_vanished=1, gate_jobs_fell=0), before, after) == []
    (before / "archive.tsv").unlink()
    assert findings(Config(gate_vanished=1, gate_jobs_fell=0), before, after) == []


def test_what_was_let_through_covers_no_more_than_that() -> None:
    seen = Finding("gate_jobs_fell", "a", 40.0, "")
    assert seen.covers(Finding("gate_jobs_fell", "a", 40.0, "as bad"))
    assert seen.covers(Finding("gate_jobs_fell", "a", 30.0, "better"))
    assert not seen.covers(Finding("gate_jobs_fell", "a", 41.0, "worse"))
    assert not seen.covers(Finding("gate_jobs_fell", "b", 40.0, "another"))
    assert not seen.covers(Finding("gate_rejected", "a", 40.0, "another rule"))


def test_the_first_findings_are_told() -> None:
    some = [Finding("gate_vanished", str(i), 100.0, f"reason {i}") for i in range(5)]
    assert told(some[:1]) == "reason 0"
    assert told(some[:3]) == "reason 0; reason 1; reason 2"
    assert told(some) == "reason 0; reason 1; reason 2; and 2 more reasons"
