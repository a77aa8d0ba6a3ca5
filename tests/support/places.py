"""Where the project, its gold files, and the real archives beside it are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLD = ROOT / "tests" / "gold"
FAULTY = Path(__file__).with_name("faulty.py")
REAL = ROOT.parent / "shared" / "real"
