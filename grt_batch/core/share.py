"""The files that come with the program beside its code, wherever it is installed.

In the source tree, `grt_batch/share` has links to them. A wheel has the files themselves there, as setup.cfg says.
"""

from __future__ import annotations

from pathlib import Path

SHARE = Path(__file__).resolve().parents[1] / "share"


PATTERNS = (
    "cron.sh",
    "manager.py",
    "config/*.toml",
    "config/prometheus/*.yml",
    "config/sql/*.sql",
    "config/schemas/*.json",
    "config/systemd/*",
    "docs/*.md",
    "docs/modules/*.md",
    "docs/pages/*.png",
)


def shared_files() -> list[Path]:
    """Return the files, relative to SHARE."""
    return sorted(file.relative_to(SHARE) for pattern in PATTERNS for file in SHARE.glob(pattern))
