"""Real mpirun: the same bytes at any number of ranks; a rank or mpirun that dies, and the run after it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from places import FAULTY, ROOT
from runs import administer, copy_uploads, create_database, name_of, published

from grt_batch.core.config import Config
from grt_batch.core.errors import Locked, NoMpirun
from grt_batch.core.work_folder import lock
from grt_batch.pipeline.request import RunSummary
from grt_batch.ranks.mpirun import find_mpirun, is_tolerant
from grt_batch.sample import write_sample

JOBS = 1200
"""Enough for archives of all kinds, and for many tasks of small blocks."""
MANY_SMALL_TASKS = {"GRT_BATCH_BLOCK_BYTES": "2000", "GRT_BATCH_AGGREGATE_JOBS": "15"}
LONG_SECONDS = 600
"""Nothing takes so long, on any machine, unless it hangs."""
LAUNCH = """
import sys
from pathlib import Path
from grt_batch.core.config_file import load
from grt_batch.core.errors import Stopped
from grt_batch.ranks.launcher import launch
config = load()
tolerant = config.fault_tolerant
seconds = config.heartbeat_seconds if tolerant else 0
try:
    sys.exit(launch(int(sys.argv[1]), sys.argv[4:], Path(sys.argv[2]), seconds, [sys.argv[3]], fault_tolerant=tolerant))
except Stopped as error:
    sys.exit(error.exit_code)
