"""Archives copied into another folder: whole, once, and readable for a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from coming_and_going import Site

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, Unavailable
from grt_batch.service.fetching import Fetched, fetch_from_folder, fetch_from_service
from grt_batch.service.selection import Filter, Selection
from grt_batch.uploads.scan import scan


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work"))
    for name in ("1", "2"):
        site.write("a", name, [int(name)])
    site.write("b", "3", [1]).unlink()
    return site


def fetched(site: Site, target: Path, **given: str) -> Fetched:
    return fetch_from_folder(Selection(site.config).held(Filter.parse(given)), target)


def test_it_is_a_folder_of_the_same_uploads(site: Site, tmp_path: Path) -> None:
    done = fetched(site, tmp_path / "copy")
    files = sorted((site.config.uploads / "a" / "archives").iterdir())
    assert done == Fetched(2, sum(file.stat().st_size for file in files))
    assert [file.name for file in sorted((tmp_path / "copy").rglob("*.*"))] == [file.name for file in files]
    for file in files:
        assert (tmp_path / "copy" / "a" / "archives" / file.name).read_bytes() == file.read_bytes()
    assert [archive.report for archive in scan(tmp_path / "copy").archives] == [
        archive.report for archive in scan(site.config.uploads, only=("a",)).archives
    ]


def test_what_is_there_stays_and_what_changed_is_fetched_again(site: Site, tmp_path: Path) -> None:
    fetched(site, tmp_path / "copy", archive="1")
    assert fetched(site, tmp_path / "copy").before == 1
    site.write("a", "1", [7, 8])
    assert fetched(site, tmp_path / "copy").archives == 1


def test_a_folder_that_cannot_be_written_is_a_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="Not a directory"):
        fetched(site, tmp_path / "file")


def test_a_service_that_does_not_answer_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 gives no archives: .*refused"):
        fetch_from_service("http://127.0.0.1:1", None, {}, tmp_path)
