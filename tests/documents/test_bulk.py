"""Bulk requests: their size, what is sent again, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bulk_server import Fault, Index, Node

from grt_batch.core.errors import NoDocuments, NotLoaded
from grt_batch.documents.bulk import REQUEST_BYTES, Entry, entries, requests, send
from grt_batch.documents.documents import action
from grt_batch.documents.making import write_files
from grt_batch.documents.server import TRIES, Server

STRICT = {"dynamic": "strict", "properties": {"name": {"type": "keyword"}}}


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def server(node: Node, waits: list[float]) -> Iterator[Server]:
    node.indices["x"] = Index(STRICT)
    with Server(node.url, wait=waits.append) as server:
        yield server


def entry(document_id: str, text: str = '{"name":"a"}') -> Entry:
    return Entry(document_id, b"%b\n%b\n" % (action(document_id, "x"), text.encode()))


THREE = [entry(name) for name in "abc"]


def test_a_request_is_no_larger_than_it_may_be() -> None:
    large, small = entry("a", "x" * REQUEST_BYTES), entry("b", "x" * (REQUEST_BYTES // 3))
    assert [len(request) for request in requests([small, small, small, large, small])] == [2, 1, 1, 1]


def test_files_are_read_for_another_index(tmp_path: Path) -> None:
    ids = ["*|a|1", 'x|"b"|', "é"]
    write_files(tmp_path, [(action(document_id), b'{"n":1}') for document_id in ids], 100)
    assert len(list(tmp_path.iterdir())) > 1
    assert list(entries(tmp_path, "x")) == [entry(document_id, '{"n":1}') for document_id in ids]


@pytest.mark.parametrize(
    "text", ['{"index":{"_id":"a"}}\n', '{"index":{"_id":"a"}}\n{"name"\n', "{}\n{}\n", "x\n{}\n", "[]\n{}\n", "\n"]
)
def test_a_damaged_file_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "documents-0001.ndjson").write_text(f'{{"index":{{"_id":"a"}}}}\n{{}}\n{text}')
    with pytest.raises(NoDocuments, match=r"documents-0001.ndjson is damaged in line 3"):
        list(entries(tmp_path, "x"))


def test_all_are_taken(node: Node, server: Server) -> None:
    assert send(server, THREE) == []
    assert send(server, THREE) == []
    assert node.indices["x"].documents == {name: {"name": "a"} for name in "abc"}


def test_what_does_not_fit_is_refused_alone(node: Node, server: Server) -> None:
    refused = send(server, [entry("a"), entry("b", '{"name":1}'), entry("c", '{"other":1}')])
    assert [one.document_id for one in refused] == ["b", "c"]
    assert refused[1].reason == "mapper_parsing_exception: mapping set to strict, .other is not allowed"
    assert set(node.indices["x"].documents) == {"a"}


def test_only_what_the_server_was_too_busy_for_is_sent_again(node: Node, server: Server, waits: list[float]) -> None:
    node.busy = {"b": 2, "c": 1}
    assert send(server, THREE) == []
    assert set(node.indices["x"].documents) == set("abc")
    lengths = [len(one.lines) for one in THREE]
    assert node.sizes == [sum(lengths), sum(lengths[1:]), lengths[1]]
    assert waits == [1.0, 2.0]


def test_a_document_that_is_never_taken_is_refused(node: Node, server: Server) -> None:
    node.busy = {"b": TRIES}
    ((document_id, reason),) = send(server, THREE)
    assert (document_id, reason) == ("b", "es_rejected_execution_exception: the queue is full")
    assert set(node.indices["x"].documents) == set("ac")


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_line_loses_nothing(node: Node, server: Server, after: bool) -> None:
    assert send(server, THREE[:1]) == []
    node.faults = [Fault("POST", "/_bulk", after=after)]
    assert send(server, THREE[1:]) == []
    assert set(node.indices["x"].documents) == set("abc")


def test_an_answer_that_does_not_say_is_none(node: Node, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (None, [], {"items": []}, {"items": [{"create": {}}] * 3}, {"items": [{"index": {}}] * 3}):
        monkeypatch.setattr(node, "answer", lambda *_, answer=answer: (200, answer))
        with pytest.raises(NotLoaded, match="does not say what became"):
            send(server, THREE)
