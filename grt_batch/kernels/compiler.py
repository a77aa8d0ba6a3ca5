"""Compiles kernels with numba, which only a process imports that finds no machine code for its arguments.

A kernel is compiled together with those that it calls into one object file. Its only visible function takes arrays as
objects of Python, reads what it needs to know of each, and calls the kernel.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from grt_batch.kernels.machine_code import MachineCode
from grt_batch.kernels.source import ArrayType, Instruction, Source, Type

# Without numba's runtime a kernel cannot make arrays, and does not count references to its arguments: in functions
# that run once a field, counting took a third of the time.
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False}


_INT32, _INT64, _DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()


_POINTER = ir.IntType(8).as_pointer()


_DATA, _SHAPE, _STRIDES = (object.__basicsize__ + place for place in (0, 16, 24))
"""Where an array of numpy holds the pointers to its data, shape and strides: PyArrayObject_fields of numpy's C API."""


_PARTS = ("meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides")
"""What numba passes of an array, in this order; of shape and strides a number for each dimension."""


def machine_code(kernel: Source, signature: Sequence[Type]) -> MachineCode:
    """Compile a kernel for arguments of these types."""
    arguments = tuple(map(_numba_type, signature))
    with global_compiler_lock:
        native = dispatcher(kernel)
        native.compile(arguments)
        found = native.overloads[arguments]
        symbol = f"entry.{found.fndesc.llvm_func_name}"
        library = found.target_context.codegen().create_library(symbol)
        module = library.create_ir_module(symbol)
        results = _write_entry(module, symbol, found, arguments)
        library.add_ir_module(module)
        library.add_linking_library(found.library)
        library.finalize()
        _check(library)
        # Object files are linked into one process: what each has of the same functions stays its own.
        for one in (*library._final_module.functions, *library._final_module.global_variables):
            if not one.is_declaration and one.name != symbol:
                one.linkage = "internal"
        code = library.codegen._tm.emit_object(library._final_module)
    several = isinstance(found.signature.return_type, types.BaseTuple)
    return MachineCode(symbol, "".join(map(_letter, results)), several, _written(found, arguments), code)


@cache
def dispatcher(function: Source | Instruction) -> Any:
    """Return what numba makes of a function, to be called from others that numba compiles."""
    if isinstance(function, Instruction):
        return intrinsic(_typed(function))
    options = {**_OPTIONS, "inline": "always"} if function.inline else _OPTIONS
    return numba.njit(**options)(_known_to_numba(function.function))


def _typed(instruction: Instruction) -> Callable[..., Any]:
    """Return the function by which numba learns the type of an instruction, and how it is written."""

    def write(context: Any, builder: Any, called: Any, arguments: Any) -> Any:
        arrays = [context.make_array(one) if _is_array(one) else None for one in called.args]
        values = [
            make(context, builder, one).data if make else one for make, one in zip(arrays, arguments, strict=True)
        ]
        return instruction.write(builder, *values)

    def typed(_context: Any, *arguments: Any) -> Any:
        return getattr(types, instruction.result)(*arguments), write

    # numba binds the arguments of a call by name, without that of the context.
    typed.__signature__ = inspect.signature(instruction.write)  # type: ignore[attr-defined]
    return typed


