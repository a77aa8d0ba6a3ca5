"""One configuration from options, environment and file; whatever is wrong in it is one line that says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from configuring import refused, toml

from grt_batch.core.config import Config
from grt_batch.core.config_file import ENVIRONMENT_PREFIX, load, origins
from grt_batch.core.config_values import Level
from grt_batch.core.errors import BadConfig
from grt_batch.queries.definitions import queries_folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder without a default file."""
    monkeypatch.chdir(tmp_path)


def test_without_a_file_the_defaults_hold() -> None:
    assert load(environment={}) == Config()


def test_the_file_of_the_working_folder_is_read() -> None:
    Path("config").mkdir()
    Path("config/grt_batch.toml").write_text("[computing]\nmax_ranks = 9\n")
    assert load(environment={}).max_ranks == 9


def test_the_environment_names_a_file_and_an_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"GRT_BATCH_CONFIG": str(toml('[paths]\nwork = "mine"\n'))}
    other = Path("other.toml")
    other.write_text('[paths]\nwork = "other"\n', encoding="utf-8")
    Path("config").mkdir()
    Path("config/grt_batch.toml").write_text('[paths]\nwork = "default"\n', encoding="utf-8")
    assert load(environment=environment).work == Path("mine")
    assert origins(environment=environment)["work"] == "my.toml"
    assert load(other, environment=environment).work == Path("other")
    assert load(environment={"GRT_BATCH_CONFIG": ""}).work == Path("default")
    assert "missing.toml" in refused(GRT_BATCH_CONFIG="missing.toml")
    Path("sql").mkdir()
    monkeypatch.setenv("GRT_BATCH_CONFIG", str(Path("my.toml").absolute()))
    assert queries_folder(None) == Path("sql").absolute()


def test_options_win_over_the_environment_over_the_file_over_the_defaults() -> None:
    file = toml('[paths]\nuploads = "file"\nreports = "file"\nwork = "file"\n')
    environment = {"GRT_BATCH_UPLOADS": "environment", "GRT_BATCH_REPORTS": "environment"}
    options = {"uploads": Path("option"), "reports": None, "work": None, "database": None}
    config = load(file, options, environment)
    assert config.uploads == Path("option")
    assert config.reports == Path("environment")
    assert config.work == Path("file")
    assert config.database == "embedded"


def test_a_byte_order_mark_before_the_file_is_no_part_of_it() -> None:
    assert load(toml("\ufeff[reading]\r\nsettle_seconds = 4\r\n"), environment={}).settle_seconds == 4


