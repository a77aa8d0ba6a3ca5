"""A rank, mpirun or the launcher is killed, told to end or stopped for ever, at some point of a run: readers see the
tables of before or those of after, nothing is left behind, and the next run gives the bytes of one that nobody killed.
With fault_tolerant a run that loses any rank but the first is itself such a one.

CHAOS_COUNT and CHAOS_SEED say how many kills there are, and which: see `make chaos`.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest
from runs import copy_uploads, create_database, name_of, published

from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest, new_run_id
from grt_batch.pipeline.run import execute
from grt_batch.ranks.heartbeat import STARTING, state_of
from grt_batch.ranks.launch_folder import LAUNCHES, launch_folder
from grt_batch.ranks.watch import STOPPED
from grt_batch.sample import UNTIL
from tests.ranks.test_mpi import (  # noqa: F401 (needs an mpirun, too)
    LONG_SECONDS,
    MANY_SMALL_TASKS,
    TOLERANT,
    Ranks,
    pytestmark,
    tolerates_losses,
    wait_for,
)

RANKS = 3
MODULES = ("tools", "params", "instances")
HEARTBEAT_SECONDS = 20
COUNT = int(os.environ.get("CHAOS_COUNT", "0"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
TARGETS = ("launcher", "mpirun", *range(RANKS))
TOLERANCES = (False, True) if tolerates_losses() else (False,)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)


@dataclass(frozen=True)
class Kill:
    """A signal to a process of a launch, by its name or rank, at a fraction of the time that the run takes."""

    number: signal.Signals
    target: str | int
    at: float
    tolerant: bool = False

    def __str__(self) -> str:
        return f"{self.number.name} to {self.target} at {self.at:.2f}{', tolerant' if self.tolerant else ''}"

    @property
    def is_tolerated(self) -> bool:
        """Whether the run goes on."""
        return self.tolerant and self.target not in ("launcher", "mpirun", 0)


def drawn(count: int, seed: int) -> list[Kill]:
    """Every signal to every target, tolerated or not, again and again, at other times."""
    chance = random.Random(seed)
    kinds = [(number, target, tolerant) for number in SIGNALS for target in TARGETS for tolerant in TOLERANCES]
    chance.shuffle(kinds)
    chosen = [kinds[i % len(kinds)] for i in range(count)]
    return [Kill(number, target, chance.random(), tolerant) for number, target, tolerant in chosen]


A_FEW = [
    Kill(signal.SIGKILL, 0, 0.8),
    Kill(signal.SIGKILL, "mpirun", 0.5),
    Kill(signal.SIGKILL, "launcher", 0.5),
    Kill(signal.SIGSTOP, 1, 0.4),
    Kill(signal.SIGSTOP, "mpirun", 0.5),
    Kill(signal.SIGKILL, 0, 0.4, tolerant=True),
    Kill(signal.SIGKILL, 1, 0.3, tolerant=True),
    Kill(signal.SIGTERM, 2, 0.6, tolerant=True),
]


@dataclass(frozen=True)
class Seen:
    """What readers see: the digest of each table, and the bytes of each report."""

    tables: dict[str, str]
    reports: dict[str, bytes]


@dataclass(frozen=True)
class Site:
    """A folder and a database as they are before the run that is killed, and what is seen before and after it."""

    folder: Path
    server: str
    database: str
    before: Seen
    after: Seen
    seconds: float

    def copy(self, folder: Path) -> Config:
        """A site of its own, for one kill."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return config_of(folder, create_database(self.server, self.database))


def config_of(folder: Path, database: str) -> Config:
    return Config(uploads=folder / "uploads", reports=folder / "reports", work=folder / "work", database=database)


def run(config: Config) -> None:
    """A run in this process, serially."""
    request = RunRequest(config=config, as_of=UNTIL, modules=MODULES)
    with lock(config.work):
        execute(
            replace(request, run_id=new_run_id(request.started)), SerialExecutor(), lambda: nullcontext(config.database)
        )


def seen(config: Config) -> Seen:
    return Seen(Ranks(config).tables(), published(config.reports))