"""
TOLERANT = {"GRT_BATCH_FAULT_TOLERANT": "true"}


def _mpirun(environment: Mapping[str, str]) -> str:
    try:
        return str(find_mpirun(environment).path)
    except NoMpirun as error:
        return f"missing: {error}"


def tolerates_losses() -> bool:
    """Whether there is an Open MPI 5 with ULFM."""
    try:
        return is_tolerant(find_mpirun(os.environ), os.environ)
    except NoMpirun:
        return False


pytestmark = pytest.mark.skipif(_mpirun(os.environ).startswith("missing"), reason="no mpirun")


@dataclass
class Ranks:
    """Starts runs over MPI, on one folder and database."""

    config: Config

    def arguments(self) -> list[str]:
        places = {"uploads": self.config.uploads, "reports": self.config.reports, "work": self.config.work}
        options = [text for name, value in places.items() for text in (f"--{name}", str(value))]
        return [*options, "--database", self.config.database, "--as-of", "2024-06-30"]

    def command(self, ranks: int, *modules: str) -> list[str]:
        return [sys.executable, "-m", "grt_batch.cli", "run", "--ranks", str(ranks), *self.arguments(), *modules]

    def start(
        self, ranks: int, environment: Mapping[str, str] | None = None, *, faulty: bool = False
    ) -> subprocess.Popen[str]:
        if faulty:
            command = [sys.executable, "-c", LAUNCH, str(ranks), str(self.config.work), str(FAULTY), *self.arguments()]
        else:
            command = self.command(ranks)
        return subprocess.Popen(
            command,
            env={**os.environ, **MANY_SMALL_TASKS, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, ranks: int, environment: Mapping[str, str] | None = None, *, faulty: bool = False) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        for _ in range(3):
            process = self.start(ranks, environment, faulty=faulty)
            printed, complained = process.communicate(timeout=LONG_SECONDS)
            # Now and then Open MPI cannot start a thread of its own; then nothing of ours has run.
            if "listener thread failed to start" not in printed + complained:
                break
        return process.returncode, printed + complained

    def tables(self) -> dict[str, str]:
        """What the database shows."""
        with psycopg2.connect(self.config.database) as link, link.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace('grt') AND relkind = 'p'"
            )
            names = sorted(name for (name,) in cursor.fetchall())
            shown = {}
            for name in names:
                cursor.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM grt.{name} t")
                (shown[name],) = cursor.fetchone() or ("",)
        link.close()
        return shown

    def left_behind(self) -> int:
        """How many tables in the schema of the data are part of none that is shown."""
        with psycopg2.connect(self.config.database) as link, link.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('grt_data')"
                " AND relkind IN ('r', 'p') AND NOT relispartition"
            )
            (count,) = cursor.fetchone() or (0,)
        link.close()
        return int(count)


@pytest.fixture
def ranks(config: Config) -> Ranks:
    return Ranks(config)


@dataclass(frozen=True)
class Source:
    """Uploads, and what a serial run publishes of them: the name of its database, and its reports."""

    uploads: Path
    database: str
    reports: dict[str, bytes]


@pytest.fixture(scope="module")
def sources(
    server: str, run_here: Callable[..., RunSummary], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Source]:
    """Several archives; and a single one, which one rank leads while all others help."""
    folder = tmp_path_factory.mktemp("sources")
    write_sample(folder / "several", jobs=JOBS, seed=5)
    largest = max((folder / "several").rglob("*.tar.gz"), key=lambda tar: tar.stat().st_size)
    pair = {largest, largest.with_name(largest.name.replace(".tar.gz", ".json"))}
    copy_uploads(folder / "several", folder / "one", lambda file: file in pair)
    found = {}
    for name in ("several", "one"):
        serial = Config(
            uploads=folder / name,
            reports=folder / f"{name}-reports",
            work=folder / f"{name}-work",
            database=create_database(server),
        )
        run_here(serial)
        found[name] = Source(serial.uploads, name_of(serial.database), published(serial.reports))
    return found


@pytest.fixture
def source(sources: dict[str, Source], request: pytest.FixtureRequest) -> Source:
    """What a test is parametrized with, or several archives."""
    return sources[getattr(request, "param", "several")]


with_workers = pytest.mark.parametrize("source", ["one"], indirect=True, ids=["one archive"])


@pytest.fixture
def config(source: Source, server: str, tmp_path: Path) -> Iterator[Config]:
    """A configuration of its own for each test, with a database where the tables are published already."""
    database = create_database(server, source.database)
    yield Config(uploads=source.uploads, reports=tmp_path / "reports", work=tmp_path / "work", database=database)
    administer(server, f"DROP DATABASE {name_of(database)} WITH (FORCE)")


@pytest.fixture
def expected(source: Source) -> dict[str, bytes]:
    """What a serial run publishes."""
    return source.reports


def processes_of(work: Path) -> list[str]:
    """The processes whose command line names this work folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(work) in line and int(entry.name) != os.getpid():
            found.append(f"{entry.name} {line}")
    return found


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LONG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_any_number_of_ranks_gives_the_bytes_of_a_serial_run(
    ranks: Ranks, expected: dict[str, bytes], count: int
) -> None:
    code, output = ranks.run(count)
    assert code == 0, output
    assert published(ranks.config.reports) == expected


@with_workers
@pytest.mark.parametrize("count", [2, 4, 7])
def test_so_does_one_archive_that_all_ranks_share(ranks: Ranks, expected: dict[str, bytes], count: int) -> None:
    code, output = ranks.run(count)
    assert code == 0, output
    assert published(ranks.config.reports) == expected


