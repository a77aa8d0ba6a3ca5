"""After warming up, no kernel has to be compiled."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from build import HEADERS, decoded, line
from by_hand import records
from numba.core.dispatcher import Dispatcher

from grt_batch import kernels
from grt_batch.aggregate.counting import counted
from grt_batch.columns.packing import pack, unpack
from grt_batch.decode.warm import compile_kernels
from grt_batch.kernels.compiled import _Cache
from grt_batch.modules.registry import discover
from grt_batch.schema.members import Kind
from grt_batch.schema.records import Dataset, Leaf, Record


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


def test_counting_and_merging_need_no_other_signature() -> None:
    compile_kernels()
    before = {name: function.signatures for name, function in entries().items()}
    cubes = [cube for module in discover("").values() for cube in getattr(module, "cubes", ())]
    jobs = [{"job_id": number, "state": "ok", "runtime": 10**number, "oom": True} for number in range(9)]
    others: dict[type[Record], list[dict[str, Any]]] = {record: [{"row": 0}, {"row": 7}] for record in (Dataset, Leaf)}
    for cube, found in zip(cubes, counted(cubes, records(jobs, others)), strict=True):
        cube.merge([found, unpack(pack({"": found}))[""], cube.empty()])
    assert {name: function.signatures for name, function in entries().items()} == before
