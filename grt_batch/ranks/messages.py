"""The messages of the ranks: a tag, a few typed values as MessagePack, and large buffers behind them.

| tag | from → to | meaning |
|---|---|---|
| ASK | any rank → coordinator | I am idle; what I did so far, and my peak memory |
| LEAD | coordinator → rank | carry out this order, as a controller |
| HELP | coordinator → rank | be a worker of this controller |
| END | coordinator → rank | the run is over |
| PROGRESS | controller → coordinator | bytes of tar.gz processed |
| DONE | controller → coordinator | the outcome of the order |
| READY | worker → controller | give me tasks |
| TASK | controller → worker | do this task |
| RESULT | worker → controller | the result of a task |
| RELEASE | controller → worker | there are no more tasks |

Libraries of columns are imported for the first column: a rank without work needs none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_origin

import msgspec

_COUNTS = struct.Struct("<II")


_ALIGNED = 8
"""Buffers begin at multiples of this, so that arrays of 64-bit integers are views of them."""


Buffer = bytes | memoryview


Value = TypeVar("Value")


class Tag(IntEnum):
    """The kind of a message; see the table above."""

    ASK = 1
    LEAD = 2
    HELP = 3
    END = 4
    PROGRESS = 5
    DONE = 6
    READY = 7
    TASK = 8
    RESULT = 9
    RELEASE = 10


class RunSettings(msgspec.Struct, frozen=True):
    """What each rank needs to know of the run besides its configuration. `profiles` is the folder of its profile, None
    where none was asked for."""

    run_id: str = ""
    log_format: str = "text"
    debug: bool = False
    profiles: Path | None = None


class Ask(msgspec.Struct, frozen=True):
    """An idle rank: its peak memory in bytes, its host, and the times of its clock so far."""

    memory: int
    host: str
    snapshot: dict[str, dict[str, int | float]]


class Help(msgspec.Struct, frozen=True):
    """The role of a worker of the controller `leader`."""

    settings: RunSettings
    leader: int


class Large:
    """Bytes that travel behind the values, so that they are copied once only, into the message."""

    def __init__(self, data: Buffer) -> None:
        self.data = data


@dataclass(frozen=True)
class Message:
    """A received message: its tag, the rank that sent it, its packed values and its buffers."""

    tag: Tag
    source: int
    values: Sequence[memoryview]
    buffers: Sequence[memoryview]

    def read(self, kind: type[Value], place: int = 0) -> Value:
        """Return the value at this place in the message, which is of type `kind`."""
        return msgspec.msgpack.decode(self.values[place], type=kind, dec_hook=partial(_read_hook, self.buffers))


def pack(*values: Any) -> bytes:
    """Return one message: the sizes of its parts, the values, and the buffers that they refer to."""
    buffers: list[Buffer] = []
    encoder = msgspec.msgpack.Encoder(enc_hook=partial(_pack_hook, buffers))
    packed = [encoder.encode(value) for value in values]
    sizes = [len(part) for part in (*packed, *buffers)]
    parts: list[Buffer] = [_COUNTS.pack(len(packed), len(buffers)), struct.pack(f"<{len(sizes)}Q", *sizes), *packed]
    at = sum(map(len, parts))
    for buffer in buffers:
        parts += [bytes(-at % _ALIGNED), buffer]
        at += -at % _ALIGNED + len(buffer)
    return b"".join(parts)


def unpack(tag: int, source: int, raw: bytearray) -> Message:
    """Take a message apart. Its values and buffers are views of `raw`."""
    view = memoryview(raw)
    values, buffers = _COUNTS.unpack_from(view)
    sizes = struct.Struct(f"<{values + buffers}Q")
    at = _COUNTS.size + sizes.size
    parts: list[memoryview] = []
    for size in sizes.unpack_from(view, _COUNTS.size):
        if len(parts) >= values:
            at += -at % _ALIGNED
        parts.append(view[at : at + size])
        at += size
    return Message(Tag(tag), source, parts[:values], parts[values:])


def _pack_hook(buffers: list[Buffer], value: Any) -> Any:
    """Replace what MessagePack does not know by what it knows, or by its place among the buffers."""
    if isinstance(value, Path):
        # A path may hold any bytes, a text may not.
        return os.fsencode(value)
    import numpy as np

    from grt_batch.columns.packing import pack_texts
    from grt_batch.columns.texts import Texts

    match value:
        case np.ndarray():
            buffers.append(memoryview(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data))
            return len(buffers) - 1, value.dtype.str, value.shape
        case Texts():
            buffers.append(pack_texts(value))
            return len(buffers) - 1, len(value)
        case Large():
            buffers.append(value.data)
        case _:
            raise NotImplementedError(f"{type(value)} cannot be sent")
    return len(buffers) - 1


def _read_hook(buffers: Sequence[memoryview], kind: Any, found: Any) -> Any:
    """Undo `_pack_hook` for a value of type `kind`."""
    if kind is Path:
        return Path(os.fsdecode(found))
    if kind is Large:
        return Large(buffers[found])
    import numpy as np

    from grt_batch.columns.packing import unpack_texts
    from grt_batch.columns.texts import Texts

    if kind is Texts:
        place, count = found
        return unpack_texts(buffers[place], count)
    if get_origin(kind) is np.ndarray:
        place, dtype, shape = found
        return np.frombuffer(buffers[place], dtype).reshape(shape)
    raise NotImplementedError(f"{kind} cannot be received")
