"""Starts the other ways: `python -m bench.<way> UPLOADS TARGET DATABASE AS-OF`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path


def run(compute: Callable[[Path, Path, str, date], None]) -> None:
    """Call `compute` with the arguments of the command line."""
    parser = argparse.ArgumentParser(description="Computes tables of UPLOADS; for python -m bench.")
    parser.add_argument("uploads", type=Path)
    parser.add_argument("target", type=Path, help="folder, empty, for what comes out")
    parser.add_argument("url", help="libpq URL of the database")
    parser.add_argument("as_of", type=date.fromisoformat, help="end of the windows")
    options = parser.parse_args()
    compute(options.uploads, options.target, options.url, options.as_of)
