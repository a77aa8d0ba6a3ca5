"""The launcher under real mpiruns: what the ranks do, and what the shell sees of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grt_batch.errors import NoMpirun
from grt_batch.ranks.launcher import Banners, Flavour, Mpirun, command, exit_code, find_mpirun

RANKS = 3
DEADLINE_SECONDS = 20
ROOT = Path(__file__).parents[2]

# A rank tells its process id, meets the others, and does what it is told.
RANK = """
import os, signal, sys, time
from pathlib import Path
from mpi4py import MPI
what, number, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
rank = MPI.COMM_WORLD.rank
if what == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(folder / f"part.{rank}").write_text(str(os.getpid()))
(folder / f"part.{rank}").rename(folder / f"rank.{rank}")
MPI.COMM_WORLD.Barrier()
if what == "all":
    sys.exit(number)
if what == "first":
    if rank == 0:
        print("ranks", MPI.COMM_WORLD.size, "threads", os.environ["OMP_NUM_THREADS"], flush=True)
        print("stdin", repr(sys.stdin.read()), file=sys.stderr, flush=True)
    MPI.COMM_WORLD.Barrier()
    MPI.Finalize()
    sys.exit(number if rank == 0 else 0)
if rank == 1:
    if what == "leave":
        os._exit(number)
    if what == "signal":
        os.kill(os.getpid(), number)
    if what == "abort":
        MPI.COMM_WORLD.Abort(number)
