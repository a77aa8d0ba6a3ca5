"""The program with a fault built in: FAULT_ROLE fails at its FAULT_AT-th task, in the way that FAULT says."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpi4py.MPI

from grt_batch.cli import main
from grt_batch.ranks import serialization
from grt_batch.ranks.controller import Controller
from grt_batch.ranks.coordinator import Coordinator


def fail() -> None:
    fault, _, once = os.environ["FAULT"].partition(" ")
    try:
        Path(os.environ["FAULT_MARK"]).touch(exist_ok=not once)
    except FileExistsError:
        return
    match fault:
        case "raise":
            raise ValueError("a fault that was asked for")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "wait":
            time.sleep(600)


def failing(function: Callable[..., Any]) -> Callable[..., Any]:
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(os.environ["FAULT_AT"]):
            fail()
        return function(*arguments)

    return call


match os.environ["FAULT_ROLE"]:
    case "worker":
        serialization.pack_result = failing(serialization.pack_result)
    case "controller":
        Controller._give = failing(Controller._give)
    case "coordinator":
        Coordinator._assign = failing(Coordinator._assign)

assert mpi4py.MPI.COMM_WORLD.Get_size() > 1
main(["run", *sys.argv[1:]])
