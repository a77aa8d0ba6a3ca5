"""Ranks on several hosts, over a real network that is cut, and as jobs of a Slurm of two nodes: `make cluster`.

The hosts are namespaces, as tests/support/hosts.py says. What is missing for them is named, and the tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hosts import Host, NoHosts, hosts
from places import ROOT
from runs import published
from slurm import NoSlurm, slurm

from grt_batch.core.config import Config
from grt_batch.core.errors import RankLost
from grt_batch.sample import UNTIL

pytestmark = pytest.mark.skipif("GRT_BATCH_TEST_CLUSTER" not in os.environ, reason="run by make cluster")

MPICH = os.environ.get("GRT_BATCH_TEST_MPICH", "")
MPIS = {"Open MPI": {}, "MPICH": {"GRT_BATCH_MPIRUN": f"{MPICH}/bin/mpirun"}}
DAEMONS = {"Open MPI": "prted", "MPICH": "hydra_pmi_proxy"}
HEARTBEAT_SECONDS = 15
MANY_SMALL_TASKS = {"GRT_BATCH_BLOCK_BYTES": "2000", "GRT_BATCH_AGGREGATE_JOBS": "15"}
"""They make a run of many messages, which takes long enough to be hit in the middle."""
PLACES = "one:2,two:2,three:1"
LONG_SECONDS = 200


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """Three hosts."""
    try:
        with hosts(tmp_path_factory.mktemp("hosts"), ("one", "two", "three")) as found:
            yield {host.name: host for host in found}
    except NoHosts as error:
        pytest.skip(f"no hosts here: {error}")


@pytest.fixture(params=MPIS)
def mpi(request: pytest.FixtureRequest) -> str:
    """The name of an MPI."""
    if request.param == "MPICH" and not Path(MPICH, "bin", "mpirun").is_file():
        pytest.skip("no MPICH at GRT_BATCH_TEST_MPICH")
    return str(request.param)


@dataclass
class Site:
    """Runs with ranks on several hosts, which are started on the first, and what they leave."""

    config: Config
    host: Host
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        keys = ("uploads", "reports", "work", "database")
        own = {f"GRT_BATCH_{key.upper()}": str(getattr(self.config, key)) for key in keys}
        heartbeat = {"GRT_BATCH_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
        return {**os.environ, "PYTHONPATH": str(ROOT), **MANY_SMALL_TASKS, **heartbeat, **own, **self.settings}

    def start(self, *command: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.host.line(*command), env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *options: object) -> subprocess.Popen[str]:
        """Start a run on all hosts."""
        program = (sys.executable, "-m", "grt_batch.cli", "run", "--log-format", "text", "--as-of", UNTIL)
        return self.start(*program, "--ranks", 5, "--hosts", PLACES, *options)

    def wait_until_it_reads(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + LONG_SECONDS
        while not any((self.config.work / "store").rglob("*")):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(ended(process)[1])
            time.sleep(0.02)

    @property
    def published(self) -> dict[str, bytes]:
        return published(self.config.reports)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and all that was printed."""
    try:
        out, err = process.communicate(timeout=LONG_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out + err


@pytest.fixture
def site(config: Config, three: dict[str, Host], mpi: str) -> Site:
    return Site(config, three["one"], dict(MPIS[mpi]))


@pytest.fixture(scope="module")
def expected(_published: Config) -> dict[str, bytes]:
    """What a serial run publishes."""
    return published(_published.reports)


def processes(host: Host, words: str) -> list[str]:
    return host.run("pgrep", "--full", words, environment=os.environ).stdout.split()


def kill(host: Host, words: str) -> None:
    assert host.run("pkill", "--signal", "KILL", "--full", words, environment=os.environ).returncode == 0


def test_ranks_on_three_hosts_give_the_same_bytes(
    site: Site, expected: dict[str, bytes], three: dict[str, Host]
) -> None:
    process = site.run()
    site.wait_until_it_reads(process)
    ranks = {name: len(processes(host, "mpi4py -m grt_batch.cli run")) for name, host in three.items()}
    code, said = ended(process)
    assert code == 0, said
    assert all(ranks.values()), ranks
    assert site.published == expected


def test_a_short_cut_of_the_cable_changes_nothing(
    site: Site, expected: dict[str, bytes], three: dict[str, Host]
) -> None:
    process = site.run()
    site.wait_until_it_reads(process)
    three["two"].cable("down")
    time.sleep(3)
    three["two"].cable("up")
    code, said = ended(process)
    assert code == 0, said
    assert site.published == expected


@pytest.mark.parametrize("what", ["cable", "daemon"])
def test_a_lost_host_is_a_lost_rank(
    site: Site, mpi: str, expected: dict[str, bytes], three: dict[str, Host], what: str
) -> None:
    """Or none, where the ranks survive the daemon that started them: then the run publishes."""
    process = site.run()
    site.wait_until_it_reads(process)
    if what == "cable":
        three["two"].cable("down")
    else:
        kill(three["two"], DAEMONS[mpi])
    code, said = ended(process)
    three["two"].cable("up")
    assert (code, site.published) in ((RankLost.exit_code, {}), (0, expected)), said
    site.host.wait_for("two")
    code, said = ended(site.run())
    assert code == 0, said
    assert site.published == expected


@pytest.fixture(scope="module")
def nodes(three: dict[str, Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Slurm of two nodes, by the environment that leads to it."""
    try:
        with slurm(tmp_path_factory.mktemp("slurm"), [three["one"], three["two"]]) as environment:
            yield {"SLURM_CONF": environment["SLURM_CONF"]}
    except NoSlurm as error:
        pytest.skip(f"no Slurm here: {error}")


@pytest.fixture
def cron(site: Site, nodes: dict[str, str], tmp_path: Path) -> Site:
    """A site whose runs cron starts as jobs of two nodes."""
    site.settings |= nodes | {
        "GRT_BATCH_HOME": str(tmp_path),
        "GRT_BATCH_PYTHON": sys.executable,
        "GRT_BATCH_SCHEDULER": "slurm",
        "GRT_BATCH_SPAN": "any",
        "GRT_BATCH_RANKS": "4",
        "GRT_BATCH_POLL": "1",
        "GRT_BATCH_SETTLE_SECONDS": "0",
    }
    return site


def test_a_job_on_two_nodes_gives_the_same_bytes(
    cron: Site, expected: dict[str, bytes], three: dict[str, Host]
) -> None:
    process = cron.start(ROOT / "cron.sh", "--as-of", UNTIL)
    cron.wait_until_it_reads(process)
    ranks = {name: len(processes(host, "mpi4py -m grt_batch.cli run")) for name, host in three.items()}
    assert ended(process) == (0, "")
    assert ranks["one"] and ranks["two"] and not ranks["three"]
    assert cron.published == expected


def test_a_cancelled_job_is_lost(cron: Site, expected: dict[str, bytes]) -> None:
    process = cron.start(ROOT / "cron.sh", "--as-of", UNTIL)
    cron.wait_until_it_reads(process)
    assert cron.host.run("scancel", "--name=grt_batch", environment=cron.environment).returncode == 0
    code, said = ended(process)
    assert code in (RankLost.exit_code, 143), said
    assert not cron.published
    assert ended(cron.start(ROOT / "cron.sh", "--as-of", UNTIL)) == (0, "")
    assert cron.published == expected
