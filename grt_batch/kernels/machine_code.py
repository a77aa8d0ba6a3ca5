"""Machine code of a kernel: its form on disk, and how it is linked and called. It takes no more than LLVM's linker."""

from __future__ import annotations

import ctypes
import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import llvmlite.binding as llvm

_DIGEST_BYTES = 32


@dataclass(frozen=True)
class MachineCode:
    """An object file, and how its only function `symbol` is called.

    Its first argument is a place for the results, eight bytes for each. The others are numbers, and arrays as pointers
    to the objects of Python. It returns 0, or the status of an error.

    `results` has a letter of `struct` for each result: q, Q, d, or ? for a truth value; `several` says that the results
    are a tuple. `written` are the places of the arguments that are arrays to which the code may write.
    """

    symbol: str
    results: str
    several: bool
    written: tuple[int, ...]
    code: bytes

    def pack(self) -> Iterator[bytes]:
        """Yield the parts of the file: a digest, a line for each field, and the object file."""
        written = " ".join(map(str, self.written))
        head = f"{self.symbol}\n{self.results}\n{self.several:d}\n{written}\n".encode()
        yield hashlib.sha256(head + self.code).digest()
        yield head
        yield self.code

    @classmethod
    def unpack(cls, content: bytes) -> MachineCode:
        """Return what a file holds. Raises ValueError where it is damaged."""
        body = content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != content[:_DIGEST_BYTES]:
            raise ValueError("damaged")
        symbol, results, several, written, code = body.split(b"\n", 4)
        return cls(symbol.decode(), results.decode(), several == b"1", tuple(map(int, written.split())), code)


_ARGUMENTS: dict[Callable[[Any], Any], Any] = {bool: ctypes.c_int64, int: ctypes.c_int64, float: ctypes.c_double}
"""The type in C of what each converter makes; any other one makes an address."""


_ENGINE_LOCK = Lock()


def link(code: MachineCode, name: str, converters: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:
    """Return a function that calls machine code; other threads of Python run meanwhile.

    It applies a converter to each argument: bool, int or float, and `id` for an array.
    """
    with _ENGINE_LOCK:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code.code))
        engine.finalize_object()
        address = engine.get_function_address(code.symbol)
    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int32, ctypes.c_void_p, *(_ARGUMENTS.get(one, ctypes.c_void_p) for one in converters)
    )
    function = prototype(address)
    results = struct.Struct("".join("?7x" if letter == "?" else letter for letter in code.results))
    room = ctypes.c_int64 * len(code.results)

    def call(*arguments: Any) -> Any:
        place = room()
        status = function(place, *[convert(argument) for convert, argument in zip(converters, arguments, strict=True)])
        if status:
            raise RuntimeError(f"the kernel {name} failed with status {status}")
        found = results.unpack(place)
        return found if code.several else found[0] if found else None

    return call


@cache
def _engine() -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
