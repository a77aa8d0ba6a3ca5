"""What each rank reports of its time, over real messages: no byte is missing, and waiting is counted as such."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import create_database

from grt_batch.core.config import Config
from grt_batch.pipeline.request import RunSummary
from grt_batch.sample import write_sample
from tests.ranks.test_mpi import JOBS, MANY_SMALL_TASKS, Ranks, pytestmark  # noqa: F401 (needs an mpirun, too)

RANKS = 3


def sums(numbers: dict[str, Any], what: str) -> Counter[str]:
    """By stage, of all ranks."""
    total: Counter[str] = Counter()
    for rank in numbers["stages"]:
        total.update(rank[what])
    return total


@pytest.fixture(scope="module")
def config(server: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration for all tests here, over small uploads."""
    folder = tmp_path_factory.mktemp("stages")
    write_sample(folder / "uploads", jobs=JOBS, seed=5)
    places = {name: folder / name for name in ("uploads", "reports", "work")}
    return Config(**places, database=create_database(server))


@pytest.fixture(scope="module")
def profiled(config: Config) -> dict[str, Any]:
    """The run.json of a run with several ranks, many small tasks and a profile."""
    done = subprocess.run(
        [*Ranks(config).command(RANKS), "--profile"],
        env={**os.environ, **MANY_SMALL_TASKS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    numbers: dict[str, Any] = json.loads((config.reports / "latest" / "run.json").read_bytes())
    return numbers


def test_each_rank_says_what_it_did(
    profiled: dict[str, Any], config: Config, run_here: Callable[..., RunSummary], tmp_path: Path
) -> None:
    ranks = profiled["stages"]
    assert [(rank["rank"], rank["role"]) for rank in ranks] == [(0, "coordinator"), (1, "worker"), (2, "worker")]
    assert {rank["host"] for rank in ranks} == {socket.gethostname()}
    assert sums(profiled, "seconds").keys() == profiled["seconds_of_all_ranks"].keys()
    assert all(rank["seconds"]["waiting"] > 0 for rank in ranks)
    # What was computed is the same for any number of ranks. Of two archives that report the same jobs several ranks may
    # read the older one first, and then again.
    serial = replace(config, work=tmp_path / "alone", reports=tmp_path / "alone-reports")
    alone, together = sums(dict(run_here(serial).numbers), "bytes"), sums(profiled, "bytes")
    assert alone["read"] == profiled["bytes"]
    assert alone["gunzip"] == profiled["text_bytes"]
    for stage in ("read", "gunzip", "decode", "join"):
        assert alone[stage] <= together[stage] < 2 * alone[stage], stage
    for stage in ("tables", "tsv", "copy"):
        assert together[stage] == alone[stage], stage
    # Nobody but rank 0 merges and publishes, and it does nothing else.
    assert {"copy", "swap"} <= ranks[0]["seconds"].keys()
    assert not {"gunzip", "decode", "aggregate"} & ranks[0]["seconds"].keys()
    assert all({"lead", "gunzip", "decode"} <= rank["seconds"].keys() for rank in ranks[1:])


def test_what_is_sent_is_received_and_each_rank_writes_its_profile(profiled: dict[str, Any], config: Config) -> None:
    size = sums(profiled, "bytes")
    # A rank says what it has sent and then asks, so that its last ASK is only counted by who received it.
    assert 0 < size["receive"] - size["send"] < 3000 * (RANKS - 1)
    folder = config.work / "profiles" / profiled["run_id"]
    assert {file.name for file in folder.iterdir()} == {f"rank-{rank}.json" for rank in range(RANKS)}
    for said in profiled["stages"]:
        events = json.loads((folder / f"rank-{said['rank']}.json").read_bytes())["traceEvents"]
        assert {event["pid"] for event in events} == {said["rank"]}
        spans = Counter(event["name"] for event in events if event["ph"] == "X")
        assert spans["lead"] == said["times"].get("lead", 0)
        assert spans["decode"] == said["times"].get("decode", 0)
