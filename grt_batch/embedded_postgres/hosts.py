"""On which host a server runs, where several share the work folder."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from pathlib import Path

LOCKED_BY_HOST = re.compile(
    r"lustre .*\blocalflock\b|nfs4? .*\b(nolock|local_lock=(all|flock))\b|(cifs|smb3) .*\bnobrl\b|fuse\.sshfs "
)
"""File systems, with options, on which a lock is not seen by other hosts."""


MOUNTS = Path("/proc/self/mountinfo")


def here() -> str:
    """Return the names of this host and of its running kernel; containers differ only in the first."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return f"{socket.gethostname()} {boot}"


def other_host(noted: str) -> str | None:
    """Return the host of what `here` gave, None if it is this one, or a container on it, or was before it restarted."""
    (host, _, boot), (this_host, _, this_boot) = noted.partition(" "), here().partition(" ")
    return host if host and host != this_host and boot != this_boot else None


def locked_by_host(path: Path) -> bool:
    """Return whether each host has locks of its own in the file system of `path`."""
    with suppress(OSError):
        mounts = [_mount(line) for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
        inside = [(len(point), about) for point, about in mounts if path.resolve().is_relative_to(point)]
        _, about = max(inside, key=lambda mount: mount[0], default=(0, ""))
        return LOCKED_BY_HOST.match(about) is not None
    return False


def _mount(line: str) -> tuple[str, str]:
    """Return the folder of a mount, and its file system with the options."""
    place, _, system = line.partition(" - ")
    folder = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place.split(" ")[4])
    kind, _, options = system.split(" ", 2)
    return folder, f"{kind} {options}"
