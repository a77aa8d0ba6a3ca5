"""A throw-away Slurm for the tests of cron.sh, of this machine or several hosts: its own munge, ports and folders."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hosts import Host

START_SECONDS = 20
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "squeue", "scancel")


class NoSlurm(Exception):
    """There is no Slurm here, or it does not start; the text says why."""


def _program(name: str) -> str:
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if path is None:
        raise NoSlurm(f"{name} is not installed")
    return path


@contextmanager
def _daemon(log: Path, *command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in the foreground, as a child: it ends with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(condition: str, command: list[str], environment: dict[str, str], log: Path) -> None:
    """Poll until `command` prints `condition`."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if condition in answer.stdout:
            return
        if time.monotonic() > deadline:
            last = (log.read_text(errors="replace").strip() or answer.stderr.strip()).splitlines()[-3:]
            raise NoSlurm(" / ".join(last) or f"{command[0]} does not answer")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _cgroup_plugin() -> str:
    """What keeps slurmd's hands off the cgroups of this host."""
    version = subprocess.run([_program("slurmd"), "-V"], capture_output=True, text=True, check=True).stdout
    numbers = re.search(r"(\d+)\.(\d+)", version)
    # Before 23.02 none could be named; the first plugin loads anywhere, and nothing here asks for it.
    return "disabled" if numbers and (int(numbers[1]), int(numbers[2])) >= (23, 2) else "cgroup/v1"


def _configuration(folder: Path, munge: Path, addresses: dict[str, str]) -> str:
    first = next(iter(addresses))
    user = pwd.getpwuid(os.geteuid()).pw_name
    controller, node = _free_ports(2)
    hardware = next(
        line.split(None, 1)[1]
        for line in subprocess.run(
            [_program("slurmd"), "-C"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if line.startswith("NodeName=")
    )
    nodes = "\n".join(f"NodeName={name} NodeAddr={address} {hardware}" for name, address in addresses.items())
    return f"""
ClusterName=throwaway
SlurmctldHost={first}({addresses[first]})
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={munge}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
KillWait=2
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName=short Nodes=ALL MaxTime=5 State=UP
"""


@contextmanager
def slurm(folder: Path, nodes: Sequence[Host] = ()) -> Iterator[dict[str, str]]:
    """A Slurm of this machine, or of `nodes` with its controller on the first, within the block; gives the environment
    that leads sbatch to it. Raises NoSlurm."""
    programs = {name: _program(name) for name in PROGRAMS}
    addresses = {node.name: node.address for node in nodes} or {socket.gethostname().partition(".")[0]: "127.0.0.1"}
    on_first = nodes[0].line() if nodes else []
    (folder / "state").mkdir(parents=True)
    key, munge = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    (folder / "slurm.conf").write_text(_configuration(folder, munge, addresses))
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={_cgroup_plugin()}\n")
    log = folder / "daemons.log"
    own = [f"--{name}={folder}/munge.{name}" for name in ("pid-file", "log-file", "seed-file")]
    daemons = (
        # --force: the folders of a test may be closed to others, who have no business with this munge.
        (programs["munged"], "--foreground", "--force", f"--socket={munge}", f"--key-file={key}", *own),
        (*on_first, programs["slurmctld"], "-D", "-c"),
        *((*node.line(), programs["slurmd"], "-D") for node in nodes),
        *(() if nodes else ((programs["slurmd"], "-D"),)),
    )
    with ExitStack() as stack:
        for command in daemons:
            stack.enter_context(_daemon(log, *command, environment=environment))
        try:
            asked = ["--noheader", "--Node", "--partition=all", "--format=%t"]
            _until("idle\n" * len(addresses), [*on_first, programs["sinfo"], *asked], environment, log)
            yield environment
        finally:
            # Jobs that a failed test left behind are not children of the daemons.
            subprocess.run([*on_first, programs["scancel"], "--state=RUNNING", "--full"], env=environment, check=False)
