"""Where the bytes of archives lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from build import write_archive
from cold_storage import freeze

from grt_batch.uploads.cold import marker_of
from grt_batch.uploads.scan import archive_files
from grt_batch.uploads.storage import Amount, Place, amounts, packed_bytes, stored_archives


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Two archives here, one with a copy elsewhere; one that is cold, one that thaws, and one that nobody can find."""
    root = tmp_path / "uploads"
    tars = [write_archive(root / name[0] / "archives", name[1], {}) for name in ("a1", "a2", "a3", "b4", "b5")]
    content = tars[1].read_bytes()
    freeze(tars[1])
    tars[1].write_bytes(content)
    freeze(tars[2])
    freeze(tars[3], thawing="2024-06-30T13:00:00Z")
    freeze(tars[4]).write_text("{")
    return root


def test_each_archive_lies_somewhere(uploads: Path) -> None:
    found = list(stored_archives(uploads))
    assert [(one.instance_id + one.name, one.place, one.copy is not None) for one in found] == [
        ("a1", Place.HOT, False),
        ("a2", Place.HOT, True),
        ("a3", Place.COLD, True),
        ("b4", Place.THAWING, True),
    ]
    size = found[0].bytes
    assert amounts(found) == {
        ("*", Place.HOT): Amount(2, 2 * size),
        ("*", Place.COLD): Amount(1, size),
        ("*", Place.THAWING): Amount(1, size),
        ("a", Place.HOT): Amount(2, 2 * size),
        ("a", Place.COLD): Amount(1, size),
        ("b", Place.THAWING): Amount(1, size),
    }
    assert [place.value for _, place in amounts(found)] == ["hot", "cold", "thawing", "hot", "cold", "thawing"]


def test_the_size_of_a_tar_gz_does_not_depend_on_where_it_lies(uploads: Path) -> None:
    sizes = {name: packed_bytes(files) for name, files in archive_files(uploads / "a").items()}
    assert len(set(sizes.values())) == 1
    assert min(sizes.values()) > 0
    tar = uploads / "b" / "archives" / "5.tar.gz"
    assert marker_of(tar).exists()
    assert packed_bytes(archive_files(uploads / "b")["5"]) == 0


def test_without_a_folder_nothing_is_stored(tmp_path: Path) -> None:
    assert list(stored_archives(tmp_path / "none")) == []
