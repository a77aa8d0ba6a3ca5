"""Columns as bytes, for the store and for messages between ranks.

A JSON head lists the dictionaries (their texts and bytes) and, of each table, its name, the size of its block, and what
there is to know of each column. The dictionaries follow, each stored once however many columns share it, then the
blocks: the arrays one after another, as small as can be.

Integers become digits in the narrowest type: (value - first) / unit, where the unit divides them all, and null is 0.
Those of an array that rises, as job ids do, are the differences. A pair of a sum becomes one integer where that has 64
bits. The first bytes of all digits stand before the second ones, which are more alike: so they compress to less.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl
from isal import isal_zlib

from grt_batch.columns.columns import LOW_BITS, Array, Columns, least_of, null_of
from grt_batch.columns.texts import Texts

_SIZE = struct.Struct("<I")


_LEVEL = 1


_TRIED = 1000
"""So many values show whether all may have a common divisor."""


class _Digits(NamedTuple):
    """What the digits of an array mean: value = first + unit · digit, but null for 0 if any is null; with a `start`
    these are differences, and the values begin with it."""

    kind: str
    first: int = 0
    unit: int = 1
    nulls: bool = False
    start: int | None = None


class _Column(NamedTuple):
    """A column in the head: `dictionary` is the place of its own, -1 for none. Sums have one or two parts."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parts: list[list[Any]]
    dictionary: int


def pack(tables: Mapping[str, Columns]) -> bytes:
    """Pack tables by their names."""
    dictionaries: list[Texts] = []
    head: list[Any] = []
    blocks = []
    for name, table in tables.items():
        columns, pieces = [], []
        for column, array in table.arrays.items():
            parts = [_digits(part) for part in _parts(array)]
            pieces += [_planes(digits) for digits, _ in parts]
            texts = table.texts.get(column)
            place = -1 if texts is None else _place(texts, dictionaries)
            columns.append((column, array.dtype.str, array.shape, [tuple(meant) for _, meant in parts], place))
        blocks.append(_compressed(b"".join(pieces)))
        head.append((name, len(blocks[-1]), columns))
    texts_packed = [_compressed(pack_texts(one)) for one in dictionaries]
    sizes = [(len(one), len(raw)) for one, raw in zip(dictionaries, texts_packed, strict=True)]
    said = orjson.dumps((sizes, head))
    return b"".join([_SIZE.pack(len(said)), said, *texts_packed, *blocks])


def unpack(raw: bytes | memoryview, names: Container[str] | None = None) -> dict[str, Columns]:
    """Unpack what `pack` packed, or only tables with these names."""
    raw = memoryview(raw)
    (size,) = _SIZE.unpack_from(raw)
    at = _SIZE.size + size
    dictionaries, head = orjson.loads(raw[_SIZE.size : at])
    places = []
    for count, length in dictionaries:
        places.append((count, at, at + length))
        at += length
    known: dict[int, Texts] = {}
    tables = {}
    for name, length, listed in head:
        if names is None or name in names:
            columns = [_Column(*column) for column in listed]
            for place in {column.dictionary for column in columns} - {-1} - known.keys():
                count, begin, end = places[place]
                known[place] = unpack_texts(isal_zlib.decompress(raw[begin:end]), count)
            arrays = _arrays(columns, isal_zlib.decompress(raw[at : at + length]))
            texts = {column.name: known[column.dictionary] for column in columns if column.dictionary >= 0}
            tables[name] = Columns(arrays, texts)
        at += length
    return tables


def pack_texts(texts: Texts) -> bytes:
    """Return a dictionary as bytes."""
    lengths = texts.names.str.len_bytes().cast(pl.UInt32).to_numpy()
    return lengths.astype("<u4").tobytes() + "".join(texts.names.to_list()).encode()


