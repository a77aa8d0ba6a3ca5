"""Runs of the program under valgrind that count instructions instead of CPU seconds, for bench/instructions.py.

    valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file=OUT … counted_runs.py OUT COMMANDS

A run measures the CPU seconds of its stages by time.process_time; here, this function returns the instructions so far.
COMMANDS has one a line. The first of them is not counted: after it, all that the others need is loaded. Without OUT
they run as usual.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import sys
import time
from pathlib import Path

# What valgrind takes for a request: rax has the address of the arguments, and rdx receives the answer.
_REQUEST = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
_CALLGRIND = (ord("C") << 24) + (ord("T") << 16)
_DUMP, _ZERO, _START = 0, 1, 4


class Instructions:
    """The instructions of this process, which runs under callgrind with `out` as its file. Not counted before start."""

    def __init__(self, out: str) -> None:
        self._out, self._dumps, self._total, self._counts = out, 0, 0, False
        self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(_REQUEST)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._call = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)(address)

    def start(self) -> None:
        """Begin to count."""
        self._counts = True
        self._request(_START)

    def __call__(self) -> float:
        """Return the instructions so far, without those of this function."""
        if not self._counts:
            return 0.0
        self._request(_DUMP)
        self._dumps += 1
        dump = Path(f"{self._out}.{self._dumps}")
        self._total += int(dump.read_bytes().rpartition(b"totals:")[2])
        dump.unlink()
        self._request(_ZERO)
        return float(self._total)

    def _request(self, number: int) -> None:
        arguments = (ctypes.c_size_t * 6)(_CALLGRIND + number)
        self._call(ctypes.addressof(arguments))


def main() -> None:
    """Run the commands one after the other."""
    *out, commands = sys.argv[1:]
    counter = Instructions(out[0]) if out else None
    if counter:
        time.process_time = counter
    from grt_batch import cli

    for number, command in enumerate(Path(commands).read_text(encoding="utf-8").splitlines()):
        if counter and number == 1:
            counter.start()
        try:
            cli.main(json.loads(command))
        except SystemExit as ended:
            if ended.code:
                raise


if __name__ == "__main__":
    main()
