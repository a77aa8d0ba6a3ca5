"""The floor: `igzip -dc ARCHIVE | wc -l`, two archives at a time. No reader of the archives can be faster."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

from bench.contest import THREADS, Contender, Setting

NAME = "floor"
_MEMBERS = 5
"""At most so many headers in an archive, or lines without an end: lines to one and not to the other."""


def contender(setting: Setting, reports: Path) -> Contender:
    """Return the floor; its lines must be those that the run behind `reports` read."""
    found = sorted(setting.uploads.rglob("*.tar.gz"), key=lambda tar: tar.stat().st_size, reverse=True)
    unpacker = "igzip" if shutil.which("igzip") else f"{shlex.quote(sys.executable)} -m isal.igzip"
    count = shlex.quote(f'{unpacker} -dc "$0" | wc -l')
    script = f"printf '%s\\0' \"$@\" | xargs -0 -n 1 -P {THREADS} sh -c {count}"
    home = setting.scratch / NAME

    def check() -> list[str]:
        lines = sum(map(int, (home / "log").read_text().split()))
        wanted = json.loads((reports / "run.json").read_bytes())["lines"]
        return [f"{lines} lines instead of {wanted}"] if abs(lines - wanted) > _MEMBERS * len(found) else []

    what = unpacker if unpacker == "igzip" else "python -m isal.igzip, for igzip is not installed"
    return Contender(
        NAME,
        f"{what}; wc -l; {THREADS} archives at a time",
        ("sh", "-c", script, "sh", *map(str, found)),
        home,
        check,
    )
