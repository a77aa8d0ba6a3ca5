"""Which archives may leave, and which are in cold storage."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from frozen import ColdSite

from grt_batch.cold.policy import (
    RESTORED,
    RUN,
    WANTED,
    Leaving,
    asked_for_a_run,
    away,
    is_published,
    is_wanted,
    leaving,
    lock_folder,
    marked_archives,
    marker_at,
)
from grt_batch.cold.store import Failed
from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.service.filter import Filter
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.uploads.cold import ColdCopy, marker_of, write_cold
from grt_batch.uploads.scan import scan, stamp_of

NOON = datetime(2024, 6, 30, 12, tzinfo=UTC)


def names(config: Config, **given: str) -> list[str]:
    return [one.label for one in leaving(replace(config), Filter.parse(given), NOON)]


def mark(site: ColdSite, label: str, **changes: Any) -> ColdCopy:
    """A marker beside an archive that is here."""
    tar = site.tar(label)
    copy = ColdCopy(f"file:///tape/{label}", file_sha256(tar), tar.stat().st_size, stamp_of(tar.stat()), "2024-06-01")
    copy = replace(copy, **changes)
    write_cold(marker_of(tar), copy)
    return copy


@pytest.mark.parametrize(
    ("changes", "given", "found"),
    [
        ({"cold_after_days": 0}, {}, ["a/6", "a/4", "b/5"]),
        ({"cold_after_days": 5}, {}, ["a/6", "b/5"]),
        ({"cold_after_days": 6}, {}, ["a/6"]),
        ({}, {}, []),
        ({"cold_after_days": 0}, {"instance": "b"}, ["b/5"]),
        ({"cold_after_days": 0}, {"from": "2024-06-25", "to": "2024-06-25"}, ["b/5"]),
        ({"cold_after_days": 0}, {"state": "new"}, []),
        ({"cold_after_days": 0, "cold_keep_instances": ("a",)}, {}, ["b/5"]),
        ({"cold_after_days": 0, "cold_keep_kinds": ("public",)}, {}, ["a/6", "a/4"]),
        ({"cold_after_days": 0, "cold_keep_kinds": ("private",)}, {}, ["b/5"]),
        ({"cold_after_days": 0, "cold_keep_kinds": ("public", "private")}, {}, []),
    ],
)
def test_archives_leave_by_the_rules(
    site: ColdSite, changes: dict[str, Any], given: dict[str, str], found: list[str]
) -> None:
    (site.config.uploads / "b" / "metadata.json").write_text(json.dumps({"public": True}))
    assert names(replace(site.config, **changes), **given) == found


def test_only_what_was_published_leaves(site: ColdSite) -> None:
    config = replace(site.config, cold_after_days=0)
    site.write("a", "7")
    site.tar("a/4").write_bytes(b"another content")
    site.tar("b/5").with_name("5.json").unlink()
    assert names(config) == ["a/6"]
    index = ArchiveIndex(config.work, config.uploads)
    index.take_back()
    for archive in scan(config.uploads).archives:
        index.remember(archive, "0" * 64, "other")
    index.save()
    assert names(config) == []


def test_a_filter_of_states_and_the_rules_both_count(site: ColdSite) -> None:
    assert names(replace(site.config, cold_after_days=0), state="published") == ["a/6", "a/4", "b/5"]


@pytest.mark.parametrize(
    ("restored", "leaves"),
    [(NOON - timedelta(days=30), True), (NOON - timedelta(days=29), False), ("nonsense", True), (7, True)],
)
def test_what_was_restored_stays_for_its_time(site: ColdSite, restored: object, leaves: bool) -> None:
    config = replace(site.config, cold_after_days=0, cold_restored_days=30)
    text = restored.isoformat() if isinstance(restored, datetime) else restored
    copy = mark(site, "a/6", request={RESTORED: text})
    assert ("a/6" in names(config)) == leaves
    if leaves:
        (one,) = leaving(config, Filter(archive="6"), NOON)
        assert one.before == copy


def test_what_has_come_back_is_known_by_its_marker(site: ColdSite) -> None:
    """No run has seen it since, so the index has the stamp of the file that left."""
    config = replace(site.config, cold_after_days=0)
    tar = site.tar("a/6")
    again = tar.with_name("again")
    again.write_bytes(tar.read_bytes())
    again.replace(tar)
    assert "a/6" not in names(config)
    mark(site, "a/6")
    assert "a/6" in names(config)
    mark(site, "a/6", sha256="0" * 64)
    assert "a/6" not in names(config)


def test_a_marker_is_of_one_file(site: ColdSite) -> None:
    copy = mark(site, "a/6")
    assert marker_at(site.tar("a/6")) == copy
    os.utime(site.tar("a/6"), (1, 1))
    assert marker_at(site.tar("a/6")) is None
    assert marker_at(site.tar("a/4")) is None


def test_an_archive_is_away_without_its_tar(site: ColdSite) -> None:
    copies = {label: mark(site, label) for label in ("a/6", "a/4", "b/5")}
    assert list(away(site.config, Filter())) == []
    for label in ("a/6", "b/5"):
        site.tar(label).unlink()
    found = list(away(site.config, Filter()))
    assert [(one.label, one.copy) for one in found] == [(label, copies[label]) for label in ("a/6", "b/5")]
    assert [one.tar for one in found] == [site.tar("a/6"), site.tar("b/5")]
    assert [one.label for one in away(site.config, Filter(instance="b"))] == ["b/5"]
    assert [one.label for one in away(site.config, Filter.parse({"to": "2024-06-24"}))] == ["a/6"]


def test_a_marker_lies_beside_the_json_of_the_first_server_too(site: ColdSite) -> None:
    mark(site, "a/6")
    folder = site.tar("a/6").parent
    site.tar("a/6").unlink()
    for name in ("6.json", "6.cold"):
        (folder / name).rename(folder.parent / name)
    (one,) = away(site.config, Filter())
    assert one.tar == folder.parent / "6.tar.gz"


def test_a_damaged_marker_is_named(site: ColdSite) -> None:
    mark(site, "a/6")
    site.tar("a/6").unlink()
    marker = site.tar("a/6").with_name("6.cold")
    marker.write_bytes(b"{")
    (one,) = away(site.config, Filter())
    assert isinstance(one.copy, Failed)
    assert "6.cold is no JSON" in str(one.copy)
    marker.rename(marker.with_name("six.cold"))
    assert list(marked_archives(site.config)) == []


def test_an_archive_is_published_with_its_content(site: ColdSite) -> None:
    (one,) = leaving(replace(site.config, cold_after_days=0), Filter(archive="6"), NOON)
    assert is_published(site.config, one)
    assert not is_published(site.config, replace(one, sha256="0" * 64))
    assert not is_published(site.config, Leaving("a", "9", one.tar, 1, one.sha256))


def test_those_are_known_that_a_run_is_to_follow(site: ColdSite) -> None:
    mark(site, "a/6", request={RUN: True})
    mark(site, "b/5", request={RUN: False})
    assert [one.label for one, _ in asked_for_a_run(site.config)] == ["a/6"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, False),
        ({"thawing": "2024-06-30"}, True),
        ({"request": {WANTED: "bulk"}}, True),
        ({"request": {WANTED: 1}}, False),
    ],
)
def test_what_was_asked_for_is_wanted(site: ColdSite, changes: dict[str, Any], wanted: bool) -> None:
    mark(site, "a/6", **changes)
    (one,) = marked_archives(site.config)
    assert is_wanted(one) == wanted
    assert not is_wanted(replace(one, copy=Failed("damaged")))


def test_calls_have_a_lock_of_their_own(tmp_path: Path) -> None:
    assert lock_folder(Config(work=tmp_path)) == tmp_path / "cold"