def unpack_texts(raw: bytes | memoryview, count: int) -> Texts:
    """Return the dictionary of so many texts that `pack_texts` packed."""
    ends = np.cumsum(np.frombuffer(raw, "<u4", count), dtype=np.int64).tolist()
    blob = bytes(raw[4 * count :])
    begins = [0, *ends][:-1]
    names = [blob[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
    return Texts(pl.Series(names, dtype=pl.String))


def _place(texts: Texts, dictionaries: list[Texts]) -> int:
    for place, known in enumerate(dictionaries):
        if known is texts or known.names.equals(texts.names):
            return place
    dictionaries.append(texts)
    return len(dictionaries) - 1


def _arrays(columns: list[_Column], block: bytes) -> dict[str, Array]:
    arrays, begin = {}, 0
    for column in columns:
        kind, parts = np.dtype(column.kind), []
        count = column.shape[0] if kind.kind == "i" else int(np.prod(column.shape))
        for meant in map(_Digits._make, column.parts):
            digits = _from_planes(block, begin, count, np.dtype(meant.kind))
            begin += digits.nbytes
            parts.append(_values(digits, meant, kind))
        arrays[column.name] = _joined(parts, column.shape)
    return arrays


def _parts(array: Array) -> list[Array]:
    """Return one-dimensional arrays: of sums the two parts, or one where the sums fit in 64 bits."""
    if array.ndim == 1 or array.dtype.kind != "i":
        return [array.reshape(-1)]
    high, low = array[:, 0], array[:, 1]
    null = high == null_of(high)
    if (np.abs(np.where(null, 0, high)) < 1 << (62 - LOW_BITS)).all() and not low[null].any():
        return [np.where(null, high, (high << LOW_BITS) + low)]
    return [high, low]


def _joined(parts: list[Array], shape: tuple[int, ...]) -> Array:
    if len(shape) == 1 or parts[0].dtype.kind != "i":
        return parts[0].reshape(shape)
    if len(parts) == 1:
        (sums,) = parts
        null = sums == null_of(sums)
        parts = [np.where(null, sums, sums >> LOW_BITS), np.where(null, 0, sums & ((1 << LOW_BITS) - 1))]
    return np.stack(parts, axis=1)


def _digits(array: Array) -> tuple[Array, _Digits]:
    """Return the digits of an array in a narrow type, and what they mean."""
    if array.dtype.kind != "i" or not array.size:
        return array, _Digits(array.dtype.str)
    nulls = bool((array == null_of(array)).any())
    if not nulls and (array[1:] >= array[:-1]).all() and int(array[-1]) - int(array[0]) < 1 << 62:
        digits, meant = _narrowed(np.diff(array.astype(np.int64), prepend=array[:1]), False)
        return digits, meant._replace(start=int(array[0]))
    return _narrowed(array, nulls)


def _narrowed(array: Array, nulls: bool) -> tuple[Array, _Digits]:
    least = least_of(array)
    span = int(array.max()) - least
    if least == null_of(array) or span >= 1 << 62:
        return array, _Digits(array.dtype.str)
    above = array.astype(np.int64) - least
    null = array == null_of(array) if nulls else np.zeros(0, np.bool_)
    if nulls:
        above[null] = 0
    unit = int(np.gcd.reduce(above[:_TRIED]))
    if unit > 1:
        unit = int(np.gcd.reduce(above % unit, initial=unit))
    unit = max(unit, 1)
    if least - unit * nulls < -(1 << 63):
        return array, _Digits(array.dtype.str)
    above += unit * nulls
    kind = next(kind for kind in ("<u1", "<u2", "<u4", "<u8") if span // unit + nulls <= np.iinfo(kind).max)
    digits = (above if unit == 1 else above // unit).astype(kind)
    if nulls:
        digits[null] = 0
    return digits, _Digits(kind, least - unit * nulls, unit, nulls)


def _values(digits: Array, meant: _Digits, kind: np.dtype[Any]) -> Array:
    if digits.dtype == kind:
        return digits
    values = digits.astype(np.int64)
    if meant.unit != 1:
        values *= meant.unit
    values += meant.first
    if meant.start is not None:
        values = np.cumsum(values) + meant.start
    found = values.astype(kind, copy=False)
    if meant.nulls:
        found[digits == 0] = null_of(found)
    return found


def _planes(digits: Array) -> bytes:
    """Return the first bytes of all digits, then the second ones, and so on."""
    return digits.reshape(-1, 1).view(np.uint8).reshape(-1, digits.itemsize).T.tobytes()


def _from_planes(block: bytes, begin: int, count: int, kind: np.dtype[Any]) -> Array:
    planes = np.frombuffer(block, np.uint8, count * kind.itemsize, begin).reshape(kind.itemsize, count)
    return planes.T.copy().view(kind).reshape(count)


def _compressed(raw: bytes) -> bytes:
    return bytes(isal_zlib.compress(raw, _LEVEL))
