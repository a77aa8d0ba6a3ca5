# ruff: noqa: F811 (fixtures of another file)
"""Ranks on two hosts: this one, and a process's own host name in a namespace, which mpirun reaches by a stand-in for
ssh."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import ROOT
from runs import published

from grt_batch.core.errors import NoMpirun
from grt_batch.ranks.heartbeat import Sign, read_sign
from grt_batch.ranks.launch_folder import LAUNCHES
from grt_batch.ranks.mpirun import find_mpirun
from tests.ranks.test_mpi import (  # noqa: F401 (fixtures)
    LONG_SECONDS,
    TOLERANT,
    Ranks,
    config,
    expected,
    needs_ulfm,
    pytestmark,
    ranks,
    source,
    sources,
    wait_for,
)

SSH = ROOT / "tests/support/ssh_to_a_name.sh"
HERE, THERE = socket.gethostname(), "grt-test-host"
HOSTS = f"--hosts={HERE}:1,{THERE}:2"

# What a rank on the other host has loaded, and what it was told.
RANK = """
import os, socket
from mpi4py import MPI
from grt_batch.ranks.word import note_code
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "/libmpi" in line}
names = ("NUMBA_CACHE_DIR", "PYTHONPATH", "MPI4PY_LIBMPI")
words = [MPI.COMM_WORLD.rank, socket.gethostname(), *libraries, *(os.environ.get(name) for name in names)]
told = MPI.COMM_WORLD.gather(words)
if MPI.COMM_WORLD.rank == 0:
    for words in told:
        print(*words)
    note_code(0)
