"""Each value has a type that says what is valid, and what is not is refused."""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest
from configuring import refused, toml

from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.config_values import ALARMS, DEFAULT_LEVELS, FurtherTarget, Level, Recipient


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder without a default file."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "item",
    [
        "2",
        "[]",
        "[2, 7]",
        "[1, 7, 0.5]",
        "[2, -1, 0.5]",
        "[2, 7.0, 0.5]",
        "[2, true, 0.5]",
        "[2, 7, true]",
        "[2, 7, 0]",
        "[2, 7, nan]",
        "[2, 7, inf]",
        f"[2, 7, 1{'0' * 400}]",
        "[2, 7, 0.5, 1]",
        "{a = 1}",
    ],
)
def test_a_wrong_warning_level_is_refused(item: str) -> None:
    line = refused(toml(f"[reports]\nwarning_levels = [[3, 3, 0.5], {item}]"))
    assert "my.toml" in line
    assert "[reports] warning_levels is [level, days, fraction of the quota], not [[3, 3, 0.5], " in line
    assert " - at `$[1]" in line


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("reading", "block_bytes"),
        ("reading", "max_line_bytes"),
        ("computing", "aggregate_jobs"),
        ("database", "lock_timeout_ms"),
        ("database", "lock_tries"),
    ],
)
def test_zero_is_refused_where_nothing_works_with_it(section: str, key: str) -> None:
    assert f"{key} is " in refused(toml(f"[{section}]\n{key} = 0"))


@pytest.mark.parametrize("key", [key for key in fields(Config) if type(key.default) is int], ids=lambda key: key.name)
def test_every_number_has_a_least_that_is_accepted_and_below_it_none(key: Field[Any]) -> None:
    least = 1 if key.type in ("Positive", "Rows") else 0
    config = load(toml(f"[{key.metadata['section']}]\n{key.name} = {least}"), environment={})
    assert getattr(config, key.name) == least
    assert f"{key.name} is {key.metadata['unit']}" in refused(
        toml(f"[{key.metadata['section']}]\n{key.name} = {least - 1}")
    )


def test_warning_levels_are_read_in_their_order() -> None:
    config = load(toml("[reports]\nwarning_levels = [[3, 3, 1], [2, 14, 0.75]]"), environment={})
    assert config.warning_levels == (Level(3, 3, 1.0), Level(2, 14, 0.75))
    assert Config().warning_levels == DEFAULT_LEVELS


def test_recipients_are_told_of_everything_unless_they_say_of_what() -> None:
    text = '[[notify.notify_recipients]]\nto = "json://a"\n[[notify.notify_recipients]]\nto = "json://b"\nof = ["late"]'
    config = load(toml(text), environment={})
    assert config.notify_recipients == (Recipient("json://a", ALARMS), Recipient("json://b", ("late",)))
    assert load(environment={"GRT_BATCH_NOTIFY_RECIPIENTS": '[{to = "json://a"}]'}).notify_recipients[0].of == ALARMS


TARGETS = """
[targets.frontend]
url = "postgresql://grt:hunter2@db.example.org/grt"
[targets.second-site]
url = "dbname=second"
modules = ["tools"]
tables = ["param"]
active = false
"""


def test_a_section_of_free_names_is_one_key() -> None:
    assert load(toml(TARGETS), environment={}).targets == {
        "frontend": FurtherTarget("postgresql://grt:hunter2@db.example.org/grt"),
        "second-site": FurtherTarget("dbname=second", ("tools",), ("param",), active=False),
    }
    environment = {"GRT_BATCH_TARGETS": '{frontend = {url = "dbname=other"}}'}
    assert load(toml(TARGETS), environment=environment).targets == {"frontend": FurtherTarget("dbname=other")}
    assert load(toml("[targets]\n"), environment={}).targets == {}
