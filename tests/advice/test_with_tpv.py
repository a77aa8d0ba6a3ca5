"""What the real Total Perspective Vortex says of our tools.yml: `make tpv` installs it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from evidence import evidence, needed, version
from tpv_rules import faults

from grt_batch.advice.advice import advise
from grt_batch.advice.rule import Rule
from grt_batch.advice.tools_file import ToolsFile
from grt_batch.advice.tools_yml import written

TPV = os.environ.get("GRT_BATCH_TEST_TPV", "")
needs_tpv = pytest.mark.skipif(not TPV, reason="no tpv: make tpv installs it")
RULE = Rule()
GROWING = tuple(needed(4.0 * 2**bit, 25, 2.0**bit) for bit in range(-3, 4))
LONG = f"toolshed.g2.bx.psu.edu/repos/iuc/{'long' * 20}/{'name' * 15}"


def tpv(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [TPV, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


@needs_tpv
def test_the_commands_find_no_fault(tmp_path: Path) -> None:
    names = (LONG, "toolshed.g2.bx.psu.edu/repos/iuc/bwa+mem/bwa.mem-2", "Cut1", "a b: c #1")
    versions = version("1.0+galaxy1", 128, 25), version("0.9-r2", 64, 40)
    found = [
        replace(evidence(GROWING, name, given=None, cores=16, efficiency=0.4), versions=versions) for name in names
    ]
    file = tmp_path / "tools.yml"
    file.write_text(written(advise(found, RULE), RULE))
    changed = tmp_path / "changed.yml"
    more = [evidence((needed(3 * one.low, 25, one.size) for one in GROWING), name) for name in names]
    current = ToolsFile(file)
    changed.write_text(current.changed(advise(more, RULE, current.settled), RULE))
    assert changed.read_text() != file.read_text()
    for one in (file, changed):
        assert faults(one.read_text()) == []
        formatted = tpv("format", one, folder=tmp_path)
        assert (formatted.returncode, formatted.stdout) == (0, one.read_text())
        linted = tpv("lint", one, folder=tmp_path)
        assert linted.returncode == 0, linted.stderr


@needs_tpv
def test_the_lint_finds_faults(tmp_path: Path) -> None:
    (tmp_path / "tools.yml").write_text("tools:\n  a:\n    mem: 4 +\n")
    assert tpv("lint", tmp_path / "tools.yml", folder=tmp_path).returncode == 1
