"""Readers see all documents of one load, whatever goes wrong with the next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from bulk_server import Fault, Index, Node

from grt_batch.core.errors import NoDocuments, NotLoaded
from grt_batch.documents.documents import action
from grt_batch.documents.loading import Loaded, load
from grt_batch.documents.making import write_files
from grt_batch.documents.server import TRIES, Server

DAY, NEXT = "2024-06-30", "2024-07-01"
MAPPING = {"settings": {}, "mappings": {"dynamic": "strict", "properties": {"jobs": {"type": "long"}}}}


def folder_of(place: Path, key: str, **documents: Any) -> Path:
    """A folder with small documents, by their ids."""
    place.mkdir()
    write_files(place, [(action(name), json.dumps({"jobs": jobs}).encode()) for name, jobs in documents.items()])
    (place / "mapping.json").write_text(json.dumps(MAPPING))
    (place / ".key").write_text(key * 40)
    return place


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "first", "a", one=1, two=2)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "second", "b", two=20, three=30)


FIRST, SECOND = f"t-{DAY}-aaaaaaaa", f"t-{NEXT}-bbbbbbbb"


def bring(node: Node, folder: Path, day: str = DAY) -> Loaded:
    with Server(node.url, wait=lambda _: None) as server:
        return load(folder, day, server, "t")


def seen(node: Node) -> dict[str, int]:
    return {name: document["jobs"] for name, document in node.seen("t").items()}


def test_a_load_takes_the_place_of_the_one_before(node: Node, first: Path, second: Path) -> None:
    assert bring(node, first) == Loaded(FIRST, 2)
    assert seen(node) == {"one": 1, "two": 2}
    assert bring(node, second, NEXT) == Loaded(SECOND, 2)
    assert seen(node) == {"two": 20, "three": 30}
    assert set(node.indices) == {SECOND}
    assert node.requests[-8:] == [
        "HEAD /t-2024-07-01-bbbbbbbb",
        "PUT /t-2024-07-01-bbbbbbbb",
        "POST /_bulk",
        "POST /t-2024-07-01-bbbbbbbb/_refresh",
        "GET /_alias/t",
        "POST /_aliases",
        "GET /t-*/_alias",
        "DELETE /t-2024-06-30-aaaaaaaa",
    ]


def test_the_same_again_changes_nothing(node: Node, first: Path) -> None:
    for _ in range(2):
        assert bring(node, first) == Loaded(FIRST, 2)
    assert seen(node) == {"one": 1, "two": 2}
    assert node.requests.count("POST /_aliases") == 1


def test_indices_of_others_stay(node: Node, first: Path) -> None:
    others = ["t-mine", f"t-x-{DAY}-aaaaaaaa", f"u-{DAY}-aaaaaaaa", f"t-{DAY}-aaaaaaaaa"]
    node.indices = {name: Index(MAPPING["mappings"]) for name in [*others, f"t-{DAY}-cccccccc"]}
    node.aliases = {"t": {"t-mine"}, "u": {"t-mine"}}
    bring(node, first)
    assert set(node.indices) == {*others, FIRST}
    assert node.aliases == {"t": {FIRST}, "u": {"t-mine"}}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/t-"), ("POST", "/_bulk"), ("POST", "/t-"), ("POST", "/_aliases"), ("DELETE", "/t-")]
)
def test_a_lost_line_loses_nothing(node: Node, first: Path, second: Path, method: str, path: str, after: bool) -> None:
    bring(node, first)
    node.faults = [Fault(method, path, after=after)]
    assert bring(node, second, NEXT) == Loaded(SECOND, 2)
    assert not node.faults
    assert seen(node) == {"two": 20, "three": 30}
    assert set(node.indices) == {SECOND}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/_alias"), ("PUT", "/t-"), ("POST", "/_bulk"), ("POST", "/t-"), ("POST", "/_aliases")]
)
def test_what_fails_leaves_the_documents_before(node: Node, first: Path, second: Path, method: str, path: str) -> None:
    bring(node, first)
    node.faults = [Fault(method, path, 503) for _ in range(TRIES)]
    with pytest.raises(NotLoaded, match="503 told_to_fail"):
        bring(node, second, NEXT)
    assert seen(node) == {"one": 1, "two": 2}
    # What was begun is completed by the next load.
    assert bring(node, second, NEXT) == Loaded(SECOND, 2)
    assert set(node.indices) == {SECOND}


def test_some_are_refused(node: Node, tmp_path: Path) -> None:
    done = bring(node, folder_of(tmp_path / "some", "c", one=1, two="2", three="3"))
    assert (done.documents, done.refused, done.first and done.first.document_id) == (1, 2, "two")
    assert done.first and "is no long" in done.first.reason
    assert seen(node) == {"one": 1}


def test_all_are_refused(node: Node, first: Path, tmp_path: Path) -> None:
    bring(node, first)
    with pytest.raises(NotLoaded, match=r"all were refused, the first, two, for mapper_parsing_exception"):
        bring(node, folder_of(tmp_path / "all", "c", two="2"), NEXT)
    assert seen(node) == {"one": 1, "two": 2}
    assert set(node.indices) == {FIRST}


def test_an_earlier_index_that_cannot_be_deleted_is_told(node: Node, first: Path, second: Path) -> None:
    bring(node, first)
    node.faults = [Fault("DELETE", "/t-", 403)]
    done = bring(node, second, NEXT)
    assert done.left == {FIRST: f"DELETE /{FIRST}: 403 told_to_fail: as the test wants"}
    assert seen(node) == {"two": 20, "three": 30}


def test_an_index_in_the_place_of_the_alias_is_left_alone(node: Node, first: Path) -> None:
    node.indices["t"] = Index(MAPPING["mappings"], {"mine": {}})
    with pytest.raises(NotLoaded, match="t is an index there"):
        bring(node, first)
    assert set(node.indices) == {"t"}


def test_without_documents_nothing_is_asked(node: Node, first: Path) -> None:
    (first / ".key").unlink()
    with pytest.raises(NoDocuments, match=r"\.key is missing"):
        bring(node, first)
    shutil.rmtree(first)
    with pytest.raises(NoDocuments, match="no file of them"):
        bring(node, first)
    assert not node.requests
