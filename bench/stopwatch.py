"""`python -I -S stopwatch.py LOG COMMAND…`: runs a command, which prints into LOG, and prints as JSON what it took.

A process of its own, and a small one: the memory of a child is never less than that of whom it was forked from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the command and print its code, its wall time, its CPU time and the memory of its largest process."""
    log, *command = sys.argv[1:]
    with Path(log).open("wb") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    took = {
        "code": process.returncode,
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    print(json.dumps(took))


main()
