"""Decorators of the kernels, and their calls.

A kernel is compiled once for each combination of types; its machine code is kept on disk. A process that finds it there
links it and calls it, without numba: to load the compiler takes longer than to decode a small archive. So only
`grt_batch.kernels.compiler` imports numba, where something is to be compiled.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from grt_batch.kernels.cache import keep, kept
from grt_batch.kernels.machine_code import MachineCode, link
from grt_batch.kernels.source import ArrayType, Instruction, Source, Type

_Function = TypeVar("_Function", bound=Callable[..., Any])


_C, _F, _ALIGNED, _WRITEABLE = 0x1, 0x2, 0x100, 0x400
"""Flags of numpy's arrays, as its C API numbers them."""


_LEAST, _GREATEST = -(2**63), 2**63 - 1


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call, and keep it on disk for the next process."""
    return function if _interpreted() else Kernel(function)  # type: ignore[return-value]


def inlined(function: _Function) -> _Function:
    """Compile a function into its callers: a call takes longer than what a small function does."""
    return function if _interpreted() else Kernel(function, inline=True)  # type: ignore[return-value]


def instruction(result: str) -> Callable[[Callable[..., Any]], Any]:
    """Declare a function that writes the machine instructions for its call, and the type of what they compute."""
    return lambda function: Instruction(result, function)


def _interpreted() -> bool:
    """Return whether kernels are to run as Python."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


class Kernel(Source):
    """A function that is called as machine code."""

    def __init__(self, function: Callable[..., Any], *, inline: bool = False) -> None:
        super().__init__(function, inline=inline)
        self.signatures: dict[tuple[Type, ...], Callable[..., Any]] = {}
        self._known: dict[tuple[object, ...], Callable[..., Any]] = {}
        self._lock = Lock()

    def __call__(self, *arguments: Any) -> Any:
        """Call the machine code for arguments of these types."""
        key = tuple([_key(argument) for argument in arguments])
        code = self._known.get(key)
        if code is None:
            code = self._known[key] = self._code(tuple(map(type_of, arguments)))
        return code(*arguments)

    def _code(self, types: tuple[Type, ...]) -> Callable[..., Any]:
        with self._lock:
            # Code that does not write to an array serves for one that is read-only, too.
            usual = tuple(one._replace(writeable=True) if isinstance(one, ArrayType) else one for one in types)
            code = self._machine_code(usual)
            if any(types[place] != usual[place] for place in code.written):
                usual, code = types, self._machine_code(types)
            if usual not in self.signatures:
                self.signatures[usual] = link(code, self.name, [_CONVERTERS.get(str(one), id) for one in usual])
            return self.signatures[usual]

    def _machine_code(self, types: tuple[Type, ...]) -> MachineCode:
        found = kept(self.name, types)
        if found is None:
            from grt_batch.kernels.compiler import machine_code

            found = machine_code(self, types)
            keep(self.name, types, found)
        return found


_CONVERTERS: dict[str, Callable[[Any], Any]] = {"bool": bool, "int64": int, "uint64": int, "float64": float}
"""What makes a number of Python of each argument that is a number."""


def _key(argument: Any) -> object:
    """Return what `type_of` depends on; it is found in less time."""
    kind = type(argument)
    if kind is np.ndarray:
        return argument.dtype, argument.ndim, argument.flags.num
    if kind is int and _LEAST <= argument <= _GREATEST:
        return int
    return type_of(argument)


def type_of(argument: Any) -> Type:
    """Return the type of an argument. Raises TypeError and OverflowError."""
    if isinstance(argument, np.ndarray):
        flags = argument.flags.num
        layout = "C" if flags & _C else "F" if flags & _F else "A"
        return ArrayType(argument.dtype.str, argument.ndim, layout, bool(flags & _WRITEABLE), bool(flags & _ALIGNED))
    if isinstance(argument, bool | np.bool_):
        return "bool"
    if isinstance(argument, int | np.integer):
        number = int(argument)
        if _LEAST <= number <= _GREATEST and not isinstance(argument, np.uint64):
            return "int64"
        if 0 <= number < 2**64:
            return "uint64"
        raise OverflowError(f"a kernel cannot take {number}")
    if isinstance(argument, float | np.floating):
        return "float64"
    raise TypeError(f"a kernel cannot take a {type(argument).__name__}")
