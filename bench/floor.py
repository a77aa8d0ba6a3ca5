"""The floor: unpacks the archives into one buffer and counts lines, two archives at a time. No reader can be faster.

It takes as long as `igzip -dc ARCHIVE | wc -l`, but does not start two programs for each archive.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip

from bench.contest import THREADS

_BUFFER = 1 << 20
_NEWLINE = ord("\n")


def lines(tar: Path) -> int:
    """Return the number of line ends in an archive."""
    buffer = np.empty(_BUFFER, np.uint8)
    count, opened = 0, igzip
    text: Any
    with opened.open(tar, "rb") as text:
        while size := text.readinto(buffer):
            count += np.count_nonzero(buffer[:size] == _NEWLINE)
    return int(count)


def main() -> None:
    """Print the number of lines of all archives, the largest of which is first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uploads", type=Path)
    tars = sorted(parser.parse_args().uploads.rglob("*.tar.gz"), key=lambda tar: tar.stat().st_size, reverse=True)
    with ThreadPoolExecutor(THREADS) as pool:
        print(sum(pool.map(lines, tars)))


if __name__ == "__main__":
    main()
