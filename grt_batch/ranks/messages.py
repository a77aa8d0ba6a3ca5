"""What ranks say to each other: a tag, a small header as JSON, and buffers of bytes. No pickle, no objects.

| tag | from → to | says |
|---|---|---|
| ASK | any rank → coordinator | I have nothing to do (and the peak of my memory) |
| LEAD | coordinator → rank | carry out this order, as a controller |
| HELP | coordinator → rank | be a worker of this controller |
| END | coordinator → rank | the run is over |
| PROGRESS | controller → coordinator | bytes of tar.gz dealt with |
| DONE | controller → coordinator | what came of the order |
| READY | worker → controller | give me tasks |
| TASK | controller → worker | do this |
| RESULT | worker → controller | this came of it |
| RELEASE | controller → worker | I have no more tasks |
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

_SIZE = struct.Struct("<I")


Buffer = bytes | memoryview


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


@dataclass(frozen=True)
class Message:
    """A message that came in: who sent it, what it is, its header and its buffers."""

    tag: Tag
    source: int
    header: Mapping[str, Any]
    buffers: Sequence[memoryview]


def pack(header: Mapping[str, Any], buffers: Sequence[Buffer] = ()) -> bytes:
    """One message: the sizes and the header as JSON, then the buffers."""
    head = orjson.dumps([header, [len(buffer) for buffer in buffers]])
    return b"".join([_SIZE.pack(len(head)), head, *buffers])


def unpack(tag: int, source: int, raw: bytearray) -> Message:
    """The opposite of `pack`; the buffers are views of `raw`."""
    view = memoryview(raw)
    (size,) = _SIZE.unpack_from(view)
    at = _SIZE.size + size
    header, sizes = orjson.loads(view[_SIZE.size : at])
    buffers: list[memoryview] = []
    for length in sizes:
        buffers.append(view[at : at + length])
        at += length
    return Message(Tag(tag), source, header, buffers)
