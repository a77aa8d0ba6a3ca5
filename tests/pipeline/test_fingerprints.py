"""A table whose inputs did not change is not made again; every other table is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import psycopg2
import pytest
from coming_and_going import change_code
from runs import copy_uploads, published

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Module, Partial
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.request import RunSummary

Run = Callable[..., RunSummary]
MODULES = ("tools", "instances")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules whose rows were made, one after another."""
    names: list[str] = []
    for module in chosen(()):
        rows = type(module).rows

        def noted(self: Module, *arguments: object, rows: Callable[..., object] = rows) -> object:
            names.append(self.name)
            return rows(self, *arguments)

        monkeypatch.setattr(type(module), "rows", noted)
    return names


@pytest.fixture
def small(config: Config, sample: Path, tmp_path: Path) -> Config:
    """Uploads of their own, that may be changed."""
    copy_uploads(sample, tmp_path / "uploads")
    return replace(config, uploads=tmp_path / "uploads")


def partitions(url: str) -> dict[str, str]:
    """The table or branch of each partition; a new one has another name."""
    with psycopg2.connect(url) as link, link.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text, p.relname FROM pg_inherits JOIN pg_class p ON p.oid = inhparent"
            " WHERE p.relkind = 'p'"
        )
        found = dict(cursor.fetchall())
    link.close()
    return found


def execute(url: str, statement: str) -> None:
    link = psycopg2.connect(url)
    with link, link.cursor() as cursor:
        cursor.execute(statement)
    link.close()


def test_what_did_not_change_stays_as_it_is(small: Config, run_here: Run, made: list[str]) -> None:
    run_here(small, modules=MODULES)
    before, reports = partitions(small.database), published(small.reports)
    assert sorted(made) == sorted(MODULES)
    made.clear()
    run_here(small, modules=MODULES)
    assert made == []
    assert published(small.reports) == reports
    after = partitions(small.database)
    assert after == before


def _touch(config: Config) -> Config:
    tar = next(config.uploads.rglob("*.tar.gz"))
    os.utime(tar, ns=(0, 0))
    return config


def _copy_in_place(config: Config) -> Config:
    tar = next(config.uploads.rglob("*.tar.gz"))
    copy = tar.with_name("copy")
    copy.write_bytes(tar.read_bytes())
    copy.replace(tar)
    return config


def _move_uploads(config: Config) -> Config:
    moved = config.uploads.with_name("moved")
    config.uploads.rename(moved)
    return replace(config, uploads=moved)


def _move_work(config: Config) -> Config:
    moved = config.work.with_name("moved-work")
    config.work.rename(moved)
    return replace(config, work=moved)


def _other_ranks(config: Config) -> Config:
    return replace(
        config,
        heartbeat_seconds=7,
        max_ranks=3,
        bytes_per_rank=1,
        store_max_bytes=1 << 40,
        lock_tries=9,
        folder_mode="0700",
    )


def _other_block_size(config: Config) -> Config:
    return replace(config, block_bytes=1 << 16, aggregate_jobs=1000)


@pytest.mark.parametrize("change", [_touch, _copy_in_place, _move_uploads, _move_work, _other_ranks, _other_block_size])
def test_what_no_row_depends_on_makes_nothing_again(
    small: Config, run_here: Run, made: list[str], change: Callable[[Config], Config]
) -> None:
    run_here(small, modules=MODULES)
    reports = published(small.reports)
    made.clear()
    changed = change(small)
    run_here(changed, modules=MODULES)
    assert made == []
    assert published(changed.reports) == reports


@pytest.mark.parametrize(
    ("key", "value", "modules"),
    [
        ("fresh_days", 1, ["instances"]),
        ("quotas", {"3": 5}, ["instances"]),
        ("change_min_jobs", 1, ["errors"]),
        ("tsv_defuse_formulas", True, ["errors", "instances", "tools"]),
        ("public_value_jobs", 9, []),
    ],
)
def test_a_setting_makes_the_tables_again_that_depend_on_it(
    small: Config, run_here: Run, made: list[str], key: str, value: object, modules: list[str]
) -> None:
    wanted = ("tools", "instances", "errors")
    run_here(small, modules=wanted)
    made.clear()
    run_here(replace(small, **{key: value}), modules=wanted)
    assert sorted(made) == modules


def test_rows_read_no_setting_that_their_module_does_not_name(
    small: Config, run_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    keys = {spec.name for spec in fields(Config)}

    class Watched(Config):
        def __getattribute__(self, name: str) -> object:
            read.update({name} & keys)
            return super().__getattribute__(name)

    watched: dict[str, set[str]] = {}
    for module in chosen(()):
        rows = type(module).rows

        def noted(self: Module, partial: Partial, ledger: Ledger, rows: Callable[..., object] = rows) -> object:
            values = {spec.name: getattr(ledger.config, spec.name) for spec in fields(Config)}
            config = Watched(**values)
            read.clear()
            result = rows(self, partial, replace(ledger, config=config))
            watched[self.name] = set(read)
            return result

        monkeypatch.setattr(type(module), "rows", noted)
    # With a quota, and where every difference is a change, every setting is looked at.
    changes = {"change_min_jobs": 1, "change_p_value": 1.0, "change_min_rate": 0}
    run_here(replace(small, quota_bytes=1, **changes))
    assert watched == {module.name: set(module.settings) for module in chosen(())}


def _gone_report(config: Config, _: pytest.MonkeyPatch) -> Config:
    (config.reports / "latest" / "tool_usage.tsv").unlink()
    (config.reports / "latest" / "instance.tsv").unlink()
    return config


def _gone_partition(config: Config, _: pytest.MonkeyPatch) -> Config:
    execute(config.database, "DROP TABLE grt.tool, grt.instance CASCADE")
    return config


def _broken_note(config: Config, _: pytest.MonkeyPatch) -> Config:
    (config.reports / "latest" / ".parts.json").write_text("[]")
    return config


def _new_program(config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr("grt_batch.pipeline.fingerprints._rendering_code", lambda: "another program")
    return config


@pytest.mark.parametrize("change", [_gone_report, _gone_partition, _broken_note, _new_program])
def test_what_changed_is_made_again(
    small: Config,
    run_here: Run,
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Config, pytest.MonkeyPatch], Config],
) -> None:
    run_here(small, modules=MODULES)
    reports = published(small.reports)
    changed = change(small, monkeypatch)
    made.clear()
    run_here(changed, modules=MODULES)
    assert sorted(made) == sorted(MODULES)
    assert published(small.reports) == reports


def test_metadata_of_an_instance_make_the_tables_again_that_show_them(
    small: Config, run_here: Run, made: list[str]
) -> None:
    run_here(small, modules=MODULES)
    made.clear()
    file = next(small.uploads.rglob("metadata.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"title": "another title"}))
    run_here(small, modules=MODULES)
    assert made == ["instances"]


def test_other_code_of_a_module_makes_its_tables_again_and_no_others(
    small: Config, run_here: Run, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(small, modules=MODULES)
    made.clear()
    change_code(monkeypatch, "tools")
    run_here(small, modules=MODULES)
    assert made == ["tools"]


def test_recalculate_and_another_day_make_all_again(small: Config, run_here: Run, made: list[str]) -> None:
    run_here(small, modules=MODULES)
    run_here(small, modules=MODULES, recalculate=True)
    run_here(small, modules=MODULES, as_of=date(2024, 1, 1))
    assert len(made) == 3 * len(MODULES)