def test_manager_py_under_mpirun_is_the_same_program(ranks: Ranks, expected: dict[str, bytes]) -> None:
    mpirun = find_mpirun(os.environ)
    manager = ROOT / "manager.py"
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl": "^ofi"}
    many = ["--oversubscribe"] if "Open" in mpirun.flavour.name.title() else []
    command = [str(mpirun.path), *many, "-n", "3", sys.executable, "-m", "mpi4py", str(manager)]
    command += [*ranks.arguments(), "--profile", "--log-format=json"]
    done = subprocess.run(
        command,
        env={**os.environ, **root},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert published(ranks.config.reports) == expected
    profiles = {file.name for file in ranks.config.work.glob("profiles/*/*")}
    assert profiles == {"rank-0.json", "rank-1.json", "rank-2.json"}


def test_mpich_gives_the_same(ranks: Ranks, expected: dict[str, bytes]) -> None:
    prefix = os.environ.get("GRT_BATCH_TEST_MPICH")
    if not prefix:
        pytest.skip("no MPICH: set GRT_BATCH_TEST_MPICH")
    code, output = ranks.run(4, {"GRT_BATCH_MPIRUN": f"{prefix}/bin/mpirun"})
    assert code == 0, output
    assert published(ranks.config.reports) == expected


@with_workers
@pytest.mark.parametrize("role", ["worker", "controller", "coordinator"])
@pytest.mark.parametrize("fault", ["raise", "kill"])
def test_a_lost_rank_ends_the_run_and_the_next_one_gives_the_same(
    ranks: Ranks, expected: dict[str, bytes], run_here: Callable[..., RunSummary], tmp_path: Path, role: str, fault: str
) -> None:
    before = ranks.tables()
    mark = tmp_path / "mark"
    environment = {"FAULT": fault, "FAULT_ROLE": role, "FAULT_AT": "3", "FAULT_MARK": str(mark)}
    code, output = ranks.run(3, environment, faulty=True)
    assert mark.exists(), output
    assert code == 6, output
    if fault == "raise":
        assert "a fault that was asked for" in output
        if role != "coordinator":
            assert re.search(rf"rank \d \({role}\) on \S+ failed at \S+/[0-9.]+", output), output
    assert "Traceback" not in output
    assert_as_before(ranks, before)
    run_here(ranks.config)
    assert published(ranks.config.reports) == expected
    assert ranks.tables() == before
    assert ranks.left_behind() == 0


needs_ulfm = pytest.mark.skipif(not tolerates_losses(), reason="no Open MPI 5 with ULFM")


@needs_ulfm
@with_workers
@pytest.mark.parametrize("role", ["worker", "controller"])
@pytest.mark.parametrize("fault", ["kill once", "stop once"])
def test_a_tolerant_run_loses_a_rank_and_gives_the_same(
    ranks: Ranks, expected: dict[str, bytes], tmp_path: Path, role: str, fault: str
) -> None:
    mark = tmp_path / "mark"
    environment = {"FAULT": fault, "FAULT_ROLE": role, "FAULT_AT": "3", "FAULT_MARK": str(mark)}
    code, output = ranks.run(3, {**environment, **TOLERANT, "GRT_BATCH_HEARTBEAT_SECONDS": "20"}, faulty=True)
    assert mark.exists(), output
    assert code == 0, output
    (place,) = (f"{tar.parts[-3]}/{tar.name[:-7]}" for tar in ranks.config.uploads.rglob("*.tar.gz"))
    (warning,) = re.findall(r"^.* warning .*$", output, re.MULTILINE)
    assert re.search(rf"rank [12] on \S+ was lost at work on {place}; the run goes on with 2$", warning), warning
    stuck = re.findall(
        r"^grt-batch: rank [12] on \S+ gave no sign of life for \d+ seconds, and is killed$", output, re.M
    )
    assert len(stuck) == (fault == "stop once"), output
    assert published(ranks.config.reports) == expected
    (run,) = ranks.config.reports.glob("latest/run.json")
    assert json.loads(run.read_text())["ranks_lost"] == 1


@needs_ulfm
@with_workers
@pytest.mark.parametrize(
    ("role", "fault", "complaint"),
    [
        ("worker", "raise once", r"rank \d \(worker\) on \S+ failed at \S+/[0-9.]+.*: a fault that was asked for"),
        (
            "controller",
            "raise once",
            r"rank \d \(controller\) on \S+ failed at \S+/[0-9.]+: .*a fault that was asked for",
        ),
        ("coordinator", "raise", "a fault that was asked for"),
        ("coordinator", "kill", r"rank 0 \(coordinator\) was lost: the others cannot go on without it"),
        ("controller", "kill", "A rank was lost, and nothing was published: all ranks but the first"),
    ],
    ids=["worker raises", "controller raises", "coordinator raises", "coordinator killed", "all others killed"],
)
def test_a_tolerant_run_ends_where_it_cannot_go_on(
    ranks: Ranks, expected: dict[str, bytes], tmp_path: Path, role: str, fault: str, complaint: str
) -> None:
    before = ranks.tables()
    environment = {"FAULT": fault, "FAULT_ROLE": role, "FAULT_AT": "3", "FAULT_MARK": str(tmp_path / "mark")}
    code, output = ranks.run(3, {**environment, **TOLERANT}, faulty=True)
    assert code == 6, output
    assert len(re.findall(complaint, output)) == 1, output
    assert "Traceback" not in output
    assert "no sign of life" not in output, "they did not end by themselves"
    assert_as_before(ranks, before)


@with_workers
def test_where_the_mpi_cannot_go_on_a_run_says_so_and_is_as_without(ranks: Ranks, expected: dict[str, bytes]) -> None:
    prefix = os.environ.get("GRT_BATCH_TEST_MPICH")
    if not prefix:
        pytest.skip("no MPICH: set GRT_BATCH_TEST_MPICH")
    code, output = ranks.run(3, {**TOLERANT, "GRT_BATCH_MPIRUN": f"{prefix}/bin/mpirun"})
    assert code == 0, output
    (warning,) = re.findall("^grt-batch: .*$", output, re.MULTILINE)
    assert warning == (
        "grt-batch: fault_tolerant has no effect, a lost rank ends the run:"
        f" {prefix}/bin/mpirun is no Open MPI 5 with ULFM"
    )
    assert published(ranks.config.reports) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_everything_as_it_was(
    ranks: Ranks,
    expected: dict[str, bytes],
    run_here: Callable[..., RunSummary],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    before = ranks.tables()
    mark = tmp_path / "mark"
    environment = {"FAULT": "wait", "FAULT_ROLE": "controller", "FAULT_AT": "5", "FAULT_MARK": str(mark)}
    process = ranks.start(3, environment, faulty=True)
    wait_for(mark.exists, "the run never came to the place where it is stopped")
    process.send_signal(number)
    _, complained = process.communicate(timeout=LONG_SECONDS)
    if number is not signal.SIGKILL:
        assert process.returncode == 128 + number, complained
    assert_as_before(ranks, before)
    run_here(ranks.config)
    assert published(ranks.config.reports) == expected


@with_workers
def test_an_mpirun_that_is_killed_takes_all_ranks_with_it(
    ranks: Ranks, expected: dict[str, bytes], run_here: Callable[..., RunSummary], tmp_path: Path
) -> None:
    before = ranks.tables()
    mark = tmp_path / "mark"
    environment = {"FAULT": "wait", "FAULT_ROLE": "worker", "FAULT_AT": "2", "FAULT_MARK": str(mark)}
    process = ranks.start(3, environment, faulty=True)
    wait_for(mark.exists, "the run never came to the place where mpirun is killed")
    (mpirun,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(mpirun), signal.SIGKILL)
    _, complained = process.communicate(timeout=LONG_SECONDS)
    assert process.returncode == 6, complained
    assert "mpirun itself was ended by signal 9" in complained
    assert_as_before(ranks, before)
    run_here(ranks.config)
    assert published(ranks.config.reports) == expected


def is_free(work: Path) -> bool:
    """Whether nobody holds the lock of a work folder."""
    try:
        with lock(work):
            return True
    except Locked:
        return False


def assert_as_before(ranks: Ranks, before: dict[str, str]) -> None:
    """No process is left, and readers see what they saw."""
    wait_for(lambda: not processes_of(ranks.config.work), f"still there: {processes_of(ranks.config.work)}")
    # A process that ends has no command line any more before it lets its locks go.
    wait_for(lambda: is_free(ranks.config.work), "the lock of the work folder is still held")
    assert ranks.tables() == before
    assert not (ranks.config.reports / "latest").exists()
