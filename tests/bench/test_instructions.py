"""Instructions by stage: what is counted under valgrind, and how rows are made of it."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from bench import instructions
from bench.instructions import counts_in, difference, rows_of, table, without

LOOPS = """
import sys
from bench.counted_runs import Instructions

counter = Instructions(sys.argv[1])
assert counter() == 0
counter.start()
first = counter()
for _ in range(10_000):
    pass
second = counter()
for _ in range(30_000):
    pass
print(second - first, counter() - second)
"""


@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="requests are those of x86-64")
def test_three_times_the_work_takes_three_times_the_instructions(tmp_path: Path) -> None:
    out = tmp_path / "callgrind"
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "-q"]
    command = [*valgrind, sys.executable, "-c", LOOPS, str(out)]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    once, three_times = map(float, done.stdout.split())
    assert once > 100_000
    assert three_times == pytest.approx(3 * once, rel=0.2)
    assert not list(tmp_path.glob("callgrind.*")), "what was read is removed"


def test_copy_has_a_clock_of_its_own() -> None:
    rank = {"cpu_seconds": {"decode": 7.0, "plan": 2.0, "copy": 0.5}, "bytes": {"decode": 3, "copy": 9}}
    assert counts_in({"stages": [rank]}) == {"decode": (7.0, 3), "plan": (2.0, 0)}


def test_what_only_one_has_counts_too() -> None:
    assert difference({"a": (5, 2), "b": (1, 1)}, {"a": (3, 1), "c": (2, 2)}) == {
        "a": (2, 1),
        "b": (1, 1),
        "c": (-2, -2),
    }


def test_kinds_of_members_are_what_decoding_takes_less_without_them() -> None:
    small = {"gunzip": (100.0, 100.0), "decode": (1000.0, 100.0), "plan": (5.0, 0.0)}
    large = {"gunzip": (1100.0, 1100.0), "decode": (9000.0, 1100.0), "plan": (5.5, 0.0)}
    lacking = {"datasets": {"decode": (6000.0, 800.0)}, "metric_num": {"decode": (4000.0, 500.0)}}
    rows = rows_of(difference(large, small), large, lacking, (10, 110))
    assert rows == {
        "gunzip": (10.0, 1.0),
        "decode": (80.0, 8.0),
        "all": (90.005, 9.0005),
        "decode: datasets": (3000 / 110, 10.0),
        "decode: metric_num": (5000 / 110, pytest.approx(5000 / 600)),
        "decode: jobs": (1000 / 110, 5.0),
    }
    lines = table({"main": rows, "second": {**rows, "decode: params": (1.0, 2.0)}}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert ["decode", "80", "8.0", "80", "8.0"] in cells
    assert ["decode: params", "", "", "1", "2.0"] in cells


def test_each_set_has_its_members() -> None:
    assert set(without("main")) == {"jobs", "datasets", "metric_num"}
    assert set(without("second", "jobs")) == {"datasets", "metric_num", "params"}


def test_without_valgrind_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="valgrind is not installed"):
        instructions.main([])
