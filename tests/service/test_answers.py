"""From an upload to the answer: the service starts the command, and the run's tables have the archive."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest
from build import member, packed
from calling import query
from coming_and_going import NOON, members
from doors import Door, opened
from galaxy_client import Sent, meta_of

PATIENT = 100
"""Seconds after which a run that never comes has failed the test."""


def archive(name: str, ids: list[int]) -> Sent:
    data = packed(*(member(kind, content) for kind, content in members(ids).items()))
    return Sent(name, meta_of(name, hashlib.sha256(data).hexdigest(), generated=str(NOON - 1)), data)


def jobs_of(database: str) -> dict[str, int]:
    if query(database, "SELECT to_regclass('grt.archive')::text") == [(None,)]:
        return {}
    return dict(query(database, "SELECT archive, jobs FROM grt.archive WHERE state = 'published'"))


def awaited(door: Door, expected: dict[str, int]) -> None:
    """Wait until the tables have these archives, and the run has ended."""
    end = time.monotonic() + PATIENT
    while jobs_of(door.config.database) != expected or said(door, "starts") > said(door, "ended with code 0"):
        assert time.monotonic() < end, "".join(door.log)
        time.sleep(0.05)


def said(door: Door, what: str) -> int:
    return sum(f"on_upload {what}" in line for line in door.log)


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """The command is a run over the folders of the service."""
    arguments = f"--config {tmp_path}/site/grt_batch.toml --as-of 2024-06-30 tools instances"
    return f'on_upload = "{sys.executable} -m grt_batch.cli run {arguments}"\non_upload_quiet_seconds = 0\n'


def test_an_upload_ends_in_the_tables(tmp_path: Path, database: str, settings: str) -> None:
    with opened(tmp_path / "site", settings, database=database) as door:
        client = door.client()
        for name, ids, expected in (("1", [1, 2], {"1": 2}), ("2", [3, 4, 5], {"1": 2, "2": 3})):
            assert client.upload(archive(name, ids)).json == {"state": "success"}
            awaited(door, expected)
        assert said(door, "starts") == 2
        door.kill()
        place = door.archives(client)
    # What came in while no service ran is taken up when one starts.
    late = archive("3", [6])
    (place / "3.tar.gz").write_bytes(late.data)
    (place / "3.json").write_bytes(late.meta)
    with opened(tmp_path / "site", settings, database=database) as door:
        awaited(door, {"1": 2, "2": 3, "3": 1})
    with opened(tmp_path / "site", settings, database=database) as door:
        assert said(door, "starts") == 0


def test_the_end_of_the_service_is_not_that_of_a_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    # It lets go of the log of the service, which the test reads to its end.
    command = f"exec 2> {tmp_path}/log; cat {tmp_path}/fifo > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/done"
    with opened(tmp_path / "site", f'on_upload = "{command}"\non_upload_quiet_seconds = 0\n') as door:
        door.client().upload(archive("1", [1]))
        door.awaited("on_upload starts")
    assert door.process.returncode == 0
    (tmp_path / "fifo").write_text("further")
    end = time.monotonic() + PATIENT
    while not (tmp_path / "done").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert (tmp_path / "done").read_text() == "further"