def _known_to_numba(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function with what numba makes of the kernels and instructions that it calls."""
    assert isinstance(function, FunctionType)
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        if isinstance(names.get(name), Source | Instruction):
            names[name] = dispatcher(names[name])
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)


def _numba_type(one: Type) -> Any:
    if isinstance(one, ArrayType):
        array: Any = types.Array
        dtype = from_dtype(np.dtype(one.dtype))
        return array(dtype, one.dimensions, one.layout, readonly=not one.writeable, aligned=one.aligned)
    return types.boolean if one == "bool" else getattr(types, one)


def _write_entry(module: Any, symbol: str, found: Any, arguments: Sequence[Any]) -> Sequence[Any]:
    """Write the visible function. Return the types of the results."""
    context, returned = found.target_context, found.signature.return_type
    native = [_DOUBLE if one is types.float64 else _POINTER if _is_array(one) else _INT64 for one in arguments]
    entry = ir.Function(module, ir.FunctionType(_INT32, [_INT64.as_pointer(), *native]), symbol)
    builder = ir.IRBuilder(entry.append_basic_block())
    values = [_value(context, builder, *each) for each in zip(arguments, entry.args[1:], strict=True)]
    callee = context.declare_function(module, found.fndesc)
    status, result = context.call_conv.call_function(builder, callee, returned, arguments, values)
    with builder.if_then(status.is_error):
        builder.ret(status.code)
    several = isinstance(returned, types.BaseTuple)
    kinds = list(returned) if several else [] if returned is types.none else [returned]
    for place, kind in enumerate(kinds):
        value = builder.extract_value(result, place) if several else result
        number = context.cast(builder, value, kind, _WIDE[_letter(kind)])
        where = builder.gep(entry.args[0], [_INT64(place)])
        builder.store(number, builder.bitcast(where, number.type.as_pointer()))
    builder.ret(_INT32(0))
    return kinds


def _is_array(one: Any) -> bool:
    return isinstance(one, types.Array)


def _value(context: Any, builder: Any, one: Any, argument: Any) -> Any:
    """Return an argument in the form that numba passes."""
    if not _is_array(one):
        return builder.trunc(argument, ir.IntType(1)) if one is types.boolean else argument
    array = context.make_array(one)(context, builder)
    data, shape, strides = (_pointer_at(builder, argument, place) for place in (_DATA, _SHAPE, _STRIDES))
    several = ir.ArrayType(_INT64, one.ndim).as_pointer()
    populate_array(  # type: ignore[no-untyped-call]
        array,
        data=builder.bitcast(data, array.data.type),
        shape=builder.load(builder.bitcast(shape, several)),
        strides=builder.load(builder.bitcast(strides, several)),
        itemsize=context.get_abi_sizeof(context.get_data_type(one.dtype)),
        meminfo=None,
    )
    return array._getvalue()


def _pointer_at(builder: Any, argument: Any, place: int) -> Any:
    where = builder.gep(argument, [_INT64(place)])
    return builder.load(builder.bitcast(where, _POINTER.as_pointer()))


def _letter(kind: Any) -> str:
    """Return the letter of `struct` for a result."""
    if isinstance(kind, types.Boolean):
        return "?"
    if isinstance(kind, types.Float):
        return "d"
    if isinstance(kind, types.Integer):
        return "Q" if kind in types.unsigned_domain else "q"
    raise TypeError(f"a kernel cannot return {kind}")


_WIDE = {"?": types.int64, "q": types.int64, "Q": types.uint64, "d": types.float64}


def _written(found: Any, arguments: Sequence[Any]) -> tuple[int, ...]:
    """Return the places of the arrays that LLVM has not found to be only read."""
    function = found.library._final_module.get_function(found.fndesc.llvm_func_name)
    # The results and the error come first; then the parts of each argument, of an array first those before its data.
    begin, parts, places = 2, list(function.arguments), []
    for place, one in enumerate(arguments):
        if _is_array(one):
            attributes = b" ".join(parts[begin + _PARTS.index("data")].attributes).split()
            if not {b"readonly", b"readnone"} & set(attributes):
                places.append(place)
        begin += len(_PARTS) - 2 + 2 * one.ndim if _is_array(one) else 1
    return tuple(places)


def _check(library: Any) -> None:
    """Raise AssertionError where machine code needs anything that a process without numba lacks."""
    assert not library.has_dynamic_globals, f"{library.name} uses an array that is too large to be compiled in"
    there = ctypes.CDLL(None)
    for function in library._final_module.functions:
        named = function.is_declaration and not function.name.startswith("llvm.")
        assert not named or hasattr(there, function.name), f"{library.name} calls {function.name} of numba"