def test_a_wrong_value_in_the_environment_is_refused_even_where_an_option_wins() -> None:
    with pytest.raises(BadConfig):
        load(options={"max_ranks": 3}, environment={"GRT_BATCH_MAX_RANKS": "many"})


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("uploads", "/data/new uploads", Path("/data/new uploads")),
        ("database", "postgresql://grt@db.example.org/grt?sslmode=require", None),
        ("database", "host=db dbname='grt'", None),
        ("settle_seconds", "300", 300),
        ("block_bytes", "1_048_576", 1048576),
        ("quotas", "{a = 1, 5f3b-2 = 20}", {"a": 1, "5f3b-2": 20}),
        ("warning_levels", "[[2, 30, 0.5]]", (Level(2, 30, 0.5),)),
        ("warning_levels", "[]", ()),
    ],
)
def test_the_environment_holds_texts_and_paths_as_they_are_and_toml_otherwise(key: str, text: str, value: Any) -> None:
    config = load(environment={ENVIRONMENT_PREFIX + key.upper(): text})
    assert getattr(config, key) == (text if value is None else value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("UPLOADS", ""),
        ("SETTLE_SECONDS", ""),
        ("SETTLE_SECONDS", "five"),
        ("SETTLE_SECONDS", "-5"),
        ("SETTLE_SECONDS", "1.5"),
        ("SETTLE_SECONDS", "true"),
        ("SETTLE_SECONDS", "'5'"),
        ("QUOTAS", "12"),
        ("QUOTAS", "{a = 'much'}"),
        ("WARNING_LEVELS", "2"),
        ("WARNING_LEVELS", "[[2, 7, true]]"),
        ("LOCK_TRIES", "0"),
        ("MAX_RANKS", str(2**63)),
        ("FAULT_TOLERANT", "1"),
        ("CHANGE_P_VALUE", "0"),
        ("CHANGE_P_VALUE", "nan"),
        ("FOLDER_MODE", "0999"),
        ("FILE_MODE", "0640\n"),
        ("REDACT_NAMES", "['']"),
        ("WARNING_LEVELS", "[" * 5000),
    ],
    ids=lambda text: text[:40],
)
def test_a_wrong_value_in_the_environment_is_named_with_its_variable(key: str, text: str) -> None:
    line = refused(**{ENVIRONMENT_PREFIX + key: text})
    assert ENVIRONMENT_PREFIX + key in line
    assert key.lower() in line


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[paths]\nuploads = 5", "uploads"),
        ('[paths]\nuploads = ""', "uploads"),
        ('[paths]\nwork = ["work"]', "work"),
        ("[paths]\ndatabase = false", "database"),
        ('[reading]\nsettle_seconds = "300"', "settle_seconds"),
        ("[reading]\nsettle_seconds = -1", "settle_seconds"),
        ("[reading]\nblock_bytes = 4e6", "block_bytes"),
        ("[computing]\nmax_ranks = true", "max_ranks"),
        ("[reports]\nquota_bytes = 1979-05-27", "quota_bytes"),
        ("[reports]\nquotas = 5", "quotas"),
        ('[reports.quotas]\na = "much"', "quotas"),
        ("[reports.quotas]\na = -1", "quotas"),
        ("[reports]\nwarning_levels = 3", "warning_levels"),
        ("[reading]\nblock_byte = 4", "block_byte"),
        ('[computing]\nuploads = "uploads"', "uploads"),
        ("[paths.uploads]\nfolder = 4", "uploads"),
        ("[nothing]\nsettle_seconds = 4", "nothing"),
        ("settle_seconds = 4", "settle_seconds"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(text: str, key: str) -> None:
    line = refused(toml(text))
    assert "my.toml" in line
    assert key in line


@pytest.mark.parametrize(
    ("text", "section", "reason"),
    [
        ("[reading]\nblock_bytes = 0", "reading", "Expected `int` >= 1"),
        ("[paths]\nuploads = ''", "paths", "Expected a path"),
        ("[privacy]\nredact_names = ['a', 5]", "privacy", "Expected `str`, got `int` - at `$[1]`"),
        ("[reports.quotas]\na = -1", "reports", "Expected `int` >= 0"),
    ],
)
def test_the_line_says_the_section_and_what_is_wrong(text: str, section: str, reason: str) -> None:
    line = refused(toml(text))
    assert f"[{section}] " in line
    assert reason in line


@pytest.mark.parametrize(
    "text",
    [
        "[paths",
        "uploads = uploads",
        "[paths]\n[paths]",
        "[paths]\nwork = 'a'\nwork = 'b'",
        "[paths]\nwork = 'a\x00b'",
        "[reports]\nwarning_levels = " + "[" * 5000,
        "[reading]\nsettle_seconds = " + "9" * 5000,
    ],
    ids=lambda text: text[:40],
)
def test_a_malformed_file_is_named(text: str) -> None:
    assert "my.toml" in refused(toml(text))


def test_a_file_that_is_no_text_is_named() -> None:
    Path("my.toml").write_bytes(b"[paths]\nwork = '\xff'\n")
    assert "my.toml" in refused(Path("my.toml"))


def test_a_file_that_cannot_be_read_is_named() -> None:
    assert "nowhere.toml" in refused(Path("nowhere.toml"))
    Path("folder.toml").mkdir()
    assert "folder.toml" in refused(Path("folder.toml"))


@pytest.mark.parametrize("more", ['of = ["lte"]', "of = 3", 'fro = "x"', 'to = "twice"'])
def test_a_secret_is_not_shown_where_it_is_wrong(more: str) -> None:
    line = refused(toml(f'[[notify.notify_recipients]]\nto = "slack://token"\n{more}'))
    assert "token" not in line
    for value in ('[{to = "slack://token", of = 3}]', '[{to = "slack://token"'):
        assert "token" not in refused(GRT_BATCH_NOTIFY_RECIPIENTS=value)


@pytest.mark.parametrize(
    "text",
    [
        "[targets.main]\nurl = 'hunter2'",
        "[targets.reports]\nurl = 'hunter2'",
        "[targets.'a,b']\nurl = 'hunter2'",
        "[targets.a]\nurl = 'hunter2'\nmodule = ['tools']",
        "[targets.a]\nmodules = ['tools']",
        "[targets.a]\nurl = ''",
        "[targets]\na = 'hunter2'",
    ],
)
def test_a_target_that_cannot_be_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(BadConfig) as raised:
        load(toml(text), environment={})
    assert "targets" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_target_of_the_environment_is_refused_without_its_secrets() -> None:
    assert "hunter2" not in refused(GRT_BATCH_TARGETS="{a = 'hunter2'")
    assert "hunter2" not in refused(GRT_BATCH_TARGETS="{main = {url = 'hunter2'}}")
