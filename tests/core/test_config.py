"""Every key has its default in the shipped file, and what is read stays as it is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from configuring import toml
from places import ROOT

from grt_batch.core.config import Config, is_section
from grt_batch.core.config_file import load

SHIPPED = ROOT / "config" / "grt_batch.toml"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder without a default file."""
    monkeypatch.chdir(tmp_path)


def test_the_shipped_file_holds_every_key_with_its_default() -> None:
    assert load(SHIPPED, environment={}) == Config()
    text = SHIPPED.read_text(encoding="utf-8")
    for key in fields(Config):
        assert (f"\n[{key.name}]\n" if is_section(key) else f"\n{key.name} = ") in text
        assert key.metadata["doc"] in text
        assert key.metadata["unit"] in text


def test_the_keys_are_beside_the_uploads_unless_they_have_a_file_of_their_own() -> None:
    assert Config(uploads=Path("/srv/uploads")).keys_path == Path("/srv/uploads.keys.json")
    assert Config(keys_file="keys").keys_path == Path("keys")


def test_quotas_are_read_by_instance() -> None:
    config = load(toml("[reports]\nquota_bytes = 100\n[reports.quotas]\nsmall = 1\nfree = 0\n"), environment={})
    assert config.quota_of("small") == 1
    assert config.quota_of("other") == 100
    assert config.quota_of("free") is None
    assert Config().quota_of("any") is None


def test_what_is_read_cannot_be_changed() -> None:
    config = load(environment={})
    with pytest.raises(AttributeError):
        config.max_ranks = 3  # type: ignore[misc]
