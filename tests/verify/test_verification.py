"""A verification finds what is not as the raw archives say, names the table, and changes nothing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from build import line, write_archive
from calling import query
from cold_storage import freeze
from coming_and_going import AS_OF, MODULES, NOON, Site, small_site

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite
from grt_batch.core.work_folder import lock
from grt_batch.modules.registry import chosen, discover
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.keys import PARTIAL, partial_key
from grt_batch.pipeline.planned import first_day
from grt_batch.pipeline.request import RunSummary
from grt_batch.schema.members import Kind
from grt_batch.uploads.scan import scan
from grt_batch.verify.comparison import SAME, Comparison
from grt_batch.verify.verification import Verification, verify_published

LAST = AS_OF.isoformat()


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    """Two instances, of which nothing was published yet."""
    return small_site(tmp_path, database)


def verified(config: Config, *modules: str, scratch: Path | None = None) -> Verification:
    with lock(config.work):
        return verify_published(config, config.database, SerialExecutor(), modules, scratch)


def state(site: Site) -> dict[str, str]:
    """The hashes of all files but the lock, and of all rows."""
    folders = (site.config.uploads, site.config.work, site.config.reports)
    files = sorted(file for folder in folders for file in folder.rglob("*"))
    hashes = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}
    del hashes[str(site.config.work / "lock")]
    links = {str(file): str(file.readlink()) for file in files if file.is_symlink()}
    names = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384 ORDER BY 1"
    tables = [name for (name,) in query(site.config.database, names)]
    rows = {name: str(query(site.config.database, f"SELECT * FROM {name} AS t ORDER BY t::text")) for name in tables}
    return hashes | links | rows


def odd(verdict: Verification) -> dict[str, tuple[str, str]]:
    """What differs, in the reports and in the database."""
    found = verdict.reports, verdict.database
    return {name: tuple(place.get(name, SAME) for place in found) for name in verdict.different}  # type: ignore[misc]


def test_what_was_published_is_the_same_and_stays_as_it_is(site: Site, tmp_path: Path) -> None:
    site.run()
    before = state(site)
    verdict = verified(site.config)
    assert odd(verdict) == {}
    assert {"archive", "tool_usage", "param_value", "instance_status", "rejects/", "run"} <= verdict.reports.keys()
    assert verdict.reports.keys() - verdict.database.keys() == {"rejects/"}
    assert verdict.notes == ["not compared, since that run did not compute them: errors, inputs, metrics"]
    assert (tmp_path / "scratch").mkdir() is None
    assert odd(verified(site.config, scratch=tmp_path / "scratch")) == {}
    assert not list((tmp_path / "scratch").iterdir())
    assert state(site) == before


def test_all_tables_are_the_same(config: Config, good: Path, run_here: Callable[..., RunSummary]) -> None:
    config = replace(config, uploads=good)
    run_here(config)
    verdict = verified(config)
    assert (odd(verdict), verdict.notes) == ({}, [])
    tables = {table.name for module in discover().values() if not module.opt_in for table in module.tables}
    assert verdict.database.keys() == {*tables, "archive", "run"}


def test_each_damage_is_found_in_its_table_and_is_not_mended(site: Site) -> None:
    site.run()
    folder = site.config.reports / LAST
    usage = bytearray((folder / "tool_usage.tsv").read_bytes())
    usage[-2] ^= 1
    (folder / "tool_usage.tsv").write_bytes(usage)
    header, *rows = (folder / "param.tsv").read_bytes().splitlines(keepends=True)
    (folder / "param.tsv").write_bytes(b"".join([header, *reversed(rows)]))
    (folder / "tool_day.tsv").unlink()
    rejects = site.config.reports / "rejects"
    (rejects / "a" / "1.tsv").unlink()
    (rejects / "b" / "2.tsv").write_text("")
    summary = orjson.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_bytes(orjson.dumps(summary | {"rejected": 5}))
    for statement in (
        "UPDATE grt.tool SET name = 'other' WHERE tool_id = 'tool1'",
        "UPDATE grt.instance SET jobs = NULL WHERE instance_id = 'b'",
        "DELETE FROM grt.instance_month WHERE instance_id = 'a'",
        "INSERT INTO grt.instance_users VALUES ('b', '2024-01-01')",
        "DROP TABLE grt.param_value CASCADE",
        "ALTER TABLE grt.param DROP COLUMN listed_jobs CASCADE",
        "UPDATE grt.run SET jobs = 8",
    ):
        query(site.config.database, f"{statement}; COMMIT")
    before = state(site)
    found = odd(verified(site.config))
    assert found == {
        "tool_usage": ("1 row differs, first instance_id='b', period='all', tool_id='tool1', tool_version='1'", SAME),
        "param": ("the same rows, but not byte by byte", "has other columns"),
        "tool_day": ("lost", SAME),
        "rejects/": ("2 files differ, first a/1.tsv", SAME),
        "run": ("differs in rejected", "differs in jobs"),
        "tool": (SAME, "1 row differs, first tool_id='tool1', tool_version='1'"),
        "instance": (SAME, "1 row differs, first instance_id='b'"),
        "instance_month": (SAME, "1 row differs, first instance_id='a', month='2024-06'"),
        "instance_users": (SAME, "1 row differs, first instance_id='b', generated='2024-01-01 00:00:00'"),
        "param_value": (SAME, "lost"),
    }
    assert state(site) == before


def test_a_row_of_the_ledger_that_is_lost_hides_no_archive(site: Site) -> None:
    site.run()
    query(site.config.database, "DELETE FROM grt.archive WHERE archive = '3'; COMMIT")
    assert list(odd(verified(site.config))) == ["archive"]
    site.run(recalculate=True)
    (site.config.reports / LAST / "archive.tsv").write_bytes(b"\xff")
    assert odd(verified(site.config)) == {"archive": ("another header", SAME)}


def test_an_archive_that_is_another_now_is_named(site: Site) -> None:
    site.run()
    site.write("a", "3", [5, 6, 7])
    verdict = verified(site.config)
    assert {"archive", "instance", "tool_day", "tool_usage"} <= odd(verdict).keys()
    assert "1 row" in verdict.database["archive"]
    assert "archive='3'" in verdict.reports["archive"]
    assert "1 archive (a/3) changed since that run: another tar.gz" in verdict.notes
    # Damaged on the disk: its size and date may be as they were.
    site.write("a", "3", [5, 6])
    assert odd(verified(site.config)) == {}
    tar = site.config.uploads / "a" / "archives" / "3.tar.gz"
    tar.write_bytes(tar.read_bytes()[:-30] + bytes(30))
    assert "archive" in odd(verified(site.config))


def test_an_archive_that_came_since_is_left_out(site: Site) -> None:
    site.run()
    site.write("a", "4", [7])
    site.write("c", "1", [1])
    verdict = verified(site.config)
    assert odd(verdict) == {}
    assert "2 archives (a/4, c/1) came after that run: left out" in verdict.notes


def test_an_archive_that_was_incomplete_is_so_again(site: Site) -> None:
    tar = site.write("a", "4", [7])
    document = tar.with_name("4.json").read_bytes()
    tar.with_name("4.json").unlink()
    site.run()
    tar.with_name("4.json").write_bytes(document)
    verdict = verified(site.config)
    # N.json tells when it was made, which was not known.
    assert "archive='4'" in odd(verdict)["archive"][0]
    assert "tool_usage" not in odd(verdict)
    note = "1 archive (a/4) completed since that run: left for the next run"
    assert note in verdict.notes


def test_what_is_gone_is_taken_from_the_store_and_named(site: Site) -> None:
    site.run()
    site.remove("a", "2")
    site.run()
    shutil.rmtree(site.config.work / "store" / "merged")
    verdict = verified(site.config)
    assert odd(verdict) == {}
    assert "1 archive (a/2) removed since that run: taken from the store, not from the raw archives" in verdict.notes


def test_what_is_cold_is_taken_from_the_store_and_named(site: Site) -> None:
    """The rest is verified by the raw archives, and what the cold ones count by what the store has of them."""
    site.run()
    for name in ("1", "2"):
        freeze(site.config.uploads / "a" / "archives" / f"{name}.tar.gz")
    size = sum(archive.bytes for archive in scan(site.config.uploads).archives if archive.is_cold)
    note = f"2 archives (a/1, a/2) in cold storage, with {size} bytes: taken from the store, not from the raw archives"
    verdict = verified(site.config)
    assert odd(verdict) == {}
    assert note in verdict.notes
    site.run()
    assert odd(verified(site.config)) == {}
    # It does not pretend: what the store has lost is missing in what is computed.
    shutil.rmtree(site.config.work / "store" / "partial")
    verdict = verified(site.config, "tools")
    assert "tool_usage" in odd(verdict)
    assert note in verdict.notes


def test_what_is_gone_and_not_remembered_is_named(site: Site) -> None:
    site.run()
    site.remove("a", "2")
    shutil.rmtree(site.config.work)
    verdict = verified(site.config)
    assert {"archive", "tool_usage"} <= odd(verdict).keys()
    note = "1 archive (a/2) removed and forgotten since that run: cannot be computed again"
    assert note in verdict.notes


def test_the_store_is_not_believed(site: Site) -> None:
    """A wrong entry with a right checksum gives wrong tables with every run."""
    site.run()
    (tools,) = chosen(("tools",))
    planned = site.planned()
    right, wrong = (
        partial_key(item.key, tools, "", first_day(item.archive, AS_OF)) for item in (planned["b/1"], planned["a/3"])
    )
    other = site.store.get(PARTIAL, wrong)
    assert other
    site.store.put(PARTIAL, right, other)
    # What is published and of the same content would stay.
    shutil.rmtree(site.config.reports)
    site.run()
    assert odd(verified(site.config)).keys() == {"tool_day", "tool_usage"}


def test_only_some_modules_may_be_verified(site: Site) -> None:
    site.run()
    (site.config.reports / LAST / "param.tsv").unlink()
    assert odd(verified(site.config, "tools", "instances")) == {}
    assert list(odd(verified(site.config, "params"))) == ["param"]


def test_the_last_run_counts_whatever_its_day(site: Site) -> None:
    site.run()
    site.run(as_of=AS_OF.replace(day=7))
    assert verified(site.config).as_of == AS_OF.replace(day=7)
    site.run()
    (site.config.reports / LAST / "run.json").write_text("{")
    verdict = verified(site.config)
    assert "tool_usage" in odd(verdict)
    assert any(note.startswith("the last run of the reports is") for note in verdict.notes)


def test_exports_are_compared(site: Site) -> None:
    site.run((*MODULES, "records", "lake", "splitter"))
    verdict = verified(site.config)
    assert odd(verdict) == {}
    assert {"lake/", "splitter/"} <= verdict.reports.keys()
    query(site.config.database, "DELETE FROM grt.job WHERE instance_id = 'b'; COMMIT")
    file = next((site.config.reports / LAST / "lake").rglob("*.parquet"))
    file.unlink()
    found = odd(verified(site.config))
    assert found["job"] == (SAME, "1 instance differs, first b")
    assert found["lake/"][0].startswith("1 file differs, first ")
    assert found.keys() == {"job", "lake/"}


def test_each_row_of_an_export_counts(site: Site) -> None:
    site.run((*MODULES, "records"))
    for statement in (
        "UPDATE grt.job SET tool_id = tool_id || '!' WHERE job_id = 5",
        "UPDATE grt.job_metric SET value = value + 1 WHERE instance_id = 'b'",
        "INSERT INTO grt.job_param SELECT * FROM grt.job_param WHERE job_id = 5",
        "UPDATE grt.job_dataset SET file_size = NULL WHERE job_id = 1",
    ):
        query(site.config.database, f"{statement}; COMMIT")
    assert odd(verified(site.config)) == {
        "job": (SAME, "1 instance differs, first a"),
        "job_metric": (SAME, "1 instance differs, first b"),
        "job_param": (SAME, "1 instance differs, first a"),
        "job_dataset": (SAME, "2 instances differ, first a"),
    }
    site.run((*MODULES, "records"), recalculate=True)
    site.remove_instance("b")
    site.run((*MODULES, "records"), forget=True)
    assert odd(verified(site.config)) == {}


def test_text_that_was_encoded_twice_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a client encoding other than UTF-8 does it, which once was taken from the environment."""
    jobs = line(1, "café_tool", "1", "ok", "2024-06-01 10:00:00")
    write_archive(site.config.uploads / "c" / "archives", "1", {Kind.JOBS: jobs}, version=2, generated=NOON)
    with monkeypatch.context() as patch:
        patch.setattr("grt_batch.sinks.connection.ENCODING", "WIN1252")
        site.run((*MODULES, "records"))
    assert query(site.config.database, "SELECT tool_id FROM grt.tool WHERE tool_id LIKE 'caf%'") == [("cafÃ©_tool",)]
    # What was published stays while nothing changes.
    site.run((*MODULES, "records"))
    found = odd(verified(site.config))
    assert {"tool", "tool_day", "tool_usage", "job"} <= found.keys()
    assert found["tool"] == (SAME, "2 rows differ, first tool_id='cafÃ©_tool', tool_version='1'")
    assert found["job"] == (SAME, "1 instance differs, first c")
    monkeypatch.setenv("PGCLIENTENCODING", "WIN1252")
    assert odd(verified(site.config)) == found
    site.run((*MODULES, "records"), recalculate=True)
    assert odd(verified(site.config)) == {}


def test_no_table_is_held_while_another_is_compared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of another work folder would wait for it."""
    site.run((*MODULES, "records"))
    locks: set[str] = set()
    before = Comparison._compared

    def compared(self: Comparison, *arguments: Any) -> str:
        held = "SELECT relation::regclass::text FROM pg_locks WHERE relation::regclass::text LIKE 'grt.%'"
        locks.update(name for (name,) in query(site.config.database, held))
        return before(self, *arguments)

    monkeypatch.setattr(Comparison, "_compared", compared)
    assert odd(verified(site.config)) == {}
    assert locks == set()


def test_scratch_is_gone_whatever_happens(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site.run()
    (site.config.work / "verify-killed" / "work").mkdir(parents=True)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("grt_batch.pipeline.reduce_archive.read_archive", fail)
        with pytest.raises(KeyboardInterrupt):
            verified(site.config)
    assert not list(site.config.work.glob("verify-*"))
    with pytest.raises(CannotWrite, match="nowhere"):
        verified(site.config, scratch=tmp_path / "nowhere")
