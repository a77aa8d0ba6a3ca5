"""Raw archives by filter, their states, and when their proprietary period ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cold_storage import freeze, thaw
from coming_and_going import Site

from grt_batch.core.config import Config
from grt_batch.core.errors import NothingToRead
from grt_batch.service.filter import Filter
from grt_batch.service.selection import Selection

TODAY = date(2024, 6, 30)


def names(config: Config, **given: str) -> list[str]:
    found = Selection(config).held(Filter.parse(given), today=TODAY)
    return [f"{one.instance_id}/{one.name} {one.state}" for one in found]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two instances, before any run: archives of 24 to 28 June, one of them without its tar.gz."""
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work"))
    for instance, name in (("a", "4"), ("a", "6"), ("b", "5"), ("b", "8")):
        site.write(instance, name, [1])
    (site.config.uploads / "b" / "archives" / "8.tar.gz").unlink()
    return site


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ["a/4 new", "a/6 new", "b/5 new", "b/8 incomplete"]),
        ({"instance": "a"}, ["a/4 new", "a/6 new"]),
        ({"instance": "../a"}, []),
        ({"instance": "c"}, []),
        ({"archive": "6"}, ["a/6 new"]),
        ({"from": "2024-06-25"}, ["a/6 new", "b/5 new", "b/8 incomplete"]),
        ({"to": "2024-06-25"}, ["a/4 new", "b/5 new"]),
        ({"from": "2024-06-25", "to": "2024-06-25"}, ["b/5 new"]),
        ({"from": "2024-06-25", "to": "2024-06-24"}, []),
        ({"state": "published,incomplete"}, ["b/8 incomplete"]),
    ],
)
def test_a_filter_takes_what_it_says(site: Site, given: dict[str, str], found: list[str]) -> None:
    assert names(site.config, **given) == found


def test_without_a_folder_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NothingToRead):
        names(Config(uploads=tmp_path / "none"))


def test_states_are_those_of_the_last_run(tmp_path: Path, database: str) -> None:
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work", reports=tmp_path / "reports",
                       database=database))  # fmt: skip
    site.write("a", "1", [1])
    site.write("a", "2", [2], report_hash=f"sha256:{'0' * 64}")
    site.write("a", "3", [3], version=9)
    site.run(("tools", "instances"))
    site.write("a", "4", [4])
    assert sorted(names(site.config)) == ["a/1 published", "a/2 quarantined", "a/3 quarantined", "a/4 new"]
    site.write("a", "1", [1, 5])
    assert names(site.config, archive="1") == ["a/1 new"]


@pytest.mark.parametrize(
    ("metadata", "configured", "expected"),
    [
        ({"public": True}, 0, []),
        ({"public": True}, 5, ["4", "5"]),
        ({"public": True, "public_after_days": None}, 5, ["4", "5"]),
        ({"public": True, "public_after_days": 6}, 0, ["4"]),
        ({"public": True, "public_after_days": 6}, 1, ["4"]),
        ({"public": True, "public_after_days": 0}, 1, []),
        ({"public": True, "public_after_days": "1"}, 1, []),
        ({"public": True, "public_after_days": True}, 1, []),
        ({"public": True, "public_after_days": -1}, 1, []),
        ({"public": False, "public_after_days": 1}, 1, []),
        ({"public_after_days": 1}, 1, []),
    ],
    ids=str,
)
def test_everybody_may_have_what_is_old_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, object], configured: int, expected: list[str]
) -> None:
    monkeypatch.setattr(Selection, "_state", lambda *_: "published")
    site = Site(Config(uploads=tmp_path, work=tmp_path / "work", public_after_days=configured))
    for name in ("4", "5", "6"):
        site.write("a", name, [1])
    site.describe("a", **metadata)
    assert [one.name for one in Selection(site.config).held(Filter(), today=TODAY) if one.public] == expected


def test_what_is_cold_keeps_its_state_and_has_no_files(tmp_path: Path, database: str) -> None:
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work", reports=tmp_path / "reports",
                       database=database))  # fmt: skip
    files = [site.write("a", str(day), [day]) for day in (1, 2, 3)]
    site.run(("tools", "instances"))
    site.write("a", "3", [3, 4])
    selection = Selection(site.config)
    before = list(selection.held(Filter(), today=TODAY))
    markers = [freeze(file) for file in files]
    found = list(selection.held(Filter(), today=TODAY))
    assert [one.state for one in found] == ["published", "published", "new"]
    assert found == [replace(one, files=(), cold=True) for one in before]
    assert [one.as_json()["cold"] for one in found] == [True] * 3
    # What is back is known at once, and what nobody can find is not there.
    thaw(files[0])
    markers[1].write_text("{")
    found = list(selection.held(Filter(), today=TODAY))
    assert found[0] == before[0]
    assert (found[1].state, found[1].files, found[1].cold) == ("incomplete", (), False)


def test_what_is_not_published_is_never_for_everybody(site: Site) -> None:
    site.describe("a", public=True, public_after_days=1)
    assert not any(one.public for one in Selection(site.config).held(Filter(), today=TODAY))
