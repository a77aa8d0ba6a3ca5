"""The decoder needs about as many instructions and as much memory a line as it did. No time is measured.

Instructions are counted by valgrind for one old processor, so they hardly depend on the machine; allocations are
counted by tracemalloc, to which numpy reports. Put the new numbers here if a change is worth its price.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import counted
import pytest
from counted import LINES, TEXTS, block
from places import ROOT

from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.schema.members import Kind
from grt_batch.uploads.archive import Block

INSTRUCTIONS = {Kind.JOBS: 1297, Kind.METRIC_NUM: 304, Kind.PARAMS: 1096, Kind.DATASETS: 1034}
BYTES = {Kind.JOBS: 233, Kind.METRIC_NUM: 164, Kind.PARAMS: 225, Kind.DATASETS: 163}
"""What decoding takes for each line, by the kind of the member."""
BAND = 0.8, 1.2
PROGRAM = Path(counted.__file__)


def check(found: float, usual: float, what: str) -> None:
    least, most = (round(usual * part) for part in BAND)
    assert least <= found <= most, f"{found:.0f} {what} a line, not {least} to {most}"


def count(folder: Path) -> dict[str, float]:
    """The instructions a line of each measurement of `counted`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    # valgrind knows no newer instructions than those of 2015, and no processor is older than this one.
    environment |= {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""}
    program = [sys.executable, str(PROGRAM)]
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--smc-check=all-non-file"]
    valgrind += ["--cachegrind-out-file=/dev/null", f"--log-file={folder}/%p"]
    # Without valgrind first, to compile the kernels.
    for command in (program, valgrind + program):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    def instructions(pid: str) -> int:
        text = re.search(r"I +refs: +([\d,]+)", (folder / pid).read_text())
        assert text
        return int(text[1].replace(",", ""))

    lines = (line.split() for line in done.stdout.splitlines())
    return {name: (instructions(one) - instructions(nothing)) / LINES for name, nothing, one in lines}


@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="counted on x86-64")
def test_a_line_takes_as_many_instructions_as_before(tmp_path: Path) -> None:
    found = count(tmp_path)
    for kind, usual in INSTRUCTIONS.items():
        check(found[kind.value], usual, f"instructions for {kind.value}")
    # Metrics in another order of columns are decoded without the shortcut for usual lines, which the guard sees.
    with pytest.raises(AssertionError, match="instructions"):
        check(found["turned"], INSTRUCTIONS[Kind.METRIC_NUM], "instructions")


def peak(kind: Kind, decode: Callable[..., object] = decode) -> float:
    """The most memory, in bytes a line, that decoding takes at once."""
    some = block(kind)
    decode(some, WANTED)
    tracemalloc.start()
    try:
        decode(some, () if kind is Kind.METRIC_NUM else WANTED)
        return tracemalloc.get_traced_memory()[1] / LINES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", TEXTS)
def test_a_line_takes_as_much_memory_as_before(kind: Kind) -> None:
    check(peak(kind), BYTES[kind], f"bytes for {kind.value}")


def test_more_memory_is_noticed() -> None:
    """A list of the lines of the block is as large as half of what the decoder takes."""
    with pytest.raises(AssertionError, match="bytes"):
        check(peak(Kind.METRIC_NUM, with_a_list_of_lines), BYTES[Kind.METRIC_NUM], "bytes")


def with_a_list_of_lines(block: Block, wanted: tuple[str, ...]) -> object:
    return bytes(block.data).split(b"\n"), decode(block, wanted)
