"""How many distinct texts there are, without keeping them: HyperLogLog.

P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation
algorithm", AofA 2007, over hashes of 64 bits as S. Heule, M. Nunkesser and A. Hall propose ("HyperLogLog in practice",
EDBT 2013). The estimate is the one of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
arXiv:1702.01284, 2017, section 4: it has no tables, and no bias at any number.

The law: the registers of two sets united are those of their union, whatever the sets have in common.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Registers = npt.NDArray[np.uint8]
"""2^PRECISION registers, a byte each."""


PRECISION = 15
"""Bits of a hash that choose the register: 2^15 of them make a standard error of 0.58 %, so 3 % is more than five."""


_RANKS = 64 - PRECISION
"""The other bits of a hash."""


def registers(hashed: npt.NDArray[np.uint64]) -> Registers:
    """Return the registers of texts with these hashes: 1 + the most trailing zeros of a hash that chose it, 0 where
    none did. Those of a union are the greatest of each set's."""
    found = np.zeros(1 << PRECISION, np.uint8)
    rest = hashed >> np.uint64(PRECISION)
    # The exponent of the lowest bit; of no bit it would be 0.
    ranks = np.frexp((rest & (~rest + np.uint64(1))).astype(np.float64))[1]
    ranks[rest == 0] = _RANKS + 1
    np.maximum.at(found, (hashed & np.uint64((1 << PRECISION) - 1)).astype(np.int64), ranks.astype(np.uint8))
    return found


def estimate(found: Registers) -> int:
    """Return the number of distinct texts that registers are of: with a standard error of 0.58 %, less where they are
    few."""
    counts: npt.NDArray[np.int64] = np.bincount(found, minlength=_RANKS + 2)
    size = len(found)
    # One after the other in this order: the sum of doubles shall be the same on every machine.
    total = size * _tau(1 - int(counts[_RANKS + 1]) / size)
    for count in counts[_RANKS:0:-1].tolist():
        total = 0.5 * (total + count)
    total += size * _sigma(int(counts[0]) / size)
    return round(size * size / (2 * math.log(2) * total))


def _sigma(x: float) -> float:
    """x + the sum of 2^(k - 1) x^(2^k) over k from 1, what the registers that are 0 add."""
    if x == 1:
        return math.inf
    power, found, before = 1.0, x, -1.0
    while found != before:
        x *= x
        before = found
        found += x * power
        power *= 2
    return found


def _tau(x: float) -> float:
    """(1 - x - the sum of 2^-k (1 - x^(2^-k))^2 over k from 1) / 3, what the registers that are full add."""
    if x in (0, 1):
        return 0.0
    power, found, before = 1.0, 1 - x, -1.0
    while found != before:
        x = math.sqrt(x)
        before = found
        power *= 0.5
        found -= (1 - x) ** 2 * power
    return found / 3
