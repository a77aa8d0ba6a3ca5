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
from places import ROOT

from grt_batch.core.errors import NoMpirun, Stopped
from grt_batch.ranks.launcher import _code
from grt_batch.ranks.mpirun import find_mpirun
from grt_batch.ranks.word import Word

RANKS = 3
DEADLINE_SECONDS = 600
"""Nothing takes so long, on any machine, unless it hangs."""

# A rank tells its process id, meets the others, and does what it is told.
RANK = """
import os, signal, sys, time
from pathlib import Path
from mpi4py import MPI
from grt_batch.ranks.word import note_code, note_committed
what, number, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
rank = MPI.COMM_WORLD.rank
if what == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(folder / f"part.{rank}").write_text(str(os.getpid()))
(folder / f"part.{rank}").rename(folder / f"rank.{rank}")
if what == "committed":
    note_committed()
MPI.COMM_WORLD.Barrier()
if what == "all":
    note_code(number)
    sys.exit(number)
if what == "nothing":
    MPI.Finalize()
    sys.exit(number)
if what in ("first", "warned"):
    if rank == 0:
        print("ranks", MPI.COMM_WORLD.size, "threads", os.environ["OMP_NUM_THREADS"], flush=True)
        print("stdin", repr(sys.stdin.read()), file=sys.stderr, flush=True)
        if what == "warned":
            print("-" * 74, "A warning of the MPI.", "-" * 74, sep="\\n", file=sys.stderr, flush=True)
        note_code(number)
    MPI.COMM_WORLD.Barrier()
    MPI.Finalize()
    sys.exit(number if rank == 0 else 0)
if rank == 1:
    if what == "leave":
        os._exit(number)
    if what in ("signal", "committed"):
        os.kill(os.getpid(), number)
    if what == "abort":
        note_code(number)
        MPI.COMM_WORLD.Abort(number)
time.sleep(100_000)
"""

LAUNCH = """
import sys
from pathlib import Path
from grt_batch.core.errors import Stopped
from grt_batch.ranks import launcher
launcher.GRACE_SECONDS = float(sys.argv[2])
try:
    sys.exit(launcher.launch(int(sys.argv[1]), sys.argv[4:], Path(sys.argv[-1]), program=[sys.argv[3]]))
except Stopped as error:
    sys.exit(error.exit_code)
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


# Of a run: 2, 3 and 5 were taken for those of an mpirun that could not start its ranks.
@pytest.mark.parametrize("number", [0, 2, 3, 5])
def test_a_warning_of_the_mpi_does_not_change_the_code(launch: Launch, number: int) -> None:
    code, _, err = launch.run("warned", number)
    assert code == number
    assert "A warning of the MPI." in err
    assert "A rank was lost" not in err


@pytest.mark.parametrize("number", [0, 1])
def test_without_the_word_of_a_rank_no_code_of_mpirun_is_that_of_the_run(launch: Launch, number: int) -> None:
    code, out, err = launch.run("nothing", number)
    assert (code, out) == (6, "")
    assert re.fullmatch(r"A rank was lost, and nothing was published: [^\n]*mpirun ended [^\n]*\n", err), err


def test_a_rank_that_is_lost_after_the_commit_does_not_unsay_it(launch: Launch) -> None:
    code, out, err = launch.run("committed", signal.SIGKILL)
    assert (code, out) == (6, "")
    assert err.startswith("The database shows the new tables, but a rank was lost before the end of the run: ")
    assert "signal 9" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "interrupted", "code", "said"),
    [
        (Word(code=0), None, 0, ""),
        (Word(True, 1), None, 1, ""),
        (Word(code=4), signal.SIGTERM, 4, ""),
        (Word(code=6), None, 6, ""),
        (Word(True, 6), None, 6, "The database shows the new tables"),
        (Word(), None, 6, "nothing was published: it was lost"),
        (
            Word(True),
            None,
            6,
            "The database shows the new tables, but a rank was lost before the end of the run: it",
        ),
        (Word(), signal.SIGTERM, 143, "nothing was published"),
        (Word(code=6), signal.SIGINT, 130, "nothing was published"),
        (Word(True), signal.SIGTERM, 143, "after the database took the new tables"),
    ],
)
def test_the_exit_code_is_the_word_of_the_ranks(
    word: Word, interrupted: int | None, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found, told = _code(word, interrupted, "it was lost"), ""
    except Stopped as error:
        found, told = error.exit_code, str(error)
    assert found == code
    told += capsys.readouterr().err
    assert said in told
    assert bool(said) == bool(told)


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
    assert re.fullmatch(r"A rank was lost, and nothing was published: [^\n]* was ended by signal .*\n", err)
    if number != signal.SIGILL:  # MPICH's mpirun joins the bits of several signals: 4 and 9 make 13
        assert f"signal {int(number)} (" in err


@pytest.mark.parametrize("lines", range(1, 5))
def test_so_it_does_where_mpirun_ends_within_its_banner(tmp_path: Path, lines: int) -> None:
    rule = "-" * 74
    banner = [
        rule,
        "prterun noticed that process rank 1 with PID 7 on node n7 exited on",
        "signal 15 (Terminated).",
        rule,
    ]
    text = "\\n".join([*banner[:lines], ""])
    mpirun = tmp_path / "mpirun"
    mpirun.write_text(f"#!/bin/sh\n[ $1 = --version ] && echo Open MPI && exit\nprintf -- '{text}' >&2\nexit 143\n")
    mpirun.chmod(0o755)
    code, out, err = Launch(tmp_path, {**os.environ, "GRT_BATCH_MPIRUN": str(mpirun)}).run("signal", signal.SIGTERM)
    assert (code, out) == (6, "")
    assert re.fullmatch(
        r"A rank was lost, and nothing was published: [^\n]* was ended by signal 15 \(Terminated\)\. .*\n", err
    )


def test_a_rank_that_leaves_with_an_unknown_code_is_lost(launch: Launch) -> None:
    code, _, err = launch.run("leave", 77)
    assert code == 6
    assert err.startswith("A rank was lost, and nothing was published: ")
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
    with launch.start("deaf", grace_seconds=100_000) as process:
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


WAIT = """
import sys
from pathlib import Path
from grt_batch.ranks.transport import world
transport = world()
(Path(sys.argv[-1]) / f"rank.{transport.rank}").write_text("0")
transport.receive()
"""


def test_ranks_that_all_wait_for_a_message_end(launch: Launch) -> None:
    launch.script.write_text(WAIT)
    patient = LAUNCH.replace("program=", "1, program=")
    words = [sys.executable, "-c", patient, str(RANKS), "5", str(launch.script), str(launch.folder)]
    with subprocess.Popen(words, env=launch.environment, stderr=subprocess.PIPE, text=True) as process:
        _, err = finished(process)
    assert process.returncode == 6
    assert "nothing was published: all wait for a message, which was lost on " in err, err
    assert not list((launch.folder / "launches").iterdir())


def test_the_program_may_be_a_module(launch: Launch) -> None:
    (launch.folder / "named.py").write_text(
        "import sys\nfrom grt_batch.ranks.word import note_code\nprint(sys.argv[1:])\nnote_code(0)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pathlib import Path\nfrom grt_batch.ranks.launcher import launch\n"
            "raise SystemExit(launch(1, ['--as-of', '2024-02-29'], Path('work'), program=['-m', 'named', 'run']))",
        ],
        env={**launch.environment, "PYTHONPATH": f"{ROOT}:{launch.folder}"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['run', '--as-of', '2024-02-29']\n", "")
