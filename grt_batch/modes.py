"""The rights of the files and folders that a run makes."""

from __future__ import annotations

import os
from pathlib import Path

from grt_batch.config import Config
from grt_batch.errors import CannotWrite


def set_umask(config: Config) -> None:
    """From now on what this process makes has the configured rights: files those of folders, but for x."""
    os.umask(0o777 & ~int(config.folder_mode, 8))


def make_work(work: Path) -> None:
    """Make the work folder, where there is none. Raises CannotWrite."""
    try:
        before = work.exists()
        work.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and not before:
            # The embedded server of root runs as another user, who must get through; what is inside has its own rights.
            work.chmod(work.stat().st_mode | 0o001)
    except OSError as error:
        raise CannotWrite(folder=work, what=error.strerror or error) from None
