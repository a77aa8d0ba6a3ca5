"""Runs a command and prints its costs as JSON: `python -I -S stopwatch.py LOG COMMAND…`. LOG receives its output.

It is a small process of its own, because a child has at least the memory of the process that forked it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the command; print its code, wall time, CPU time and the memory of its largest process."""
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
