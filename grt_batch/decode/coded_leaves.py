"""The leaves of the parameters of a block, as codes: nearly all values are flat, or the kernel makes leaves of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grt_batch.decode.leaves import DATA, LeafText, leaf, leaves
from grt_batch.kernels.constants import LEVELS, ODD, REFERENCES

Integers = npt.NDArray[np.int64]


_MOST_KERNEL_BYTES = 1 << 20
"""Longer values are for the full parser: the kernel has room for this."""


_SHORTEST_LEAF = 3
"""Bytes of JSON for a leaf, its comma among them."""


@dataclass(frozen=True)
class Spans:
    """Some places, one after the other, for each of several rows: where they begin, and how many they are."""

    begins: Integers
    counts: Integers

    def places(self) -> Integers:
        """Return the places of all rows."""
        ends = np.cumsum(self.counts)
        return np.repeat(self.begins - (ends - self.counts), self.counts) + np.arange(ends[-1] if len(ends) else 0)


@dataclass(frozen=True)
class CodedLeaves(Spans):
    """The spans of the leaves of different parameters in `codes`, and the texts of the codes."""

    codes: Integers
    texts: list[tuple[str | None, ...]]


def coded_leaves(
    data: npt.NDArray[np.uint8], places: Integers, kinds: Integers, names: Sequence[str], values: Sequence[str | None]
) -> CodedLeaves:
    """Return the leaves of different parameters.

    `places`, int64[n, 4], holds the start and end of each name and value in `data`; `kinds` the kinds of the values,
    and `values` the texts of those that are no ODD ones. `names` are shortened.
    """
    flat, odd = np.flatnonzero(kinds != ODD), np.flatnonzero(kinds == ODD)
    texts: list[tuple[str | None, ...]] = [
        # No text of this kind is one that Python writes for references.
        (names[i], None, DATA) if kind == REFERENCES else (names[i], values[i] or "", None)
        for i, kind in zip(flat.tolist(), kinds[flat].tolist(), strict=True)
    ]
    counts = np.ones(len(kinds), np.int64)
    found, ends, known = _nested(data, places[odd], len(texts))
    texts += known
    counts[odd] = np.diff(ends, prepend=0)
    codes = [np.arange(len(flat)), found]
    begins = np.empty(len(kinds), np.int64)
    begins[flat], begins[odd] = codes[0], len(flat) + ends - counts[odd]
    size = len(flat) + len(found)
    for place in odd[counts[odd] == 0].tolist():
        start, end = places[place, 2:].tolist()
        some = leaves(names[place], bytes(data.data[start:end]))
        begins[place], counts[place] = size, len(some)
        codes.append(np.arange(len(texts), len(texts) + len(some)))
        texts += some
        size += len(some)
    return CodedLeaves(begins, counts, np.concatenate(codes), texts)


def _nested(data: npt.NDArray[np.uint8], places: Integers, first: int) -> tuple[Integers, Integers, list[LeafText]]:
    """Return the codes of leaves, from `first` on, where those of each value end, and the texts of the codes.

    Those of a value for the full parser are missing.
    """
    from grt_batch.kernels import leaf_codes as codes_of
    from grt_batch.kernels import leaves as kernel

    sizes = places[:, 3] - places[:, 2]
    sizes = sizes[sizes <= _MOST_KERNEL_BYTES]
    longest, most = int(sizes.max(initial=0)), int(sizes.sum()) // _SHORTEST_LEAF + len(places)
    out = np.empty(2 * int(sizes.sum()) + (1 << 16), np.uint8)
    spans, known = np.empty((most, 2), np.int64), np.empty((most, 3), np.int64)
    codes, ends, state = np.empty(most, np.int64), np.empty(len(places), np.int64), np.zeros(codes_of.STATE, np.int64)
    kernel.leaves(
        data,
        places,
        np.empty((2, longest), np.uint8),
        np.empty(longest + 1024, np.uint8),
        np.empty(2 * longest + 64, np.uint8),
        np.empty((longest + 16, 3), np.int64),
        np.empty((LEVELS, kernel.FRAME), np.int64),
        out,
        np.zeros((2, 1 << max(4, (2 * most).bit_length())), np.int64),
        spans,
        np.zeros((2, most), np.int64),
        known,
        codes,
        ends,
        state,
    )  # fmt: skip
    whole = out[: state[codes_of.SIZE]].tobytes()
    names = [whole[start:end].decode() for start, end in spans[: state[codes_of.NAMES]].tolist()]
    texts: list[LeafText] = []
    for name, start, end in known[: state[codes_of.LEAVES]].tolist():
        if start == codes_of.DATA:
            texts.append((names[name], None, DATA))
        else:
            texts.append(leaf(names[name], whole[start:end].decode()))
    return first + codes[: state[codes_of.CODES]], ends, texts
