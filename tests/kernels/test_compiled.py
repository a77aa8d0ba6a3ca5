"""Kernels take arguments of any types, give what Python gives, and are Python themselves where that is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Thread
from typing import Any

import numpy as np
import pytest
from places import ROOT

from grt_batch.kernels import compiled
from grt_batch.kernels.compiled import ArrayType, Kernel, type_of


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of these tests are no part of the cache."""
    monkeypatch.setattr(compiled, "kept", lambda *_: None)
    monkeypatch.setattr(compiled, "keep", lambda *_: None)


@compiled.compiled
def weighted(values: Any, factor: Any) -> Any:
    total = 0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            total += values[row, column] * factor * (10 * row + column + 1)
    return total


@compiled.compiled
def several(whole: Any, number: Any, truth: Any) -> Any:
    return whole, number / 2, not truth


@compiled.compiled
def fill(values: Any, what: Any) -> None:
    for i in range(values.size):
        values[i] = what


@compiled.inlined
def _double(value: Any) -> Any:
    return 2 * value


@compiled.compiled
def quotient(one: Any, other: Any) -> Any:
    return _double(one) // other


BOX = np.arange(12, dtype=np.int64).reshape(3, 4)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float64])
def test_arrays_of_any_layout_are_read_as_python_reads_them(dtype: type) -> None:
    box, expected = BOX.astype(dtype), weighted.__wrapped__
    fixed = box.copy()
    fixed.flags.writeable = False
    shifted = np.frombuffer(b"?" + box.tobytes(), dtype, offset=1).reshape(3, 4)
    for values in (box, box.T, box[::2, 1::2], box[::-1], box[:0], box[1:2], fixed, shifted):
        assert weighted(values, 3) == expected(values.astype(np.int64), 3)


def test_results_are_numbers_of_python() -> None:
    for whole, number, truth in [(2**63 - 1, 1.5, True), (-1, -3.0, False), (np.int64(-5), np.float64(0.5), np.False_)]:
        found = several(whole, number, truth)
        assert found == (whole, number / 2, not truth)
        assert [*map(type, found)] == [int, float, bool]
    for large in (2**63, 2**64 - 1, np.uint64(2**63), np.uint64(1)):
        assert several(large, 1, True)[0] == large


def test_what_a_kernel_writes_is_in_the_array() -> None:
    box = BOX.copy()
    assert fill(box[1], 7) is None
    assert fill(box[:, 0], True) is None
    assert box.tolist() == [[1, 1, 2, 3], [1, 7, 7, 7], [1, 9, 10, 11]]


def test_code_that_only_reads_serves_for_arrays_that_are_read_only() -> None:
    kernel = Kernel(weighted.function)
    fixed = BOX.copy()
    fixed.flags.writeable = False
    assert kernel(fixed, 1) == kernel(BOX, 1)
    assert len(kernel.signatures) == 1


def test_nothing_writes_into_an_array_that_is_read_only() -> None:
    with pytest.raises(Exception, match="readonly"):
        fill(np.frombuffer(bytes(8), np.int64), 1)


def test_an_error_in_a_kernel_is_raised() -> None:
    assert quotient(7, 2) == 7
    with pytest.raises(RuntimeError, match=r"kernel test_compiled\.quotient failed"):
        quotient(7, 0)
    assert quotient(7, -2) == -7


def test_each_combination_of_types_is_compiled_once() -> None:
    kernel = Kernel(weighted.function)
    whole, part = BOX[:1], BOX[:, :1]
    for values in (whole, part, whole.copy(), part.copy(), BOX.T):
        kernel(values, 1)
        kernel(values, np.int32(1))
    assert {types[0].layout for types in kernel.signatures} == {"C", "A", "F"}
    assert len(kernel.signatures) == 3


def test_types() -> None:
    assert type_of(BOX) == ArrayType("<i8", 2, "C", True, True)
    assert [*map(type_of, (1, 2**63, 1.0, True, np.uint8(1)))] == ["int64", "uint64", "float64", "bool", "int64"]
    for number in (2**64, -(2**63) - 1):
        with pytest.raises(OverflowError):
            weighted(BOX, number)
    with pytest.raises(TypeError, match="cannot take a str"):
        weighted(BOX, "text")


def test_a_kernel_takes_all_its_arguments() -> None:
    with pytest.raises(Exception, match="argument"):
        weighted(BOX)


def test_threads_share_what_is_compiled() -> None:
    kernel, found = Kernel(weighted.function), []
    threads = [Thread(target=lambda: found.append(kernel(BOX, 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == 4 * [weighted(BOX, 1)]
    assert len(kernel.signatures) == 1


def test_kernels_are_python_where_that_is_asked_for() -> None:
    code = "import sys; from grt_batch.kernels import values, text_hash; print(type(values.integer).__name__)"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "function\n"
