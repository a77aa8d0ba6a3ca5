"""After warming up, no kernel has to be compiled."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from build import HEADERS, decoded, line
from numba.core.dispatcher import Dispatcher

from grt_batch import kernels
from grt_batch.decode.warm import compile_kernels
from grt_batch.kernels.compiled import _Cache
from grt_batch.schema.members import Kind


def kept() -> dict[str, Dispatcher]:
    """Kernels that are kept on disk, by module and name."""
    modules = [import_module(f"{kernels.__name__}.{module.name}") for module in iter_modules(kernels.__path__)]
    return {
        f"{function.__module__}.{name}": function
        for module in modules
        for name, function in vars(module).items()
        if isinstance(function, Dispatcher) and isinstance(function._cache, _Cache)
    }


def test_every_kernel_is_compiled() -> None:
    compile_kernels()
    found = kept()
    assert found
    assert [name for name, function in found.items() if not function.signatures] == []


def test_decoding_needs_no_other_signature() -> None:
    compile_kernels()
    before = {name: function.signatures for name, function in kept().items()}
    for kind in Kind:
        columns = len(HEADERS[kind].split())
        decoded(kind, line(*range(columns)) + line(*["None"] * columns) + b"\n")
    assert {name: function.signatures for name, function in kept().items()} == before