"""

LAUNCH = """
import sys
from pathlib import Path
from grt_batch.ranks.launcher import launch
sys.exit(launch(3, [], Path(sys.argv[1]), program=[sys.argv[2]], hosts=sys.argv[3].partition("=")[2]))
"""


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    tried = subprocess.run([SSH, THERE, "hostname"], capture_output=True, text=True, check=False)
    if tried.stdout != f"{THERE}\n":
        pytest.skip(f"no namespaces of users and host names: {tried.stderr.strip()}")


@pytest.fixture(params=["installed", "mpich"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """What leads an MPI to the other host."""
    # Open MPI's daemons, MPICH's; and MPICH's UCX shares no memory between namespaces.
    found = {"PRTE_MCA_plm_ssh_agent": str(SSH), "HYDRA_LAUNCHER_EXEC": str(SSH), "UCX_TLS": "tcp,self"}
    if request.param == "mpich":
        prefix = os.environ.get("GRT_BATCH_TEST_MPICH")
        if not prefix:
            pytest.skip("no MPICH: set GRT_BATCH_TEST_MPICH")
        found["GRT_BATCH_MPIRUN"] = f"{prefix}/bin/mpirun"
    try:
        mpirun = find_mpirun({**os.environ, **found})
    except NoMpirun as error:
        pytest.skip(f"no mpirun: {error}")
    return {**os.environ, "PYTHONPATH": str(ROOT), **found, "TEST_LIBMPI": str(mpirun.library)}


only_open_mpi = pytest.mark.parametrize("environment", ["installed"], indirect=True)


def command(ranks: Ranks, name: str) -> list[str]:
    options = [option for option in ranks.arguments() if name == "run" or option not in ("--as-of", "2024-06-30")]
    return [sys.executable, "-m", "grt_batch.cli", name, "--ranks=3", HOSTS, *options]


def run(ranks: Ranks, environment: dict[str, str], name: str = "run") -> tuple[int, str]:
    done = subprocess.run(
        command(ranks, name), env=environment, capture_output=True, text=True, timeout=LONG_SECONDS, check=False
    )
    return done.returncode, done.stdout + done.stderr


class Launch:
    """A command whose first rank is stopped as soon as all have started."""

    def __init__(self, ranks: Ranks, environment: dict[str, str], name: str) -> None:
        self.work = ranks.config.work
        self.process = subprocess.Popen(
            command(ranks, name), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        wait_for(self.has_ranks, "the ranks do not start")
        self.ranks = self.signs()
        os.kill(self.ranks[0].process, signal.SIGSTOP)

    def signs(self) -> list[Sign]:
        found = (read_sign(folder, rank) for folder in self.work.glob(f"{LAUNCHES}/*") for rank in range(3))
        return [sign for sign in found if sign is not None and sign.started]

    def has_ranks(self) -> bool:
        return len(self.signs()) == 3 or self.process.poll() is not None

    def end(self) -> tuple[int, str]:
        os.kill(self.ranks[0].process, signal.SIGCONT)
        output, _ = self.process.communicate(timeout=LONG_SECONDS)
        return self.process.returncode, output


@contextmanager
def stopped(ranks: Ranks, environment: dict[str, str], name: str = "run") -> Iterator[Launch]:
    launch = Launch(ranks, environment, name)
    try:
        yield launch
    finally:
        launch.process.kill()


def kill_the_daemon(launch: Launch) -> None:
    """Kill the process on the other host that has started the ranks there."""
    stat = Path(f"/proc/{launch.ranks[1].process}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)


def shared_memory() -> set[str]:
    return {file.name for file in Path("/dev/shm").iterdir() if f".{THERE}." in file.name}


def test_two_hosts_give_the_same_bytes(ranks: Ranks, expected: dict[str, bytes], environment: dict[str, str]) -> None:
    code, output = run(ranks, environment)
    assert code == 0, output
    assert published(ranks.config.reports) == expected
    summary = json.loads((ranks.config.reports / "latest/run.json").read_text())
    assert [rank["host"] for rank in summary["stages"]] == [HERE, THERE, THERE]
    assert not list(ranks.config.work.glob(f"{LAUNCHES}/*"))


def test_ranks_on_another_host_load_what_those_here_load(environment: dict[str, str], tmp_path: Path) -> None:
    # No library is beside it.
    wrapper = tmp_path / "mpirun"
    wrapper.write_text(f'#!/bin/sh\nexec {find_mpirun(environment).path} "$@"\n')
    wrapper.chmod(0o755)
    (tmp_path / "rank.py").write_text(RANK)
    told = {"NUMBA_CACHE_DIR": "/cache", "PYTHONPATH": str(ROOT), "MPI4PY_LIBMPI": environment["TEST_LIBMPI"]}
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, str(tmp_path / "work"), str(tmp_path / "rank.py"), HOSTS],
        env={**environment, **told, "GRT_BATCH_MPIRUN": str(wrapper)},
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [["0", HERE], ["1", THERE], ["2", THERE]]
    assert {" ".join(line[-3:]) for line in lines} == {" ".join(told.values())}
    assert len({tuple(line[2:]) for line in lines}) == 1, done.stdout


@only_open_mpi
def test_a_host_that_is_lost_is_a_lost_rank(
    ranks: Ranks, expected: dict[str, bytes], environment: dict[str, str]
) -> None:
    before = ranks.tables()
    with stopped(ranks, environment) as launch:
        kill_the_daemon(launch)
        code, output = launch.end()
    assert code == 6, output
    assert re.search("^A rank was lost, and nothing was published: ", output, re.M), output
    assert ranks.tables() == before
    assert not (ranks.config.reports / "latest").exists()
    left = shared_memory()

    code, output = run(ranks, environment)
    assert code == 0, output
    assert published(ranks.config.reports) == expected
    assert not left & shared_memory()
    assert not list(ranks.config.work.glob(f"{LAUNCHES}/*"))


def test_a_verification_that_compared_nothing_says_neither_same_nor_different(
    ranks: Ranks, environment: dict[str, str], run_here: Callable[..., object]
) -> None:
    run_here(ranks.config)
    with stopped(ranks, environment, "verify") as launch:
        os.kill(launch.ranks[2].process, signal.SIGKILL)
        code, output = launch.end()
    assert code == 6, output
    assert "differ" not in output
    assert "are the same" not in output
    code, output = run(ranks, environment, "verify")
    assert code == 0, output
    assert "are the same" in output


@needs_ulfm
@only_open_mpi
def test_a_tolerant_run_loses_a_rank_on_another_host(
    ranks: Ranks, expected: dict[str, bytes], environment: dict[str, str]
) -> None:
    with stopped(ranks, environment | TOLERANT) as launch:
        os.kill(launch.ranks[2].process, signal.SIGKILL)
        code, output = launch.end()
    assert code == 0, output
    assert published(ranks.config.reports) == expected
    assert json.loads((ranks.config.reports / "latest/run.json").read_text())["ranks_lost"] == 1


def test_a_work_folder_that_is_not_shared_is_one_line(
    ranks: Ranks, environment: dict[str, str], tmp_path: Path
) -> None:
    # The stand-in hides the work folder from the other host.
    hidden = tmp_path / "ssh"
    hidden.write_text(
        f'#!/bin/sh\nexec unshare --user --map-current-user --keep-caps --mount sh -c \'mount -t tmpfs none "$0" &&'
        f' exec "$@"\' {ranks.config.work} {SSH} "$@"\n'
    )
    hidden.chmod(0o755)
    ranks.config.work.mkdir()
    code, output = run(
        ranks, {**environment, "PRTE_MCA_plm_ssh_agent": str(hidden), "HYDRA_LAUNCHER_EXEC": str(hidden)}
    )
    assert code == 6, output
    assert output.count(f"The host {THERE} does not show the work folder") == 1, output
