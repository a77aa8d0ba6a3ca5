"""cron.sh with a grt-batch that only writes down how it was called: here, under a mock LSF, under a real Slurm."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT
from slurm import NoSlurm, slurm

CRON = ROOT / "cron.sh"

# Writes down its arguments and settings, and answers a plan.
GRT_BATCH = """#!/bin/sh
echo "$*" >> "$RECORD/calls"
env | sort > "$RECORD/environment.$1"
case "$*" in
"plan --print ranks"*) [ "$PLAN_CODE" -eq 0 ] && echo "$PLAN_RANKS" ;;
"plan --print minutes"*) [ "$PLAN_CODE" -eq 0 ] && echo 7 ;;
run*) echo "the run says this"; exit "$RUN_CODE" ;;
*"--part ${BAD_PART:-0}/"*) echo "this part says that"; exit "$RUN_CODE" ;;
backfill*) exit 0 ;;
esac
[ "$PLAN_CODE" -eq 0 ] || echo "grt-batch: There is nothing to read" >&2
exit "$PLAN_CODE"
"""

# Writes down its arguments, runs the command that ends them as LSF does, and returns what LSF would.
BSUB = """#!/bin/bash
printf '%s\\n' "$@" > "$RECORD/bsub"
[ -z "${BSUB_CODE:-}" ] || exit "$BSUB_CODE"
sh -c "${*: -1}"
"""

# The same for an array job; one element may be killed before it begins.
BSUB_ARRAY = """#!/bin/bash
printf '%s\\n' "$@" > "$RECORD/bsub"
[[ $3 =~ \\[1-([0-9]+)\\] ]]
while [[ $1 != -o ]]; do shift; done
for ((LSB_JOBINDEX = 1; LSB_JOBINDEX <= BASH_REMATCH[1]; LSB_JOBINDEX++)); do
    export LSB_JOBINDEX
    [ "$LSB_JOBINDEX" = "${KILLED:-}" ] || sh -c "${*: -1}" > "${2//%I/$LSB_JOBINDEX}"
done
"""

# What the other programs of LSF print, here from files named after them; a job pends, and bkill ends bsub.
LSF = """#!/bin/bash
program=$(basename "$0")
echo "$program $*" >> "$RECORD/asked"
case "$program $1" in
"bjobs -w") state=$(cat "$RECORD/state"); printf 'JOBID USER STAT QUEUE\\n7 user %s normal\\n' "$state" ;;
"bjobs -p") printf 'JOBID USER STAT QUEUE\\n7 user PEND normal\\n Not enough job slot(s): 3 hosts;\\n' ;;
bkill*) echo now > "$RECORD/end" ;;
*) [ ! -f "$RECORD/$program" ] || cat "$RECORD/$program" ;;
esac
"""

PENDING_BSUB = """#!/bin/bash
printf '%s\\n' "$@" > "$RECORD/bsub"
echo "Job <7> is submitted to queue <normal>."
read -r _ < "$RECORD/end"
exit 255
"""

# An array of two elements, the second of which runs when it is looked at first.
ARRAY_ENDS = """#!/bin/bash
echo "bjobs $*" >> "$RECORD/asked"
[ -f "$RECORD/seen" ] && state=DONE || state=RUN
touch "$RECORD/seen"
printf 'JOBID USER STAT QUEUE\\n7 user DONE normal\\n7 user %s normal\\n' "$state"
"""

# Leaves a server behind, tells that it has begun, and waits to be told to end.
SERVER_LEFT_BEHIND = """#!/bin/sh
sleep 60 >/dev/null 2>&1 &
echo $! > "$RECORD/server"
mkfifo "$RECORD/end"
read -r _ < "$RECORD/end"
"""


class Cron:
    """A copy of cron.sh in a folder with a blank in its name, and the environment that cron gives."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "the house"
        self.record = folder / "record"
        self.bin = folder / "bin"
        for each in (self.home / ".venv" / "bin", self.record, self.bin):
            each.mkdir(parents=True)
        shutil.copy(CRON, self.home)
        self.write(self.home / ".venv" / "bin" / "grt-batch", GRT_BATCH)
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "RECORD": str(self.record),
            "PLAN_CODE": "0",
            "PLAN_RANKS": "4",
            "RUN_CODE": "0",
            "GRT_BATCH_SCHEDULER": "local",
        }

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.home / "cron.sh", *arguments],
            env={**self.environment, **settings},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return (self.record / "calls").read_text().splitlines()

    @property
    def log(self) -> str:
        return (self.home / "logs" / "latest.log").read_text()

    def settings(self, command: str) -> list[str]:
        return (self.record / f"environment.{command}").read_text().splitlines()


