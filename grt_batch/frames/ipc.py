"""Frames as bytes: Arrow IPC, with each dictionary of texts stored once.

Arrow could hold the dictionaries itself, but polars takes four times as long to read one as to make it from its texts,
and the frames of a partial share theirs. Small frames are in Arrow's streaming format: without the footer of the file
format they are smaller, and polars writes them seven times and reads them twenty times as fast. Large ones are faster
as files.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Container, Mapping
from typing import Literal

import orjson
import polars as pl

from grt_batch.frames.dictionaries import texts_of

Frames = Mapping[str, pl.DataFrame]

Compression = Literal["lz4", "uncompressed"]

_SIZE = struct.Struct("<I")


def pack_frame(frame: pl.DataFrame, compression: Compression = "lz4") -> bytes:
    """Pack one frame."""
    return pack_frames({"": frame}, compression)


def unpack_frame(raw: bytes, columns: list[str] | None = None) -> pl.DataFrame:
    """Unpack what `pack_frame` packed, or only these columns."""
    return unpack_frames(raw, columns=columns)[""]


def pack_frames(frames: Frames, compression: Compression = "lz4") -> bytes:
    """Pack frames by their names.

    A JSON head lists the sizes of the dictionaries, and for each frame its name, its size, and the dictionary of each
    encoded column. The dictionaries follow, then the frames with codes in place of texts.
    """
    dictionaries: list[tuple[str, pl.Series]] = []
    head, packed = [], []
    for name, frame in frames.items():
        columns, places = [], {}
        for column in frame.get_columns():
            names = _names(column)
            if names is not None:
                places[column.name] = _place(column.name, names, dictionaries)
            columns.append(column if names is None else column.to_physical())
        packed.append(_to_ipc(pl.DataFrame(columns), compression))
        head.append((name, len(packed[-1]), places))
    texts = [_to_ipc(names.to_frame(), compression) for _, names in dictionaries]
    said = orjson.dumps(([len(raw) for raw in texts], head))
    return b"".join([_SIZE.pack(len(said)), said, *texts, *packed])


def unpack_frames(
    raw: bytes, names: Container[str] | None = None, columns: list[str] | None = None
) -> dict[str, pl.DataFrame]:
    """Unpack what `pack_frames` packed, or only frames with these `names`, or of all frames only these `columns`."""
    (size,) = _SIZE.unpack_from(raw)
    at = _SIZE.size + size
    sizes, head = orjson.loads(raw[_SIZE.size : at])
    begins = [at]
    for size in sizes:
        begins.append(begins[-1] + size)
    at = begins[-1]
    known: dict[int, pl.Series] = {}
    frames: dict[str, pl.DataFrame] = {}
    for name, length, places in head:
        if names is None or name in names:
            read = _from_ipc(raw[at : at + length], columns).get_columns()
            for place in {places[column.name] for column in read if column.name in places} - known.keys():
                texts = _from_ipc(raw[begins[place] : begins[place + 1]]).to_series()
                known[place] = pl.Series(texts, dtype=pl.Enum(texts))
            frames[name] = pl.DataFrame(
                [texts_of(column, known[places[column.name]]) if column.name in places else column for column in read]
            )
        at += length
    return frames


def _names(column: pl.Series) -> pl.Series | None:
    """Return the dictionary of an encoded column, None for any other column."""
    kind = column.dtype
    return kind.categories if isinstance(kind, pl.Enum) else None


def _place(column: str, names: pl.Series, dictionaries: list[tuple[str, pl.Series]]) -> int:
    """Return the place of a column's dictionary among `dictionaries`, to which it is added where it is missing."""
    for place, (name, known) in enumerate(dictionaries):
        if name == column and known.equals(names):
            return place
    dictionaries.append((column, names))
    return len(dictionaries) - 1


_SMALL, _FILE = 10_000, b"ARROW1"
"""The most rows of a small frame, and how a file of Arrow begins."""


def _to_ipc(frame: pl.DataFrame, compression: Compression) -> bytes:
    buffer = io.BytesIO()
    write = frame.write_ipc_stream if frame.height <= _SMALL else frame.write_ipc
    write(buffer, compression=compression)
    return buffer.getvalue()


def _from_ipc(raw: bytes, columns: list[str] | None = None) -> pl.DataFrame:
    read = pl.read_ipc if raw.startswith(_FILE) else pl.read_ipc_stream
    return read(io.BytesIO(raw), columns=columns)
