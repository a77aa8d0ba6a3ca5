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


def entries() -> dict[str, Dispatcher]:
    """Kernels that no other kernel calls; the machine code of those that one calls is in its own."""
    modules = [import_module(f"{kernels.__name__}.{module.name}") for module in iter_modules(kernels.__path__)]
    functions = {f for module in modules for f in vars(module).values() if isinstance(f, Dispatcher)}
    used = {id(f.py_func.__globals__.get(name)) for f in functions for name in f.py_func.__code__.co_names}
    kept = (f for f in functions if isinstance(f._cache, _Cache) and id(f) not in used)
    return {f"{f.__module__}.{f.__name__}": f for f in kept}


def test_every_kernel_is_compiled() -> None:
    compile_kernels()
    found = entries()
    assert found
    assert [name for name, function in found.items() if not function.signatures] == []


def test_decoding_needs_no_other_signature() -> None:
    compile_kernels()
    before = {name: function.signatures for name, function in entries().items()}
    for kind in Kind:
        columns = len(HEADERS[kind].split())
        decoded(kind, line(*range(columns)) + line(*["None"] * columns) + b"\n")
    assert {name: function.signatures for name, function in entries().items()} == before
