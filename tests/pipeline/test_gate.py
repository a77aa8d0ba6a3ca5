"""A run whose report set breaks a rule publishes nothing, and keeps the set for a person to decide."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from calling import query
from coming_and_going import AS_OF, MODULES, Site, compute_nothing
from exporting import contents
from places import REAL
from runs import copy_uploads, published

from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig, CannotWrite, Held
from grt_batch.core.work_folder import lock
from grt_batch.differences.findings import Finding
from grt_batch.differences.held import discard, held_set, held_sets
from grt_batch.differences.report_sets import compare_sets
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.gate import Gate, known_tables
from grt_batch.pipeline.planned import Step
from grt_batch.pipeline.preview import preview
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.pipeline.run import execute

DAY = AS_OF.isoformat()


def with_rules(site: Site, **rules: object) -> Site:
    return Site(replace(site.config, **rules))


def in_database(site: Site) -> list[tuple[object, ...]]:
    return query(site.config.database, "SELECT instance_id, jobs, ctid::text FROM grt.instance ORDER BY 1") + query(
        site.config.database, "SELECT run_id FROM grt.run"
    )


def let_through(site: Site, *findings: Finding, **changes: object) -> RunSummary:
    request = replace(RunRequest(config=site.config, as_of=AS_OF, modules=MODULES), run_id="again", **changes)
    with lock(site.config.work):
        return execute(request, SerialExecutor(), lambda: nullcontext(site.config.database), gate=Gate(findings))


def shrink(site: Site) -> None:
    """Instance a loses two of its six jobs, without an archive of it going."""
    site.write("a", "3", [])


def test_a_held_run_publishes_nothing_and_keeps_its_set(site: Site) -> None:
    site = with_rules(site, gate_jobs_fell=30)
    site.run()
    before, rows, states = published(site.config.reports), in_database(site), site.plan()
    shrink(site)
    with pytest.raises(Held, match=r"instance a has 4 of 6 jobs, 33\.3 % less") as caught:
        site.run()
    assert caught.value.exit_code == 7
    assert published(site.config.reports) == before
    assert in_database(site) == rows
    held = held_set(site.config.reports)
    assert held.folder == caught.value.folder == site.config.reports / "held" / DAY
    assert [(found.rule, found.subject) for found in held.findings] == [("gate_jobs_fell", "a")]
    assert (set(held.modules), held.as_of, held.forget, held.settled) == ({*MODULES}, AS_OF, False, False)
    assert json.loads((held.folder / "run.json").read_text())["state"] == "held"
    assert (held.folder / "rejects" / "a" / "1.tsv").is_file()
    differences = (held.folder / "differences.tsv").read_text().splitlines()
    assert differences[0].startswith("table\tkey\twhat\t")
    assert any(line.startswith("archive\tinstance_id=a, archive=3\tchanged\t") for line in differences)
    assert not list((site.config.reports / ".sets").glob(f"{DAY}.*{held.run_id}*"))
    # The file of other content is read again by the next run, and all else is as it was.
    assert site.plan() == {**states, "a/3": (Step.CHANGED, "its tar.gz has changed since it was read")}


def test_the_next_run_keeps_what_is_held(site: Site) -> None:
    site = with_rules(site, gate_jobs_fell=30)
    site.run()
    shrink(site)
    for _ in range(2):
        with pytest.raises(Held):
            site.run()
    with pytest.raises(Held):
        site.run(as_of=AS_OF + timedelta(1))
    site.write("a", "3", [5, 6])
    site.run(as_of=AS_OF + timedelta(2))
    found = held_sets(site.config.reports)
    assert [(held.as_of, held.settled) for held in found] == [(AS_OF, True), (AS_OF + timedelta(1), True)]
    discard(found[0])
    assert held_sets(site.config.reports) == found[1:]


def test_what_is_let_through_is_what_was_held(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = with_rules(site, gate_jobs_fell=30)
    site.run()
    site.write("b", "2", [2])
    shrink(site)
    with pytest.raises(Held):
        site.run()
    held = held_set(site.config.reports)
    let_through(site, *held.findings)
    tables = {Path(name).name: raw for name, raw in published(site.config.reports).items() if "latest" in name}
    assert tables == {name: (held.folder / name).read_bytes() for name in tables}
    assert site.jobs() == {"a": 4, "b": 2}
    compute_nothing(monkeypatch)
    site.run()


def test_only_what_was_seen_is_let_through(site: Site) -> None:
    site = with_rules(site, gate_jobs_fell=30, gate_vanished=1)
    site.run()
    shrink(site)
    with pytest.raises(Held):
        site.run()
    seen = held_set(site.config.reports).findings
    # Fewer still, and then another instance: neither was seen.
    site.write("a", "2", [])
    with pytest.raises(Held, match="instance a has 3 of 6 jobs"):
        let_through(site, *seen)
    site.write("a", "2", [3, 4])
    site.write("b", "1", [])
    with pytest.raises(Held, match=r"^[^;]*instance b has none of its 1 job any more\."):
        let_through(site, *seen)
    # Better than what was seen.
    site.write("b", "1", [1, 2])
    site.write("a", "3", [5])
    with pytest.raises(Held):
        with_rules(site, gate_jobs_fell=10).run()
    let_through(with_rules(site, gate_jobs_fell=10), *seen)


def test_a_set_without_any_of_the_old_jobs_is_held_whatever_the_rules(site: Site, tmp_path: Path) -> None:
    """As with the uploads of somebody else, or a work folder and archives that are lost together."""
    site.run()
    other = Site(replace(site.config, uploads=tmp_path / "others", work=tmp_path / "new"))
    other.write("c", "1", [1, 2])
    with pytest.raises(Held, match="instance a has none of its 6 jobs any more"):
        other.run()
    assert site.jobs() == {"a": 6, "b": 1}
    # That it was never published is known, too: nothing of it stays when its files go.
    other.write("d", "1", [1])
    other.remove_instance("c")
    assert other.plan() == {"d/1": (Step.NEW, "never read")}


def test_what_was_held_and_removed_leaves_no_trace(site: Site) -> None:
    site = with_rules(site, gate_rejected=20)
    site.run()
    site.write("a", "4", [7])
    with pytest.raises(Held, match="of archive a/4 20"):
        with_rules(site, gate_rejected=19).run()
    site.remove("a", "4")
    site.run()
    assert "a/4" not in site.states()


def test_removed_archives_keep_their_numbers_through_a_hold(site: Site) -> None:
    site = with_rules(site, gate_jobs_fell=30)
    site.run()
    shrink(site)
    with pytest.raises(Held):
        site.run()
    site.remove("a", "3")
    site.run()
    assert site.jobs() == {"a": 6, "b": 1}


def test_a_published_set_that_somebody_changed_lets_nothing_through(site: Site) -> None:
    site = with_rules(site, gate_jobs_fell=30)
    site.run()
    shrink(site)
    (site.config.reports / "latest" / "param.tsv").write_text("no table\n")
    with pytest.raises(Held):
        site.run()
    assert not (held_set(site.config.reports).folder / "differences.tsv").exists()
    # Of which nothing is known, there is nothing to compare with.
    (site.config.reports / "latest" / "archive.tsv").write_text("instance_id\tarchive\na\tb\n")
    site.run()


def test_a_set_that_cannot_be_kept_is_not_published_either(site: Site) -> None:
    site = with_rules(site, gate_jobs_fell=30)
    site.run()
    before = published(site.config.reports)
    shrink(site)
    (site.config.reports / "held").write_text("a file")
    with pytest.raises(CannotWrite, match="reports/held"):
        site.run()
    assert site.plan()["a/3"][0] is Step.CHANGED
    assert published(site.config.reports) == before


def test_a_rule_about_no_table_is_refused(site: Site) -> None:
    with pytest.raises(BadConfig, match="gate_shrunk names no table with tool_usag"):
        with_rules(site, gate_shrunk={"tool_usag": 5}).run()
    assert not site.config.reports.exists()


def test_a_first_run_has_nothing_to_be_held_against(site: Site) -> None:
    """But for what is wrong by itself."""
    rules = with_rules(site, gate_jobs_fell=0, gate_vanished=1, gate_shrunk={"*": 0})
    with pytest.raises(Held, match=r"of archive a/1 7\.69 % of the lines are rejected; .*; and 1 more reason"):
        with_rules(rules, gate_rejected=0).run()
    assert not (held_set(site.config.reports).folder / "differences.tsv").exists()
    rules.run()
    assert site.jobs() == {"a": 6, "b": 1}


def test_sample_uploads_are_held_and_let_through(ran: Config, run_here: Callable[..., RunSummary]) -> None:
    """The newest archive is gone, and so is the work folder, which would have kept its numbers."""
    before = published(ran.reports)
    uploads = ran.work.parent / "uploads"
    copy_uploads(ran.uploads, uploads)
    config = replace(ran, uploads=uploads, work=ran.work.parent / "work2", gate_jobs_fell=5.0, gate_shrunk={"*": 0.0})
    newest = max(uploads.glob("*/archives/*.tar.gz"), key=lambda tar: float(tar.name.removesuffix(".tar.gz")))
    for ending in (".tar.gz", ".json"):
        newest.with_name(newest.name.replace(".tar.gz", ending)).unlink()
    with pytest.raises(Held) as caught:
        run_here(config)
    held = held_set(config.reports)
    instance = newest.parent.parent.name
    assert f"instance {instance} has " in str(caught.value)
    rules = {(finding.rule, finding.subject) for finding in held.findings}
    assert {("gate_jobs_fell", instance), ("gate_shrunk", "archive"), ("gate_shrunk", "instance_users")} <= rules
    assert published(config.reports) == before
    found = compare_sets(config.reports / "latest", held.folder, known_tables(config))
    gone = {row["table"] for row in found.records() if row["what"] == "went"}
    assert {"archive", "instance_users", "tool_day"} <= gone
    lines = (held.folder / "differences.tsv").read_bytes().splitlines()
    assert len(lines) == found.rows.height + 1
    run_here(replace(config, gate_jobs_fell=100.0, gate_shrunk={}))
    assert compare_sets(held.folder, config.reports / "latest", known_tables(config)).rows.is_empty()


@pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")
def test_real_uploads_differ_by_what_is_gone(
    tmp_path: Path, database: str, run_here: Callable[..., RunSummary]
) -> None:
    uploads = tmp_path / "uploads"
    copy_uploads(REAL / "exporter" / "uploads", uploads)
    config = Config(uploads, tmp_path / "reports", tmp_path / "work", database, gate_vanished=1)
    run_here(config, modules=MODULES)
    gone, stays = sorted(folder.name for folder in uploads.iterdir())
    shutil.rmtree(uploads / gone)
    # Its numbers stay, and so nothing is held, until they are to be forgotten.
    run_here(config, modules=MODULES)
    with pytest.raises(Held, match=f"instance {gone} has none of its "):
        run_here(config, modules=MODULES, forget=True)
    rows = list(
        compare_sets(config.reports / "latest", held_set(config.reports).folder, known_tables(config)).records()
    )
    assert {row["what"] for row in rows if row["key"].get("instance_id") == gone} == {"went"}
    assert not [row for row in rows if row["key"].get("instance_id") == stays]


def test_who_publishes_nothing_copies_nothing(site: Site, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="no fsspec: pip install 'grt-batch[s3]'")
    place = tmp_path / "elsewhere" / DAY
    site = with_rules(site, splitter_copy_to=place.parent.as_uri(), gate_jobs_fell=30)
    request = RunRequest(site.config, AS_OF, ("splitter",), run_id="preview")
    with lock(site.config.work):
        preview(request, SerialExecutor(), lambda: nullcontext(site.config.database))
    assert not place.exists()
    site.run(("splitter",))
    before = contents(place)
    assert before == contents(site.config.reports / "latest" / "splitter") != {}
    shrink(site)
    with pytest.raises(Held):
        site.run(("splitter",))
    assert contents(place) == before
    # What is let through is copied.
    let_through(site, *held_set(site.config.reports).findings, modules=("splitter",))
    assert contents(place) == contents(site.config.reports / "latest" / "splitter") != before
