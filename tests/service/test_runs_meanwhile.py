"""Fifty archives come in at once while runs publish: no run is disturbed, and none of the archives is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from build import member, packed
from calling import query
from coming_and_going import NOON, members
from doors import opened
from galaxy_client import Sent, meta_of

from grt_batch.pipeline.request import RunSummary


def archive(name: str, ids: list[int]) -> Sent:
    data = packed(*(member(kind, content) for kind, content in members(ids).items()))
    return Sent(name, meta_of(name, hashlib.sha256(data).hexdigest(), generated=str(NOON - 1)), data)


def test_uploads_while_runs_publish(tmp_path: Path, database: str, run_here: Callable[..., RunSummary]) -> None:
    with opened(tmp_path / "site") as door, ThreadPoolExecutor(50) as pool:
        config = replace(door.config, database=database, reports=tmp_path / "reports")
        clients = [door.client() for _ in range(5)]
        assert clients[0].upload(archive("0", [1, 2])).status == 200
        replies = [
            pool.submit(client.upload, archive(str(number), list(range(number * 10, number * 10 + number))))
            for client in clients
            for number in range(1, 11)
        ]
        seen, done = [], False
        while not done:
            done = all(reply.done() for reply in replies)
            assert run_here(config, modules=("tools", "instances")).quarantined == ()
            seen += query(database, "SELECT count(*), sum(jobs) FROM grt.archive WHERE state = 'published'")
        assert {reply.result().status for reply in replies} == {200}
    assert seen == sorted(seen)
    assert seen[-1] == (51, 2 + 5 * sum(range(1, 11)))