time.sleep(120)
"""

LAUNCH = """
import sys
from grt_batch.ranks import launcher
launcher.GRACE_SECONDS = float(sys.argv[2])
sys.exit(launcher.launch(int(sys.argv[1]), sys.argv[4:], program=[sys.argv[3]]))
"""


class Launch:
    """A launcher in a process of its own, with a folder where its ranks leave their process ids."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.script = folder / "rank.py"
        self.script.write_text(RANK)

    def start(self, what: str, number: int = 0, grace_seconds: float = 5) -> subprocess.Popen[str]:
        words = [str(RANKS), str(grace_seconds), str(self.script), what, str(number), str(self.folder)]
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, what: str, number: int = 0) -> tuple[int, str, str]:
        with self.start(what, number) as process:
            out, err = finished(process)
        return process.returncode, out, err

    def waiting_ranks(self) -> list[int]:
        until(lambda: len(list(self.folder.glob("rank.[0-9]"))) == RANKS, "the ranks start")
        return [int(path.read_text()) for path in self.folder.glob("rank.[0-9]")]


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll for `condition`, until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The output of a process that ends before the deadline; killed where it does not."""
    try:
        return process.communicate(timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(process_ids: list[int]) -> Callable[[], bool]:
    return lambda: not any(map(alive, process_ids))


@pytest.fixture(params=["installed", "mpich"])
def launch(request: pytest.FixtureRequest, tmp_path: Path) -> Launch:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if request.param == "mpich":
        prefix = os.environ.get("GRT_BATCH_TEST_MPICH")
        if not prefix:
            pytest.skip("no MPICH: set GRT_BATCH_TEST_MPICH")
        environment["GRT_BATCH_MPIRUN"] = f"{prefix}/bin/mpirun"
    try:
        find_mpirun(environment)
    except NoMpirun as error:
        pytest.skip(f"no mpirun: {error}")
    return Launch(tmp_path, environment)


@pytest.mark.parametrize("number", [0, 1, 5])
def test_a_code_of_all_ranks_passes_without_a_word_of_mpirun(launch: Launch, number: int) -> None:
    assert launch.run("all", number) == (number, "", "")


@pytest.mark.parametrize("number", [0, 1, 4])
def test_the_output_and_the_code_of_the_first_rank_pass(launch: Launch, number: int) -> None:
    assert launch.run("first", number) == (number, f"ranks {RANKS} threads 1\n", "stdin ''\n")


def test_the_environment_of_cron_suffices(launch: Launch) -> None:
    launch.environment = {
        name: value
        for name, value in launch.environment.items()
        if name in {"PYTHONPATH", "GRT_BATCH_MPIRUN", "MPI4PY_LIBMPI"}
    } | {"PATH": "/usr/bin:/bin"}
    assert launch.run("first") == (0, f"ranks {RANKS} threads 1\n", "stdin ''\n")


def test_an_abort_is_a_lost_rank_of_which_the_rank_has_told(launch: Launch) -> None:
    assert launch.run("abort", 6) == (6, "", "")


# 4 is a signal and an exit code of a run: MPICH's mpirun returns it bare.
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGILL])
def test_a_rank_that_a_signal_ends_is_lost_and_one_line_says_how(launch: Launch, number: int) -> None:
    code, out, err = launch.run("signal", number)
    assert (code, out) == (6, "")
    assert re.fullmatch(r"A rank was lost and nothing was published: [^\n]* was ended by signal .*\n", err)
    if number != signal.SIGILL:  # MPICH's mpirun joins the bits of several signals: 4 and 9 make 13
        assert f"signal {int(number)} (" in err


def test_a_rank_that_leaves_with_an_unknown_code_is_lost(launch: Launch) -> None:
    code, _, err = launch.run("leave", 77)
    assert code == 6
    assert err.startswith("A rank was lost and nothing was published: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_launcher_ends_the_ranks(launch: Launch, number: int) -> None:
    with launch.start("wait") as process:
        ranks = launch.waiting_ranks()
        process.send_signal(number)
        _, err = finished(process)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    until(gone(ranks), "the ranks are gone")


def test_ranks_that_ignore_the_first_signal_are_killed_at_the_second(launch: Launch) -> None:
    with launch.start("deaf", grace_seconds=120) as process:
        ranks = launch.waiting_ranks()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        finished(process)
    assert process.returncode in {130, 143}  # two signals at once come in the order of their numbers, or not
    until(gone(ranks), "the ranks are gone")


def test_ranks_that_ignore_a_signal_are_killed_after_a_while(launch: Launch) -> None:
    with launch.start("deaf", grace_seconds=0.2) as process:
        ranks = launch.waiting_ranks()
        process.terminate()
        finished(process)
    assert process.returncode == 143
    until(gone(ranks), "the ranks are gone")


def test_ranks_do_not_outlive_a_killed_launcher(launch: Launch) -> None:
    with launch.start("wait") as process:
        ranks = launch.waiting_ranks()
        process.kill()
    until(gone(ranks), "the ranks are gone")


def test_ranks_do_not_outlive_a_killed_mpirun(launch: Launch) -> None:
    with launch.start("wait") as process:
        ranks = launch.waiting_ranks()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        _, err = finished(process)
    assert process.returncode == 6
    assert "mpirun itself was ended by signal 9" in err
    until(gone(ranks), "the ranks are gone")


def test_the_program_may_be_a_module(launch: Launch) -> None:
    (launch.folder / "named.py").write_text("import sys\nprint(sys.argv[1:])\n")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from grt_batch.ranks.launcher import launch\n"
            "raise SystemExit(launch(1, ['--as-of', '2024-02-29'], program=['-m', 'named', 'run']))",
        ],
        env={**launch.environment, "PYTHONPATH": f"{ROOT}:{launch.folder}"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['run', '--as-of', '2024-02-29']\n", "")


def fake_mpirun(prefix: Path, version: str, library: str | None = None) -> Path:
    """A program that answers --version, and an empty libmpi beside it."""
    (prefix / "bin").mkdir(parents=True)
    path = prefix / "bin" / "mpirun"
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    if library:
        (prefix / "lib").mkdir()
        (prefix / "lib" / library).touch()
    return path


@pytest.mark.parametrize(
    ("version", "flavour"),
    [
        ("mpirun (Open MPI) 5.0.11", Flavour.OPEN_MPI),
        ("mpirun.openmpi (OpenRTE) 4.1.4", Flavour.OPEN_MPI),
        ("HYDRA build details: Version: 4.0", Flavour.MPICH),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.18", Flavour.INTEL_MPI),
    ],
)
def test_the_family_is_known_by_the_version(tmp_path: Path, version: str, flavour: Flavour) -> None:
    path = fake_mpirun(tmp_path, version)
    assert find_mpirun({"GRT_BATCH_MPIRUN": str(path)}) == Mpirun(path, flavour)


def test_the_library_beside_mpirun_belongs_to_it(tmp_path: Path) -> None:
    path = fake_mpirun(tmp_path, "HYDRA", "libmpi.so.12")
    library = tmp_path / "lib" / "libmpi.so.12"
    assert find_mpirun({"MPI4PY_LIBMPI": str(library)}) == Mpirun(path, Flavour.MPICH, library)


def test_intel_mpi_is_started_without_its_shell_script(tmp_path: Path) -> None:
    path = fake_mpirun(tmp_path, "Intel(R) MPI Library")
    hydra = path.with_name("mpiexec.hydra")
    hydra.touch()
    assert find_mpirun({"GRT_BATCH_MPIRUN": str(path)}).path == hydra


def test_the_environment_names_the_mpirun_before_anything_else(tmp_path: Path) -> None:
    wanted = fake_mpirun(tmp_path / "wanted", "Open MPI")
    other = fake_mpirun(tmp_path / "other", "Open MPI", "libmpi.so.40")
    environment = {
        "PATH": f"{wanted.parent}:{os.defpath}",
        "GRT_BATCH_MPIRUN": "mpirun",
        "MPI4PY_LIBMPI": str(other.parents[1] / "lib" / "libmpi.so.40"),
    }
    assert find_mpirun(environment).path == wanted


def test_path_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = fake_mpirun(tmp_path / "path", "Open MPI")
    beside = fake_mpirun(tmp_path / "python", "Open MPI")
    environment = {"PATH": f"{on_path.parent}:{os.defpath}"}
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    assert find_mpirun(environment).path == beside
    beside.unlink()
    assert find_mpirun(environment).path == on_path


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"PATH": "/nowhere"}, "none on PATH"),
        ({"PATH": "/nowhere", "GRT_BATCH_MPIRUN": "mpirun"}, "GRT_BATCH_MPIRUN=mpirun is no program"),
    ],
)
def test_no_mpirun_is_an_error_that_says_where_it_was_sought(
    environment: dict[str, str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(NoMpirun, match=what):
        find_mpirun(environment)


def test_an_mpirun_of_nobody_is_an_error(tmp_path: Path) -> None:
    path = fake_mpirun(tmp_path, "my own script")
    with pytest.raises(NoMpirun, match="neither"):
        find_mpirun({"GRT_BATCH_MPIRUN": str(path)})


OPEN_MPI = Mpirun(Path("/opt/mpi/bin/mpirun"), Flavour.OPEN_MPI, Path("/opt/mpi/lib/libmpi.so.40"))
MPICH = Mpirun(Path("/opt/mpich/bin/mpirun"), Flavour.MPICH)


def test_the_command_of_open_mpi() -> None:
    line, environment = command(OPEN_MPI, 4, ["--as-of", "2024-01-01"], environment={}, root=True, cores=2)
    head = ["/opt/mpi/bin/mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none", "--stdin", "none"]
    assert line[: len(head)] == head
    tail = [sys.executable, "-m", "mpi4py", "-m", "grt_batch.cli", "run", "--as-of", "2024-01-01"]
    assert line[-len(tail) :] == tail
    handed_on = line[len(head) : -len(tail)]
    assert set(handed_on[0::2]) == {"-x"}
    threads = ["NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"]
    assert handed_on[1::2] == ["MPI4PY_LIBMPI", *threads]
    assert environment["OMPI_ALLOW_RUN_AS_ROOT"] == environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] == "1"
    assert environment["OMPI_MCA_btl"] == "^ofi"
    assert Path(environment["HOME"]).is_absolute()
    assert environment["OMPI_MCA_mpi_yield_when_idle"] == "1"
    assert environment["MPI4PY_LIBMPI"] == "/opt/mpi/lib/libmpi.so.40"
    assert [environment[name] for name in threads] == ["1", "1", "1"]


def test_who_is_not_root_does_not_ask_for_it() -> None:
    _, environment = command(OPEN_MPI, 4, [], environment={}, root=False, cores=8)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in environment
    assert "OMPI_MCA_mpi_yield_when_idle" not in environment


def test_the_command_of_mpich() -> None:
    line, environment = command(MPICH, 3, [], program=["x.py"], environment={}, root=True, cores=2)
    assert line == ["/opt/mpich/bin/mpirun", "-n", "3", sys.executable, "-m", "mpi4py", "x.py"]
    assert environment["MPIR_CVAR_ENABLE_HEAVY_YIELD"] == "1"
    assert not any(name.startswith("OMPI_") for name in environment)


def test_what_the_user_has_set_stays() -> None:
    own = {"OMPI_MCA_btl": "self,tcp", "OMP_NUM_THREADS": "4", "MPI4PY_LIBMPI": "/x/libmpi.so", "HOME": "/h"}
    _, environment = command(OPEN_MPI, 4, [], environment=own, root=False, cores=8)
    assert environment.items() >= own.items()


def test_the_configuration_in_the_environment_reaches_other_hosts() -> None:
    line, _ = command(OPEN_MPI, 4, [], environment={"GRT_BATCH_WORK": "w", "OTHER": "o"}, cores=8)
    assert "GRT_BATCH_WORK" in line
    assert "OTHER" not in line


@pytest.mark.parametrize(
    ("returncode", "banners", "interrupted", "code", "word"),
    [
        (0, Banners(), None, 0, None),
        (3, Banners(), None, 3, None),
        (1, Banners(ended=True), None, 1, None),
        (1, Banners(foreign=True), None, 6, "could not start"),
        (1, Banners(foreign=True, ended=True), None, 1, None),
        (1, Banners(ended=True, improper=True), None, 6, "before the end"),
        (4, Banners(ended=True, signalled="rank 1 was ended"), None, 6, "rank 1"),
        (6, Banners(), None, 6, None),
        (213, Banners(), None, 6, "code 213"),
        (-9, Banners(), None, 6, "Killed"),
        (1, Banners(), signal.SIGINT, 130, None),
        (-9, Banners(), signal.SIGTERM, 143, None),
        (0, Banners(), signal.SIGTERM, 0, None),
    ],
)
def test_the_exit_code(returncode: int, banners: Banners, interrupted: int | None, code: int, word: str | None) -> None:
    found, reason = exit_code(returncode, banners, interrupted)
    assert found == code
    assert (reason is None) == (word is None)
    assert (word or "") in (reason or "")


DASHES = "-" * 74
EQUALS = "=" * 83
OPEN_MPI_KILLED = (
    f"{DASHES}\nmpirun noticed that process rank 1 with PID 7 on node n7\nexited on signal 9 (Killed).\n{DASHES}\n"
)
MPICH_KILLED = (
    f"\n{EQUALS}\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 7 RUNNING AT n7\n"
    f"{EQUALS}\nYOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)\nThis.\nSee the FAQ.\n"
)
INTEL_KILLED = (
    f"\n{EQUALS}\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   RANK 0 PID 7 RUNNING AT n7\n"
    f"=   KILLED BY SIGNAL: 9 (Killed)\n{EQUALS}\n"
)
ABORTED = "Abort(6) on node 1 (rank 1 in comm 0): application called MPI_Abort(MPI_COMM_WORLD, 6)\n"
MPIRUNS_OWN = f"{DASHES}\nThere are not enough slots.\n{DASHES}\n"
UNFINISHED = f"{DASHES}\nno end\n"


@pytest.mark.parametrize(
    ("banner", "left", "signalled"),
    [
        (OPEN_MPI_KILLED, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        (MPICH_KILLED, "", "a rank on n7 was ended by signal 9 (Killed)"),
        (INTEL_KILLED, "", "a rank on n7 was ended by signal 9 (Killed)"),
        (INTEL_KILLED + INTEL_KILLED.replace("9", "11"), "", "a rank on n7 was ended by signal 11 (Killed)"),
        (ABORTED, "", None),
        (MPIRUNS_OWN, MPIRUNS_OWN, None),
        (UNFINISHED, UNFINISHED, None),
    ],
)
def test_banners_leave_the_output_wherever_it_is_cut(banner: str, left: str, signalled: str | None) -> None:
    text = f"before\n\n- one\nA two\n{banner}after -"
    for cut in range(len(text)):
        banners = Banners()
        out, rest = banners.split(text[:cut].encode())
        more, rest = banners.split(rest + text[cut:].encode())
        assert (out + more + rest).decode() == f"before\n\n- one\nA two\n{left}after -"
        assert banners.signalled == signalled


def test_a_banner_after_a_progress_bar_leaves_the_bar() -> None:
    assert Banners().split(f"\r 40%|## {OPEN_MPI_KILLED}".encode()) == (b"\r 40%|## ", b"")
