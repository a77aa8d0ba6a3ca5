"""A rank asks for work, helps, and keeps nothing."""

from __future__ import annotations

import weakref

import pytest
from build import HEADERS
from fake_ranks import Aborted, FakeTransport, Network

from grt_batch.core.timing import Clock
from grt_batch.pipeline.tasks import DecodeTask, Task, timed
from grt_batch.ranks.messages import Help, Message, RunSettings, Tag, pack
from grt_batch.ranks.serialization import pack_task
from grt_batch.ranks.worker import Rank
from grt_batch.schema.members import Kind, layout_of
from grt_batch.uploads.archive import Block


def test_a_worker_that_comes_too_late_is_sent_back(log: pytest.CaptureFixture[str]) -> None:
    network = Network(4)
    transport = FakeTransport(network, 1)
    for late in (3, 2):
        FakeTransport(network, late).send(1, Tag.READY)
    FakeTransport(network, 0).send(1, Tag.END, pack(RunSettings()))
    Rank(transport).serve()
    assert network.finished == {1}
    assert transport.sent == [(0, Tag.ASK), (3, Tag.RELEASE), (2, Tag.RELEASE)]


def test_a_worker_keeps_no_message_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(3)
    transport = FakeTransport(network, 1)
    task = DecodeTask(Block(layout_of(Kind.JOBS, [HEADERS[Kind.JOBS]])[0], 0, b""), 1, ())
    FakeTransport(network, 0).send(1, Tag.HELP, pack(Help(RunSettings(), 2)))
    for index in range(2):
        FakeTransport(network, 2).send(1, Tag.TASK, pack_task(index, "", task))
    FakeTransport(network, 2).send(1, Tag.RELEASE)
    FakeTransport(network, 0).send(1, Tag.END, pack(RunSettings()))
    messages: list[weakref.ref[Message]] = []
    kept: list[int] = []

    def receive() -> Message:
        message = FakeTransport.receive(transport)
        messages.append(weakref.ref(message))
        return message

    def watched(task: Task, clock: Clock) -> object:
        kept.append(sum(message() is not None for message in messages[1:]))
        return timed(task, clock)

    monkeypatch.setattr(transport, "receive", receive)
    monkeypatch.setattr("grt_batch.pipeline.tasks.timed", watched)
    Rank(transport).serve()
    assert kept == [0, 0]
    assert transport.sent == [(0, Tag.ASK), (2, Tag.READY), (2, Tag.RESULT), (2, Tag.RESULT), (0, Tag.ASK)]


def test_a_rank_that_is_told_nonsense_says_so(log: pytest.CaptureFixture[str]) -> None:
    network = Network(2)
    FakeTransport(network, 0).send(1, Tag.PROGRESS)
    with pytest.raises(Aborted):
        Rank(FakeTransport(network, 1)).serve()
    assert "an idle rank got PROGRESS from rank 0" in log.readouterr().err
