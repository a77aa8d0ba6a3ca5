"""Eight bytes of text at a time: a word is a uint64 that holds them, the first in its lowest byte."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from grt_batch.kernels.compiled import inlined, instruction


@instruction("uint64")
def load64(builder: Any, data: Any, index: Any) -> Any:
    """Return eight bytes of `data` at `index` as a little-endian number. All eight must exist."""
    word = builder.load(builder.bitcast(builder.gep(data, [index]), ir.IntType(64).as_pointer()))
    word.align = 1
    return word


@instruction("int64")
def byte_at(builder: Any, data: Any, index: Any) -> Any:
    """Return the byte of `data` at `index`, unchecked: it must exist, and `index` must not be negative."""
    return builder.zext(builder.load(builder.gep(data, [index])), ir.IntType(64))


@instruction("uint64")
def trailing_zeros(builder: Any, word: Any) -> Any:
    """Count the zero bits below the lowest set bit of a number other than 0."""
    return builder.cttz(word, ir.Constant(ir.IntType(1), 1))


@instruction("int64")
def leading_zeros(builder: Any, word: Any) -> Any:
    """Count the zero bits above the highest set bit of an int64; 64 where none is set."""
    return builder.ctlz(word, ir.Constant(ir.IntType(1), 0))


@inlined
def last_bytes(data: Any, start: Any, count: Any) -> Any:
    """Return `count` bytes, fewer than eight, from `start` on as one little-endian number."""
    if start + 8 <= data.size:
        return load64(data, start) & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(count):
        word |= np.uint64(byte_at(data, start + i)) << np.uint64(8 * i)
    return word


@inlined
def equal(one: Any, a: Any, other: Any, b: Any, size: Any) -> Any:
    """Return whether two texts have the same `size` bytes."""
    i = 0
    while i + 8 <= size:
        if load64(one, a + i) != load64(other, b + i):
            return False
        i += 8
    return last_bytes(one, a + i, size - i) == last_bytes(other, b + i, size - i)


@inlined
def _number_of(word: Any) -> Any:
    """Return the number that eight digits spell.

    It combines pairs of digits, then pairs of pairs: D. Lemire, "Quickly parsing eight digits".
    """
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    return np.int64((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32))


@inlined
def _not_digits(word: Any) -> Any:
    """Return 0 where eight bytes are digits; else the lowest byte other than 0 marks the first that is no digit."""
    high, zeros = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x3030303030303030)
    # A byte of 0xFA or more carries into the next one, but that one comes after it.
    return (word & high ^ zeros) | (word + np.uint64(0x0606060606060606) & high ^ zeros)


@inlined
def eight_digits(word: Any) -> Any:
    """Return the number that eight bytes spell, -1 where one of them is no digit."""
    return _number_of(word) if _not_digits(word) == 0 else np.int64(-1)


@inlined
def leading_digits(word: Any) -> Any:
    """Return how many of eight bytes are digits before the first other byte, and the number that they spell."""
    others = _not_digits(word)
    if others == 0:
        return np.int64(8), _number_of(word)
    count = np.int64(trailing_zeros(others) >> np.uint64(3))
    if count == 0:
        return count, np.int64(0)
    return count, _number_of(word << np.uint64(64 - 8 * count))
