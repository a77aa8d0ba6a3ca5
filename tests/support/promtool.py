"""Prometheus' own tool, which checks metrics and rules."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def promtool(*arguments: object, text: str | None = None) -> tuple[int, str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian's package prometheus) is missing")
    done = subprocess.run(
        ["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr
