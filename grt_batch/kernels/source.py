"""What there is to compile: functions, instructions that they call, and the types of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, NamedTuple


class ArrayType(NamedTuple):
    """The type of an array, as machine code depends on it. `layout` is that of numpy: C, F or A, which is neither."""

    dtype: str
    dimensions: int
    layout: str
    writeable: bool
    aligned: bool


Type = ArrayType | str
"""The type of an argument: of an array, or the name of numpy's type of a number."""


class Source:
    """A function to be compiled, or to be written into those that call it if it is `inline`."""

    def __init__(self, function: Callable[..., Any], *, inline: bool = False) -> None:
        update_wrapper(self, function)  # type: ignore[arg-type]
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.function = function
        self.inline = inline


@dataclass(frozen=True)
class Instruction:
    """A function that writes machine instructions; only kernels call it.

    It gets the builder of llvmlite and the values of its arguments, of an array the pointer to its data. `result` is
    the type of the value that it returns.
    """

    result: str
    write: Callable[..., Any]
