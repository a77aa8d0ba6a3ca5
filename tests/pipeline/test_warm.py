"""After warming up, no kernel has to be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from build import HEADERS, decoded, line
from places import ROOT

from grt_batch import kernels
from grt_batch.kernels.compiled import Kernel
from grt_batch.pipeline.warm import compile_kernels
from grt_batch.sample import write_sample
from grt_batch.schema.members import Kind


def entries() -> dict[str, Kernel]:
    """Kernels that no other kernel calls; the machine code of those that one calls is in its own."""
    modules = [import_module(f"{kernels.__name__}.{module.name}") for module in iter_modules(kernels.__path__)]
    found = {kernel for module in modules for kernel in vars(module).values() if isinstance(kernel, Kernel)}
    used = {id(f.function.__globals__.get(name)) for f in found for name in f.function.__code__.co_names}
    return {f"{f.__module__}.{f.__name__}": f for f in found if not f.inline and id(f) not in used}


def test_every_kernel_is_compiled() -> None:
    compile_kernels()
    found = entries()
    assert found
    assert [name for name, function in found.items() if not function.signatures] == []


def test_a_run_needs_no_compiler(tmp_path: Path) -> None:
    compile_kernels()
    write_sample(tmp_path / "uploads", instances=1, archives=1, jobs=200, seed=1)
    code = "import sys; sys.modules['numba.core'] = None; from grt_batch.cli import main; main()"
    places = [f"--{name}={tmp_path / name}" for name in ("uploads", "reports", "work")]
    command = [sys.executable, "-c", code, "run", *places]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "latest").is_dir()


def test_decoding_needs_no_other_signature() -> None:
    compile_kernels()
    before = {name: {*kernel.signatures} for name, kernel in entries().items()}
    for kind in Kind:
        columns = len(HEADERS[kind].split())
        decoded(kind, line(*range(columns)) + line(*["None"] * columns) + b"\n")
    assert {name: {*kernel.signatures} for name, kernel in entries().items()} == before
