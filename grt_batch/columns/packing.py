"""Columns as bytes, for the store and for messages between ranks.

A JSON head lists the dictionaries (lengths in bytes) and, of each table, its name, the size of its block, and the name,
type, shape and dictionary of each column. The dictionaries follow, each stored once however many columns share it, then
the blocks: the arrays one after another, each in the narrowest type that holds it.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import orjson
import polars as pl
from isal import isal_zlib

from grt_batch.columns.columns import Array, Columns, null_of
from grt_batch.columns.texts import Texts

_SIZE = struct.Struct("<I")

_LEVEL = 1


def pack(tables: Mapping[str, Columns], *, compress: bool = True) -> bytes:
    """Pack tables by their names."""
    dictionaries: list[Texts] = []
    head: list[Any] = []
    blocks = []
    for name, table in tables.items():
        columns, pieces = [], []
        for column, array in table.arrays.items():
            narrow, add = _narrowed(array)
            pieces.append(np.ascontiguousarray(narrow).tobytes())
            texts = table.texts.get(column)
            place = -1 if texts is None else _place(texts, dictionaries)
            columns.append((column, array.dtype.str, narrow.dtype.str, narrow.shape, add, place))
        blocks.append(_packed(b"".join(pieces), compress=compress))
        head.append((name, len(blocks[-1]), columns))
    texts_packed = [_packed(pack_texts(one), compress=compress) for one in dictionaries]
    said = orjson.dumps(
        (compress, [(len(one), len(raw)) for one, raw in zip(dictionaries, texts_packed, strict=True)], head)
    )
    return b"".join([_SIZE.pack(len(said)), said, *texts_packed, *blocks])


def unpack(raw: bytes | memoryview, names: Container[str] | None = None) -> dict[str, Columns]:
    """Unpack what `pack` packed, or only tables with these names."""
    raw = memoryview(raw)
    (size,) = _SIZE.unpack_from(raw)
    at = _SIZE.size + size
    compressed, dictionaries, head = orjson.loads(raw[_SIZE.size : at])
    places = []
    for count, length in dictionaries:
        places.append((count, at, at + length))
        at += length
    known: dict[int, Texts] = {}
    tables = {}
    for name, length, columns in head:
        if names is None or name in names:
            for place in {column[-1] for column in columns} - {-1} - known.keys():
                count, begin, end = places[place]
                known[place] = unpack_texts(_unpacked(raw[begin:end], compressed), count)
            block = memoryview(_unpacked(raw[at : at + length], compressed))
            arrays, begin = {}, 0
            for column, kind, narrow, shape, add, _ in columns:
                array = np.frombuffer(block, narrow, int(np.prod(shape)), begin).reshape(shape)
                begin += array.nbytes
                arrays[column] = _widened(array, np.dtype(kind), add)
            tables[name] = Columns(arrays, {column[0]: known[column[-1]] for column in columns if column[-1] >= 0})
        at += length
    return tables


def _place(texts: Texts, dictionaries: list[Texts]) -> int:
    for place, known in enumerate(dictionaries):
        if known is texts or known.names.equals(texts.names):
            return place
    dictionaries.append(texts)
    return len(dictionaries) - 1


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


def _narrowed(array: Array) -> tuple[Array, int]:
    """Return an array of integers in the narrowest type, and what was added to each to make the least of them 1; null
    is 0 there."""
    if array.dtype.kind != "i" or not array.size:
        return array, 0
    null = null_of(array)
    nulls = array == null
    known = array[~nulls] if nulls.any() else array
    least, greatest = (int(known.min()), int(known.max())) if known.size else (0, 0)
    for kind in ("<u1", "<u2", "<u4"):
        if greatest - least + 1 <= np.iinfo(kind).max and np.dtype(kind).itemsize < array.dtype.itemsize:
            shifted = (array.astype(np.int64) - least + 1).astype(kind)
            shifted[nulls] = 0
            return shifted, 1 - least
    return array, 0


def _widened(array: Array, kind: np.dtype[Any], add: int) -> Array:
    if array.dtype == kind:
        return array
    wide = (array.astype(np.int64) - add).astype(kind)
    wide[array == 0] = null_of(wide)
    return wide


def _packed(raw: bytes, *, compress: bool) -> bytes:
    return bytes(isal_zlib.compress(raw, _LEVEL)) if compress else raw


def _unpacked(raw: memoryview, compressed: bool) -> bytes | memoryview:
    return isal_zlib.decompress(raw) if compressed else raw
