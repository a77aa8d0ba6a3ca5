"""Reads the archives of a folder with little memory, and says what became of each: for a process of its own.

    python tests/fuzz/reading.py FOLDER MEMORY

MEMORY is how many bytes the process should take at most beside those that it takes before the first archive: it says how
many it took, and cannot take more than eight times as much address space. What it writes, and the sockets that it opens,
are told too.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from corpus import good

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.records import RECORDS

KINDS = tuple(RECORDS)[1:]
CONFIG = Config(max_reject_bytes=4 << 20)
PAGE = resource.getpagesize()


def peak() -> int:
    """The most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def outcome(tar: Path) -> dict[str, Any]:
    """What became of an archive."""
    account, _, rejects = read_archive(tar, CONFIG, KINDS, run_here, Clock(), lambda _: None)
    members = account.members.values()
    return {
        "quarantine": account.quarantine,
        "lines": account.total("lines"),
        "accounted": all(one.lines == one.accepted + one.rejected for one in members),
        "rejected": account.total("rejected") + account.total("fragments"),
        "in the reject file": rejects.count(b"\n"),
    }


def main(folder: Path, memory: int) -> None:
    """Print the outcomes by name, the growth of the peak, and the deeds."""
    deeds: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writing = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        made = event in ("os.mkdir", "os.symlink", "os.link", "os.rename", "os.chmod", "os.mkfifo", "subprocess.Popen")
        if writing or made or event.startswith("socket."):
            deeds.append(f"{event} {arguments[0]!r}")

    archives = sorted(folder.glob("*.tar.gz"))
    # What is compiled and loaded once is not counted.
    first = good().write(folder)
    outcome(first)
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (size + 8 * memory, size + 8 * memory))
    before = peak()
    sys.addaudithook(watch)
    outcomes = {}
    for tar in archives:
        outcomes[tar.name.removesuffix(".tar.gz")] = outcome(tar) | {"peak": peak() - before}
    print(json.dumps({"outcomes": outcomes, "deeds": deeds}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
