"""The file system of a folder: the kernel does not tell of what another machine writes into a network file system."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


_NETWORK = re.compile(r"nfs\d*|cifs|smb\d*|smbfs|9p|ceph|glusterfs|lustre|gpfs|beegfs|afs|virtiofs|fuse(\..*)?")


_ESCAPED = re.compile(r"\\([0-7]{3})")


def file_system(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that a folder is on, "" where the kernel does not say."""
    place, found = folder.resolve(), ("", 0)
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
        # Of several on one mount point the last is the one that shows.
        if place.is_relative_to(point) and len(point.parts) >= found[1]:
            found = after.split(" ")[0], len(point.parts)
    return found[0]


def is_network(kind: str) -> bool:
    """Return whether a type of file systems may change without this kernel's knowledge."""
    return _NETWORK.fullmatch(kind) is not None
