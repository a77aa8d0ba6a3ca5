"""A rank that waits sleeps, and one that sends does not wait."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from grt_batch.ranks import transport
from grt_batch.ranks.messages import Tag, pack
from grt_batch.ranks.transport import Transport

MPI = pytest.importorskip("mpi4py.MPI", reason="no MPI library is installed", exc_type=(ImportError, RuntimeError))


class Comm:
    """A communicator of one rank, where a message comes after so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def Get_rank(self) -> int:  # noqa: N802 - MPI's name
        return 0

    def Get_size(self) -> int:  # noqa: N802
        return 1

    def Improbe(self, *_: Any) -> Comm | None:  # noqa: N802
        self.looks -= 1
        return None if self.looks >= 0 else self

    def Recv(self, buffer: list[Any]) -> None:  # noqa: N802
        buffer[0][:] = pack()


class Status:
    """What came in: an empty message."""

    def Get_count(self, *_: Any) -> int:  # noqa: N802
        return len(pack())

    def Get_tag(self) -> int:  # noqa: N802
        return int(Tag.ASK)

    def Get_source(self) -> int:  # noqa: N802
        return 3


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", taken.append)
    monkeypatch.setattr(MPI, "Status", Status)
    return taken


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_of_an_srun_without_an_mpi_are_refused_in_one_line(rank: int) -> None:
    own = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
    foreign = ("OMPI_", "PMI", "PMIX_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own
    done = subprocess.run(
        [sys.executable, "-m", "grt_batch.cli", "modules"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout == ""
    assert (done.returncode, done.stderr.count("\n")) == ((2, 1) if rank == 0 else (0, 0)), done.stderr
    assert ("srun --mpi=pmix" in done.stderr) == (rank == 0)


def test_a_message_that_is_there_costs_no_sleep(naps: list[float]) -> None:
    message = Transport(Comm(looks=0)).receive()
    assert (message.tag, message.source) == (Tag.ASK, 3)
    assert naps == []


def test_a_rank_that_waits_sleeps_ever_longer_up_to_a_millisecond(naps: list[float]) -> None:
    Transport(Comm(looks=1000)).receive()
    assert len(naps) > 900
    assert naps == sorted(naps)
    assert naps[0] < 1e-4
    assert naps[-1] == 1e-3