@pytest.fixture(scope="module")
def site(good: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All archives but the newest of each instance are published; the run that is killed publishes those, too."""
    folder = tmp_path_factory.mktemp("chaos")
    config = config_of(folder / "before", create_database(server))
    newest = {
        max(archives.glob("*.tar.gz"), key=lambda tar: float(tar.name[:-7])) for archives in good.glob("*/archives")
    }
    late = {name for tar in newest for name in (tar, tar.with_name(tar.name.replace(".tar.gz", ".json")))}
    copy_uploads(good, config.uploads, lambda file: file not in late)
    run(config)
    before = seen(config)
    copy_uploads(good, config.uploads)
    template = name_of(config.database)
    unharmed = Site(folder / "before", server, template, before, before, 0).copy(folder / "unharmed")
    launch = Launch(unharmed)
    wait_for(launch.has_ranks, "mpirun starts no ranks")
    begun = time.monotonic()
    assert launch.process.wait(timeout=LONG_SECONDS) == 0, launch.output()
    seconds = time.monotonic() - begun
    after = seen(unharmed)
    assert after.tables.keys() == before.tables.keys()
    assert after.reports != before.reports
    serial = Site(folder / "before", server, template, before, before, 0).copy(folder / "serial")
    run(serial)
    assert seen(serial) == after
    return Site(folder / "before", server, template, before, after, seconds)


class Launch:
    """A run of several ranks, and its processes."""

    def __init__(self, config: Config, *, tolerant: bool = False) -> None:
        self.config = config
        config.work.parent.mkdir(exist_ok=True)
        self._log = config.work.parent / "log"
        command = Ranks(config).command(RANKS, *MODULES)
        environment = {**os.environ, **MANY_SMALL_TASKS, "GRT_BATCH_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
        environment |= TOLERANT if tolerant else {}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.mpirun: int | None = None
        self.ranks: list[int] = []

    def has_ranks(self) -> bool:
        """Whether mpirun has started all ranks, or all is over. No MPI goes on without a rank that is lost in MPI's
        Init, where the shared memory that it has made is nobody's yet: the time of a kill counts from the end of it."""
        self.mpirun = next(iter(children(self.process.pid)), None)
        self.ranks = [child for child in children(self.mpirun or 0) if is_rank(child)]
        signs = [read(str(file)) for file in self.config.work.glob(f"{LAUNCHES}/*/[0-9]")]
        begun = any(f"process {rank} " in self._lock() for rank in self.ranks)
        started = begun or [bool(sign) and STARTING not in sign for sign in signs] == [True] * RANKS
        return (len(self.ranks) == RANKS and started) or self.process.poll() is not None

    def _lock(self) -> str:
        return read(str(self.config.work / "lock"))

    def target(self, name: str | int) -> int:
        if isinstance(name, int):
            return next(process for process in self.ranks if rank_of(process) == name)
        return self.process.pid if name == "launcher" else self.mpirun or 0

    def files(self) -> set[Path]:
        """The shared memory of the ranks, and the folder of mpirun."""
        found = {Path(tempfile.gettempdir()) / f"ompi.{self.mpirun}"}
        for process in self.ranks:
            lines = read(f"/proc/{process}/maps").splitlines()
            found |= {Path(line[line.index("/dev/shm/") :]) for line in lines if "/dev/shm/" in line}
        return found

    def left(self) -> list[int]:
        """Those of the processes that are not gone."""
        processes = [self.process.pid, self.mpirun or 0, *self.ranks]
        return [process for process in processes if state_of(process) not in ("", "Z")]

    def output(self) -> str:
        return self._log.read_text()


def read(file: str) -> str:
    try:
        return Path(file).read_text(errors="replace")
    except OSError:
        return ""


def children(process: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{process}/task").glob("*/children") for child in read(str(task)).split()
    ]


def is_rank(process: int) -> bool:
    return read(f"/proc/{process}/cmdline").split("\0")[1:3] == ["-m", "mpi4py"]


def rank_of(process: int) -> int:
    found = re.search(r"\0(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)\0", read(f"/proc/{process}/environ"))
    return int(found[1]) if found else -1


def killed(site: Site, folder: Path, kill: Kill) -> tuple[Launch, set[Path]]:
    """A launch that the kill has reached, and the files that it had then. A run that was through before it is started
    again on another copy, and killed earlier."""
    delay = kill.at * site.seconds
    while True:
        launch = Launch(site.copy(folder / f"{delay:.4f}"), tolerant=kill.tolerant)
        wait_for(launch.has_ranks, "mpirun starts no ranks")
        try:
            launch.process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            files = launch.files()
            try:
                os.kill(launch.target(kill.target), kill.number)
                return launch, files
            except (ProcessLookupError, StopIteration):
                launch.process.wait(timeout=LONG_SECONDS)
        delay *= 0.6


@pytest.fixture
def cleared() -> Iterator[list[Launch]]:
    """Launches whose processes are ended, where the program did not do it."""
    launches: list[Launch] = []
    yield launches
    for launch in launches:
        for process in launch.left():
            os.kill(process, signal.SIGKILL)
        launch.process.wait()


@pytest.mark.parametrize("kill", drawn(COUNT, SEED) or A_FEW, ids=str)
def test_a_kill_leaves_all_as_before_or_as_after(site: Site, tmp_path: Path, kill: Kill, cleared: list[Launch]) -> None:
    if kill.tolerant and not tolerates_losses():
        pytest.skip("no Open MPI 5 with ULFM")
    launch, files = killed(site, tmp_path, kill)
    cleared.append(launch)
    config = launch.config
    if (kill.target, kill.number) == ("launcher", signal.SIGSTOP):
        # Nobody is there to see it: the ranks come to their end, and the launcher waits for whoever ends it.
        wait_for(lambda: launch.left() == [launch.process.pid], "the ranks do not end without their launcher")
        assert state_of(launch.process.pid) == STOPPED
        launch.process.kill()
    code = launch.process.wait(timeout=LONG_SECONDS)
    wait_for(lambda: not launch.left(), f"still there: {launch.left()}")

    now = seen(config)
    assert now.tables in (site.before.tables, site.after.tables), launch.output()
    assert now.reports in (site.before.reports, site.after.reports), launch.output()
    if kill.is_tolerated or code in (0, 1):
        assert (code in (0, 1), now) == (True, site.after), f"{code}: {launch.output()}"
    elif kill.target != "launcher":
        assert code == 6 or (kill.number is signal.SIGTERM and code == 128 + kill.number), f"{code}: {launch.output()}"
        assert "Traceback" not in launch.output()
    if kill.number is signal.SIGSTOP and kill.target != "launcher" and not kill.is_tolerated:
        assert_the_lost_one_is_named(kill, launch.output(), over=code in (0, 1))
    with launch_folder(config.work, "next"):
        pass
    assert not list((config.work / LAUNCHES).iterdir())
    assert not [file for file in files if file.exists()]
    assert staging_and_locks(config.database) == (0, 0)

    run(config)
    assert seen(config) == site.after
    assert staging_and_locks(config.database) == (0, 0)


def assert_the_lost_one_is_named(kill: Kill, output: str, *, over: bool) -> None:
    """The run may be over: ranks need no mpirun to come to their end."""
    host = re.escape(socket.gethostname())
    said = f"rank {kill.target} on {host} gave no sign of life for"
    if kill.target == "mpirun":
        said = f"mpirun on {host} is stopped for"
    lines = re.findall(r"^(?:A rank was lost|The database shows|grt-batch: )[^\n]*$", output, re.MULTILINE)
    assert len(lines) == 1, output
    if over:
        assert re.search(rf": (?:{said} \d+ seconds|mpirun does not end); the run was over before$", lines[0]), output
    else:
        assert re.search(rf": {said} \d+ seconds\. ", lines[0]), output


def staging_and_locks(database: str) -> tuple[int, int]:
    """How many tables of the data are part of none that is shown, and how many locks of runs there are."""
    with psycopg2.connect(database) as link, link.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('grt_data')"
            " AND relkind = 'r' AND NOT relispartition),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        tables, locks = cursor.fetchone() or (-1, -1)
    link.close()
    return int(tables), int(locks)
