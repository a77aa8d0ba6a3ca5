"""What numba compiles needs nothing of numba when it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grt_batch.kernels.compiled import Kernel, type_of
from grt_batch.kernels.compiler import _check, dispatcher, machine_code

LARGE = np.zeros(1_000_000, np.int64)


def big(place: Any) -> Any:
    return LARGE[place]


def text(place: Any) -> Any:
    return str(place)


def compile_for(function: Any, *arguments: Any) -> Any:
    return machine_code(Kernel(function), [type_of(argument) for argument in arguments])


def test_one_kernel_has_one_dispatcher() -> None:
    kernel = Kernel(big)
    assert dispatcher(kernel) is dispatcher(kernel)


def test_a_large_array_is_not_compiled_in() -> None:
    with pytest.raises(AssertionError, match="too large"):
        compile_for(big, 1)


def test_only_numbers_are_returned() -> None:
    with pytest.raises(Exception, match="NRT"):
        compile_for(text, 1)


def test_a_function_of_numba_is_noticed() -> None:
    class Function:
        name, is_declaration = "numba_gil_ensure", True

    class Library:
        name, has_dynamic_globals = "library", False
        _final_module = type("Module", (), {"functions": [Function]})

    with pytest.raises(AssertionError, match="library calls numba_gil_ensure of numba"):
        _check(Library)
    Function.name = "memcpy"
    _check(Library)
