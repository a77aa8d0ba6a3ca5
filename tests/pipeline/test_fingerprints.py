"""A table that is there, made of the same, is not made again; any other is, whatever it is that changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg2
import pytest
from coming_and_going import change_code
from runs import copy_uploads, published

from grt_batch.core.config import Config
from grt_batch.modules.base import Module
from grt_batch.pipeline.request import RunSummary

Run = Callable[..., RunSummary]
MODULES = ("tools", "instances")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules whose rows were made, one after another."""
    names: list[str] = []
    from grt_batch.modules.registry import chosen

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


def partitions(url: str) -> dict[str, int]:
    with psycopg2.connect(url) as link, link.cursor() as cursor:
        cursor.execute(
            "SELECT relname, inhrelid::bigint FROM pg_inherits JOIN pg_class p ON p.oid = inhparent WHERE relkind = 'p'"
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
    assert {name for name in after if after[name] != before[name]} == {"archive"}


def _new_title(config: Config, _: pytest.MonkeyPatch) -> Config:
    file = next(config.uploads.rglob("metadata.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"title": "another title"}))
    return config


def _gone_report(config: Config, _: pytest.MonkeyPatch) -> Config:
    (config.reports / "latest" / "tool_usage.tsv").unlink()
    (config.reports / "latest" / "instance.tsv").unlink()
    return config


def _gone_partition(config: Config, _: pytest.MonkeyPatch) -> Config:
    execute(config.database, "DROP TABLE grt.tool, grt.instance CASCADE")
    return config


def _broken_summary(config: Config, _: pytest.MonkeyPatch) -> Config:
    (config.reports / "latest" / "run.json").write_text("[]")
    return config


def _new_program(config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr("grt_batch.pipeline.fingerprints._program", lambda: "another program")
    return config


def _new_setting(config: Config, _: pytest.MonkeyPatch) -> Config:
    return replace(config, fresh_days=config.fresh_days + 1)


@pytest.mark.parametrize(
    "change", [_new_title, _gone_report, _gone_partition, _broken_summary, _new_program, _new_setting]
)
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
    if change is not _new_title:
        assert published(small.reports) == reports


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
