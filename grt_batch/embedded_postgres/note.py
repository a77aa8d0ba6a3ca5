"""What the server notes in its data folder: its process, whether it is ready, and whom it runs for."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NOTE = "postmaster.pid"
"""The file that names the process. A clean shutdown removes it; after a crash it stays."""


OWNER = "grt_batch.owner"
"""The setting that says whom the server runs for."""


STAYS = "db start"
"""The OWNER of a server that runs until `db stop`; otherwise it is the process that the server runs for."""


@dataclass(frozen=True, slots=True)
class Note:
    """What the server of a data folder said when it was asked last. It may have been killed since."""

    data: Path
    process: int
    ready: bool
    """Whether it accepts connections."""

    def owner(self) -> str | None:
        """Return whom the server runs for, or None if it does not say."""
        found = None
        with suppress(OSError):
            found = re.search(
                rf'"--{OWNER}=([^"]*)"', (self.data / "postmaster.opts").read_text(encoding="utf-8", errors="replace")
            )
        return found[1] if found else None

    def alive(self) -> bool:
        """Return whether the process is still this server. After a crash, or in another container, its number may
        belong to any process."""
        about = Path("/proc") / str(self.process)
        if not Path("/proc/self").exists():  # not Linux
            return True
        try:
            return (about / "cwd").samefile(self.data)
        except PermissionError:  # root in a container may not look there
            with suppress(OSError):
                return f"--{OWNER}=".encode() in (about / "cmdline").read_bytes()
        except OSError:
            pass
        return False


def read_note(data: Path) -> Note | None:
    """Return the note of a data folder, or None if there is none, or a power cut left it without content."""
    try:
        lines = (data / NOTE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    if not lines or not lines[0].isdigit():
        return None
    return Note(data, int(lines[0]), ready=len(lines) > 7 and lines[7].strip() == "ready")
