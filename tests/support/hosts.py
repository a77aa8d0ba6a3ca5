"""Hosts on this machine: a network, a name, a /dev/shm and processes of their own, over one file system and by ssh.

Needs root, iproute2, util-linux and OpenSSH's server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 20
PROGRAMS = ("ip", "unshare", "nsenter", "sshd", "ssh", "ssh-keygen", "mount")
SERVER = """
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
MaxStartups 100
"""
CLIENT = """
Host *
    IdentityFile {folder}/key
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
"""
# Tells that it has begun, once all is in place.
HOLD = """
set -e
hostname {name}
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/ssh_config /etc/ssh/ssh_config
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mkdir /run/sshd
ip link set lo up
echo ready
exec {sshd} -D -e -f {folder}/sshd_config
"""

SWITCH = "set -e; ip link add name switch type bridge; ip link set switch up; echo ready; exec sleep infinity"


class NoHosts(Exception):
    """There can be no hosts here; the text says why."""


def program(name: str) -> str:
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if path is None:
        raise NoHosts(f"{name} is not installed")
    return path


def _succeed(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoHosts(f"{' '.join(command)}: {done.stderr.strip()}")


def _first(holder: subprocess.Popen[str]) -> int:
    """The child of unshare, which is the first process in its namespaces."""
    return int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])


@dataclass
class Host:
    """A host, its address, the process that holds it, and the end of its cable in the switch."""

    name: str
    address: str
    holder: subprocess.Popen[str]
    switch: subprocess.Popen[str]

    def line(self, *command: object) -> list[str]:
        """A command line that runs `command` on this host."""
        entered = ("--mount", "--uts", "--ipc", "--net", "--pid")
        return ["nsenter", f"--target={self.first}", *entered, "env", "--chdir=/", *map(str, command)]

    @property
    def first(self) -> int:
        """The first process of the host."""
        return _first(self.holder)

    def run(self, *command: object, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line(*command), env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    def cable(self, state: str) -> None:
        """Pull the cable out (down), or put it in (up)."""
        _succeed("nsenter", f"--target={_first(self.switch)}", "--net", "ip", "link", "set", self.name, state)

    def wait_for(self, other: str) -> None:
        """Wait until another host, or this one, answers by ssh. Raises NoHosts."""
        deadline = time.monotonic() + START_SECONDS
        while (done := self.run("ssh", "-o", "ConnectTimeout=2", other, "true", environment=os.environ)).returncode:
            if time.monotonic() > deadline:
                raise NoHosts(f"{other} does not answer: {done.stderr.strip()}")


@contextmanager
def _held(folder: Path, name: str, text: str) -> Iterator[subprocess.Popen[str]]:
    """A process in namespaces of its own, with all of its children, once it says that it is ready."""
    with (folder / f"{name}.log").open("w") as log:
        command = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
        holder = subprocess.Popen(
            [*command, "sh", "-c", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            raise NoHosts((folder / f"{name}.log").read_text().strip() or f"{name} does not begin")
        yield holder
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def hosts(folder: Path, names: Sequence[str]) -> Iterator[list[Host]]:
    """Hosts with these names, connected by a switch, within the block. Raises NoHosts."""
    if os.geteuid() != 0:
        raise NoHosts("namespaces need root")
    for name in PROGRAMS:
        program(name)
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
    _succeed("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", f"{folder}/key")
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in addresses.items())]
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    (folder / "sshd_config").write_text(SERVER.format(folder=folder))
    (folder / "ssh_config").write_text(CLIENT.format(folder=folder))
    with ExitStack() as stack:
        switch = stack.enter_context(_held(folder, "switch", SWITCH))
        found = []
        for name, address in addresses.items():
            text = HOLD.format(name=name, folder=folder, sshd=program("sshd"))
            holder = stack.enter_context(_held(folder, name, text))
            host = Host(name, address, holder, switch)
            found.append(host)
            at_switch = ["nsenter", f"--target={_first(switch)}", "--net", "ip", "link"]
            _succeed(*at_switch, "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.first))
            _succeed(*at_switch, "set", name, "master", "switch", "up")
            _succeed(*host.line("ip", "address", "add", f"{address}/24", "dev", "eth0"))
            _succeed(*host.line("ip", "link", "set", "eth0", "up"))
        for host in found:
            found[0].wait_for(host.name)
        yield found
