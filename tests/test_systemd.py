"""The units of systemd: they are hardened, and name commands and settings that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from places import ROOT

from grt_batch.commands import cli
from grt_batch.core.config import Config
from grt_batch.core.config_file import ENVIRONMENT_PREFIX

UNITS = sorted((ROOT / "config" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]

MOST_EXPOSED = 3.0
"""Of `systemd-analyze security`, from 0 to 10."""


def name_of(unit: Path) -> str:
    return unit.name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("unit", SERVICES, ids=name_of)
def test_a_service_is_hardened(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) < MOST_EXPOSED


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_systemd_understands_a_unit(unit: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # The program is not installed where the unit says.
    said = [line for line in done.stderr.splitlines() if unit.name in line and "is not executable" not in line]
    assert not said


@pytest.mark.parametrize("unit", SERVICES, ids=name_of)
def test_a_service_names_what_exists(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=/opt/grt_batch/(\S+)(?: (\S+))?$", text, re.MULTILINE)
    assert command
    if command[2]:
        assert command[2] in cli.list_commands(cli.make_context("grt-batch", ["--help"], resilient_parsing=True))
    else:
        assert (ROOT / command[1]).is_file()
    known = {ENVIRONMENT_PREFIX + key.name.upper() for key in fields(Config)} | {"GRT_BATCH_LOGS"}
    assert set(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)) <= known