@pytest.fixture
def cron(tmp_path: Path) -> Cron:
    return Cron(tmp_path)


def test_it_runs_here_with_the_ranks_of_the_plan_and_is_silent(cron: Cron) -> None:
    done = cron.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert cron.calls == ["plan --print ranks", "run --log-format text --ranks 4"]
    assert cron.log == "the run says this\n"
    assert "GRT_BATCH_SETTLE_SECONDS=60" in cron.settings("run")
    assert "GRT_BATCH_SETTLE_SECONDS=60" in cron.settings("plan")


def test_settings_and_arguments_reach_the_run(cron: Cron) -> None:
    done = cron.run(
        "tool_usage", "--recalculate", GRT_BATCH_RANKS="2", GRT_BATCH_CONFIG="my own.toml", GRT_BATCH_WORK="w"
    )
    assert done.returncode == 0
    assert cron.calls == ["run --log-format text --config my own.toml --ranks 2 tool_usage --recalculate"]
    assert "GRT_BATCH_WORK=w" in cron.settings("run")
    assert (cron.home / "w" / "cron.lock").is_file()


def test_one_rank_needs_no_mpi(cron: Cron) -> None:
    assert cron.run(PLAN_RANKS="1").returncode == 0
    assert cron.calls[-1] == "run --log-format text"


def test_the_python_may_be_named(cron: Cron) -> None:
    shutil.rmtree(cron.home / ".venv")
    python = cron.bin / "my-python"
    as_module = '[ "$1 $2" = "-m grt_batch.cli" ] || exit 99\nshift 2\n'
    cron.write(python, GRT_BATCH.replace("#!/bin/sh\n", f"#!/bin/sh\n{as_module}"))
    assert cron.run(GRT_BATCH_PYTHON=str(python)).returncode == 0
    assert cron.calls[-1] == "run --log-format text --ranks 4"


def test_grt_batch_may_be_on_path(cron: Cron) -> None:
    (cron.home / ".venv" / "bin" / "grt-batch").rename(cron.bin / "grt-batch")
    assert cron.run().returncode == 0
    assert cron.calls[-1] == "run --log-format text --ranks 4"


def test_without_grt_batch_it_says_what_to_do(cron: Cron) -> None:
    shutil.rmtree(cron.home / ".venv")
    done = cron.run()
    assert done.returncode == 2
    assert "make env" in done.stderr


@pytest.mark.parametrize("code", [1, 2, 4, 5, 6])
def test_the_code_of_the_run_comes_out_with_the_end_of_the_log(cron: Cron, code: int) -> None:
    done = cron.run(RUN_CODE=str(code))
    assert done.returncode == code
    assert f"ended with code {code}" in done.stderr
    assert "the run says this" in done.stderr


def test_nothing_to_read_is_said_and_nothing_is_run(cron: Cron) -> None:
    done = cron.run(PLAN_CODE="3")
    assert done.returncode == 3
    assert "There is nothing to read" in done.stderr
    assert cron.calls == ["plan --print ranks"]


def test_a_second_one_does_not_start(cron: Cron) -> None:
    (cron.home / "work").mkdir()
    with (cron.home / "work" / "cron.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cron.run()
        assert done.returncode == 5
        assert "another cron.sh" in done.stderr
        assert not (cron.record / "calls").exists()
    assert cron.run().returncode == 0


def test_the_lock_is_held_while_the_run_lasts_and_not_by_what_it_leaves_behind(cron: Cron) -> None:
    cron.write(
        cron.home / ".venv" / "bin" / "grt-batch",
        SERVER_LEFT_BEHIND,
    )
    first = subprocess.Popen(
        [cron.home / "cron.sh"], env={**cron.environment, "GRT_BATCH_RANKS": "1"}, stdin=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while not (cron.record / "end").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert cron.run().returncode == 5
    (cron.record / "end").write_text("now\n")
    assert first.wait(20) == 0
    server = int((cron.record / "server").read_text())
    os.kill(server, 0)
    cron.write(cron.home / ".venv" / "bin" / "grt-batch", GRT_BATCH)
    assert cron.run().returncode == 0
    os.kill(server, 9)


def test_logs_are_dated_and_old_ones_go(cron: Cron) -> None:
    logs = cron.home / "logs"
    logs.mkdir()
    now = time.time()
    for name, days in (("grt_batch-20240101-000000.log", 40), ("grt_batch-20240201-000000.log", 5), ("other.log", 40)):
        (logs / name).touch()
        os.utime(logs / name, (now, now - days * 86400))
    assert cron.run().returncode == 0
    names = {path.name for path in logs.iterdir()}
    (new,) = names - {"grt_batch-20240201-000000.log", "other.log", "latest.log"}
    assert time.strptime(new, "grt_batch-%Y%m%d-%H%M%S.log")
    assert (logs / "latest.log").readlink() == Path(new)
    assert cron.run(GRT_BATCH_KEEP_LOGS="2", GRT_BATCH_LOGS="logs").returncode == 0
    assert not (logs / "grt_batch-20240201-000000.log").exists()


def test_a_profile_is_sourced_first(cron: Cron) -> None:
    profile = cron.home.parent / "profile"
    profile.write_text('echo "$NO_SUCH_NAME" >/dev/null\nexport GRT_BATCH_RANKS=9\n')
    assert cron.run(GRT_BATCH_PROFILE=str(profile)).returncode == 0
    assert cron.calls == ["run --log-format text --ranks 9"]


def test_an_unknown_scheduler_is_an_error(cron: Cron) -> None:
    done = cron.run(GRT_BATCH_SCHEDULER="sge")
    assert done.returncode == 2
    assert "not sge" in done.stderr


@pytest.fixture
def lsf(cron: Cron) -> Cron:
    cron.write(cron.bin / "bsub", BSUB)
    cron.environment["GRT_BATCH_SCHEDULER"] = "auto"
    return cron


def test_lsf_gets_a_job_that_starts_its_own_ranks(lsf: Cron) -> None:
    done = lsf.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert lsf.calls == ["plan --print ranks", "plan --print minutes", "run --log-format text --ranks 4"]
    *options, job = (lsf.record / "bsub").read_text().splitlines()
    name = (lsf.home / "logs" / "latest.log").readlink()
    assert options == [
        *("-K", "-J", "grt_batch", "-n", "4", "-o", f"logs/{name}", "-W", "7", "-R", "span[hosts=1]"),
    ]
    assert "run --log-format text --ranks 4" in job


def test_lsf_gets_queue_memory_time_and_further_options(lsf: Cron) -> None:
    settings = {
        "GRT_BATCH_RANKS": "8",
        "GRT_BATCH_QUEUE": "long",
        "GRT_BATCH_MEMORY": "2000",
        "GRT_BATCH_TIME": "90",
        "GRT_BATCH_SUBMIT_OPTIONS": "-P galaxy -x",
        "GRT_BATCH_MPIRUN": "mpirun",
    }
    assert lsf.run(**settings).returncode == 0
    *options, _ = (lsf.record / "bsub").read_text().splitlines()
    assert options[:5] == ["-K", "-J", "grt_batch", "-n", "8"]
    assert options[options.index("-W") :] == [
        *("-W", "90", "-q", "long", "-R", "rusage[mem=2000MB]", "-P", "galaxy", "-x"),
    ]


@pytest.mark.parametrize("code", [1, 3, 6])
def test_the_code_of_an_lsf_job_comes_out(lsf: Cron, code: int) -> None:
    assert lsf.run(RUN_CODE=str(code)).returncode == code


@pytest.mark.parametrize("code", [0, 1, 255])
def test_a_job_that_does_not_come_to_its_end_is_lost_whatever_the_scheduler_returns(lsf: Cron, code: int) -> None:
    assert lsf.run(RUN_CODE="1").returncode == 1
    done = lsf.run(BSUB_CODE=str(code))
    assert done.returncode == 6
    assert f"(bsub: {code})" in done.stderr


def leaves_nothing(cron: Cron) -> None:
    """No process is left that works in the folder of cron.sh, once those that were told to end have done so."""
    deadline = time.monotonic() + 20
    while any(os.path.realpath(link) == str(cron.home) for link in Path("/proc").glob("[0-9]*/cwd")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def says_lsf(lsf: Cron, **files: str) -> None:
    """Let the programs of LSF print these texts."""
    for program in ("bparams", "bqueues", "bhosts", "lshosts", "bjobs", "bkill"):
        lsf.write(lsf.bin / program, LSF)
    for program, text in files.items():
        (lsf.record / program).write_text(text)


HOSTS = """HOST_NAME          STATUS          JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV
slow               ok              -     16      0      0      0      0      0
fast               closed_Full     -     32     32     32      0      0      0
"""

QUEUE = """
QUEUE: normal
  -- The one for all

PARAMETERS/STATISTICS
PRIO NICE STATUS          MAX JL/U JL/P JL/H NJOBS  PEND   RUN SSUSP USUSP  RSV PJOBS
 30   20  Open:Active       -    -    -    -     0     0     0     0     0    0     0

DEFAULT LIMITS:
 RUNLIMIT
 2.0 min of slow

MAXIMUM LIMITS:
 CPULIMIT                  RUNLIMIT
 900.0 min of slow         {minutes} min of slow

SCHEDULING PARAMETERS
           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem
 loadSched   -     -     -     -       -     -    -     -     -      -      -

USERS: all
HOSTS:  slow+1 rack/
"""

SPEEDS = """HOST_NAME                       type       model  cpuf ncpus maxmem maxswp server RESOURCES
slow                          X86_64   Opteron8   2.0    16    64G      -    Yes (mg)
fast                          X86_64        EPYC   8.0    32   256G      -    Yes ()
client                       UNKNOWN    UNKNOWN   1.0     -      -      -     No ()
"""


def options_of(lsf: Cron, **settings: str) -> dict[str, str]:
    """The resources that a job asks for."""
    done = lsf.run(**settings)
    assert done.returncode == 0, done.stderr
    *options, _ = (lsf.record / "bsub").read_text().splitlines()
    assert options[0] == "-K"
    return dict(zip(options[1::2], options[2::2], strict=True))


@pytest.mark.parametrize(
    ("parameters", "minutes", "time"),
    [
        ("", "100", "7/fast"),  # on slow it is 28 minutes
        ("", "20.0", "5/fast"),  # 20 minutes on slow are 5 on fast
        ("   ABS_RUNLIMIT = Y\n", "100", "7"),
        ("   ABS_RUNLIMIT = Y\n", "5", "5"),
    ],
)
def test_lsf_gets_no_more_than_its_queue_allows(lsf: Cron, parameters: str, minutes: str, time: str) -> None:
    queue = QUEUE.format(minutes=minutes)
    says_lsf(lsf, bhosts=HOSTS, bqueues=queue, lshosts=SPEEDS, bparams="Default Queues: normal idle\n" + parameters)
    asked = options_of(lsf)
    assert asked["-W"] == time
    assert "GRT_BATCH_MAX_RANKS=32" in lsf.settings("plan")
    calls = (lsf.record / "asked").read_text()
    assert "bqueues -l normal\n" in calls
    assert "bhosts -w slow rack\n" in calls
    assert ("the queue allows 5" in lsf.log) == (time.startswith("5"))


@pytest.mark.parametrize(
    ("parameters", "settings", "memory"),
    [
        ("RESOURCE_RESERVE_PER_TASK = Y", {}, "mem=2000MB"),
        ("RESOURCE_RESERVE_PER_SLOT = Y", {"GRT_BATCH_SPAN": "any"}, "mem=2000MB"),
        ("RESOURCE_RESERVE_PER_TASK = N", {}, "mem=8000MB"),
        ("RESOURCE_RESERVE_PER_TASK = N", {"GRT_BATCH_SPAN": "any"}, "mem=2000MB/task"),
    ],
)
def test_lsf_reserves_the_memory_of_all_ranks(
    lsf: Cron, parameters: str, settings: dict[str, str], memory: str
) -> None:
    says_lsf(lsf, bparams=f"Default Queues: normal\n    {parameters}\n")
    assert options_of(lsf, GRT_BATCH_MEMORY="2000", **settings)["-R"] == f"rusage[{memory}]"


@pytest.mark.parametrize(
    ("state", "wait", "why"),
    [
        ("PEND", "0", "it has waited too long (Not enough job slot(s): 3 hosts;)"),
        ("PSUSP", "720", "it would wait forever (JobHeld)"),
    ],
)
def test_a_job_that_waits_too_long_for_lsf_is_given_up(lsf: Cron, state: str, wait: str, why: str) -> None:
    says_lsf(lsf, state=state)
    lsf.write(lsf.bin / "bsub", PENDING_BSUB)
    os.mkfifo(lsf.record / "end")
    done = lsf.run(GRT_BATCH_WAIT=wait, GRT_BATCH_POLL="1")
    assert done.returncode == 6
    assert f"job 7 was given up: {why}" in done.stderr
    assert "It asked for 4 ranks and 7 minutes" in done.stderr


def test_a_signal_ends_the_job_too(lsf: Cron) -> None:
    says_lsf(lsf, state="RUN")
    lsf.write(lsf.bin / "bsub", PENDING_BSUB)
    os.mkfifo(lsf.record / "end")
    process = subprocess.Popen(
        [lsf.home / "cron.sh"],
        env={**lsf.environment, "GRT_BATCH_POLL": "1"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (lsf.record / "asked").exists() or "bjobs -w 7" not in (lsf.record / "asked").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.terminate()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "job 7 was cancelled" in said
    assert "bkill 7\n" in (lsf.record / "asked").read_text()
    leaves_nothing(lsf)


BACKFILL = ("backfill", "--from", "2024-01-01", "--to", "2024-03-31", "--every=week")


def test_a_backfill_runs_here_beside_a_run(cron: Cron) -> None:
    (cron.home / "work").mkdir()
    with (cron.home / "work" / "cron.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cron.run(*BACKFILL, GRT_BATCH_RANKS="3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert cron.calls == ["backfill --log-format text --ranks 3 --from 2024-01-01 --to 2024-03-31 --every=week"]
    assert not (cron.home / "logs" / "latest.log").exists()


def test_a_backfill_is_an_array_job_of_lsf(lsf: Cron) -> None:
    lsf.write(lsf.bin / "bsub", BSUB_ARRAY)
    done = lsf.run(*BACKFILL, "--again", GRT_BATCH_PARTS="3", GRT_BATCH_QUEUE="long")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    asked = "--from 2024-01-01 --to 2024-03-31 --every=week --again"
    assert lsf.calls == [f"backfill --log-format text --part {part}/3 {asked}" for part in (1, 2, 3)]
    *options, _ = (lsf.record / "bsub").read_text().splitlines()
    (log,) = (lsf.home / "logs").glob("grt_batch-backfill-*.log")
    assert options[:7] == ["-K", "-J", "grt_batch_backfill[1-3]", "-n", "1", "-o", f"logs/{log.name}.%I"]
    assert "-W" not in options  # nothing is known of the time, and no queue limits it
    names = {file.name for file in (lsf.home / "logs").iterdir()}
    assert names == {log.name, *(f"{log.name}.{part}" for part in (1, 2, 3))}


def test_the_worst_code_of_the_parts_comes_out_with_their_logs(lsf: Cron) -> None:
    lsf.write(lsf.bin / "bsub", BSUB_ARRAY)
    done = lsf.run(*BACKFILL, BAD_PART="2", RUN_CODE="4")
    assert done.returncode == 4
    assert done.stderr.endswith("cron.sh: the end of the log of part 2:\nthis part says that\n")
    assert len(lsf.calls) == 4


def test_a_part_that_does_not_come_to_its_end_is_lost(lsf: Cron) -> None:
    lsf.write(lsf.bin / "bsub", BSUB_ARRAY)
    done = lsf.run(*BACKFILL, KILLED="3", BAD_PART="1", RUN_CODE="1")
    assert done.returncode == 6
    assert "the end of the log of part 1" in done.stderr
    assert "the end of the log of part 3" in done.stderr


def test_an_array_of_which_an_element_still_runs_is_waited_for(lsf: Cron) -> None:
    """Should bsub not wait for it."""
    says_lsf(lsf)
    lsf.write(lsf.bin / "bjobs", ARRAY_ENDS)
    lsf.write(lsf.bin / "bsub", f"{BSUB_ARRAY}\necho 'Job <7> is submitted to queue <normal>.'\n")
    assert lsf.run(*BACKFILL, GRT_BATCH_POLL="1").returncode == 0
    assert (lsf.record / "asked").read_text().count("bjobs -w 7\n") == 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    try:
        with slurm(tmp_path_factory.mktemp("slurm")) as environment:
            yield environment
    except NoSlurm as error:
        pytest.skip(f"no Slurm here: {error}")


@pytest.fixture
def slurmed(cron: Cron, cluster: dict[str, str]) -> Cron:
    cron.environment |= {"SLURM_CONF": cluster["SLURM_CONF"], "GRT_BATCH_SCHEDULER": "slurm", "PLAN_RANKS": "2"}
    return cron


@pytest.mark.parametrize("code", [0, 1, 6])
def test_slurm_runs_the_job_and_its_code_comes_out(slurmed: Cron, code: int) -> None:
    done = slurmed.run(RUN_CODE=str(code), GRT_BATCH_QUEUE="all", GRT_BATCH_MEMORY="10")
    assert done.returncode == code, done.stderr
    assert slurmed.calls == ["plan --print ranks", "plan --print minutes", "run --log-format text --ranks 2"]
    assert "the run says this\n" in slurmed.log
    of_job = slurmed.settings("run")
    assert {"SLURM_JOB_NAME=grt_batch", "SLURM_NTASKS=2", "SLURM_JOB_PARTITION=all"} <= set(of_job)
    assert "GRT_BATCH_SETTLE_SECONDS=60" in of_job
    assert f"GRT_BATCH_MAX_RANKS={os.cpu_count()}" in slurmed.settings("plan")


@pytest.mark.parametrize("code", [0, 6])
def test_a_backfill_is_an_array_job_of_slurm(slurmed: Cron, code: int) -> None:
    done = slurmed.run(*BACKFILL, GRT_BATCH_PARTS="2", RUN_CODE=str(code), BAD_PART="2")
    assert done.returncode == code, done.stderr
    assert ("the end of the log of part 2:\nthis part says that\n" in done.stderr) == (code == 6)
    asked = "--from 2024-01-01 --to 2024-03-31 --every=week"
    assert sorted(slurmed.calls) == [f"backfill --log-format text --part {part}/2 {asked}" for part in (1, 2)]
    assert {"SLURM_JOB_NAME=grt_batch_backfill", "SLURM_ARRAY_TASK_COUNT=2"} <= set(slurmed.settings("backfill"))


def test_a_job_that_slurm_refuses_is_lost(slurmed: Cron) -> None:
    done = slurmed.run(GRT_BATCH_QUEUE="nowhere")
    assert done.returncode == 6
    assert "nowhere" in done.stderr


def test_slurm_gets_no_more_minutes_than_the_partition_allows(slurmed: Cron) -> None:
    done = slurmed.run(GRT_BATCH_QUEUE="short")
    assert (done.returncode, done.stderr) == (0, "")
    assert "suggests 7 minutes; the queue allows 5\n" in slurmed.log


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"GRT_BATCH_QUEUE": "short", "GRT_BATCH_TIME": "90"}, "it would wait forever (PartitionTimeLimit)"),
        ({"GRT_BATCH_RANKS": "4000"}, "it would wait forever (PartitionConfig)"),
        ({"GRT_BATCH_SUBMIT_OPTIONS": "--hold"}, "it would wait forever (JobHeldUser)"),
        (
            {"GRT_BATCH_SUBMIT_OPTIONS": "--begin=now+1hour", "GRT_BATCH_WAIT": "0"},
            "it has waited too long (BeginTime)",
        ),
    ],
)
def test_a_job_that_slurm_would_never_start_is_given_up(slurmed: Cron, settings: dict[str, str], reason: str) -> None:
    done = slurmed.run(GRT_BATCH_POLL="1", **settings)
    assert done.returncode == 6, done.stderr
    assert f"was given up: {reason}" in done.stderr
    assert not any(call.startswith("run") for call in slurmed.calls)
    leaves_nothing(slurmed)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("scheduler", ["slurm", "lsf"])
def test_any_path_is_understood_by_the_shell_of_the_job(
    tmp_path: Path, request: pytest.FixtureRequest, scheduler: str, locale: str
) -> None:
    """The shell of a job is often a dash, which does not know all of the ways in which bash quotes."""
    odd = Cron(tmp_path / "Jörg's $HOME; `x`")
    odd.write(odd.bin / "bsub", BSUB)
    if scheduler == "slurm":
        odd.environment |= {"SLURM_CONF": request.getfixturevalue("cluster")["SLURM_CONF"], "PLAN_RANKS": "1"}
    done = odd.run("it's", GRT_BATCH_SCHEDULER=scheduler, GRT_BATCH_WORK="Wörk", LC_ALL=locale)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert odd.calls[-1].split()[0] == "run"
    assert odd.calls[-1].endswith(" it's")
    assert (odd.home / "Wörk" / "cron.code").read_text() == "0\n"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"GRT_BATCH_RANKS": "many"}, "GRT_BATCH_RANKS is a whole number above 0, not many"),
        ({"GRT_BATCH_TIME": "1:30"}, "GRT_BATCH_TIME is a whole number above 0, not 1:30"),
        ({"GRT_BATCH_MEMORY": "2G"}, "GRT_BATCH_MEMORY is a whole number above 0, not 2G"),
        ({"GRT_BATCH_KEEP_LOGS": "x"}, "GRT_BATCH_KEEP_LOGS is a whole number, not x"),
        ({"GRT_BATCH_SPAN": "all"}, "GRT_BATCH_SPAN is host or any, not all"),
        ({"GRT_BATCH_PROFILE": "/nowhere"}, "GRT_BATCH_PROFILE=/nowhere cannot be read"),
        ({"GRT_BATCH_SCHEDULER": "lsf"}, "bsub is not on PATH"),
    ],
)
def test_wrong_settings_are_named_before_anything_starts(cron: Cron, settings: dict[str, str], complaint: str) -> None:
    done = cron.run(**settings)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (cron.record / "calls").exists()


def test_a_suggestion_that_is_no_number_is_not_taken_for_one(cron: Cron) -> None:
    done = cron.run(PLAN_RANKS="Loading modules: 4")
    assert done.returncode == 6
    assert "suggests no number of ranks, but: Loading modules: 4" in done.stderr


def test_a_folder_that_cannot_be_locked_is_used_without(cron: Cron) -> None:
    cron.write(cron.bin / "flock", "#!/bin/sh\necho flock: 9: No locks available >&2\nexit 71\n")
    done = cron.run()
    assert done.returncode == 0
    assert "work/cron.lock cannot be locked (flock: 71); going on without" in cron.log


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck", path=f"{sys.prefix}/bin:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("no shellcheck")
    done = subprocess.run([shellcheck, CRON], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
