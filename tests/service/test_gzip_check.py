"""A gzip file that arrives in pieces is judged as `Gunzip` judges it when it is read."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from typing import cast

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip, isal_zlib

from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock
from grt_batch.service.gzip_check import GzipCheck
from grt_batch.uploads.unpacking import Gunzip, Limits

LIMITS = Limits(max_ratio=250)


def arrives(data: bytes, size: int, limits: Limits = LIMITS) -> bool:
    check = GzipCheck(limits)
    try:
        for begin in range(0, len(data), size):
            check.write(memoryview(data)[begin : begin + size])
        check.end()
    except Quarantine:
        return False
    return True


def is_read(data: bytes) -> bool:
    try:
        Gunzip(cast(io.FileIO, io.BytesIO(data)), LIMITS, Clock()).drain()
    except (Quarantine, EOFError, zlib.error, isal_zlib.error, igzip.BadGzipFile):  # type: ignore[misc]
        return False
    return True


MEMBER = st.builds(
    lambda text, level: gzip.compress(text, level, mtime=0), st.binary(max_size=300), st.sampled_from([0, 1, 6])
)
FILES = st.lists(MEMBER | st.binary(max_size=12) | st.integers(1, 30).map(bytes), max_size=4).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file with a changed byte, or without its end."""
    data = bytearray(draw(FILES))
    if data and draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(data[: draw(st.integers(max(0, len(data) - 12), len(data)))])


@examples(200)
@given(data=FILES | damaged(), size=st.integers(1, 400))
def test_it_judges_as_the_reader_does(data: bytes, size: int) -> None:
    assert arrives(data, size) == (is_read(data) and data != b"")


def test_a_large_member_in_large_pieces() -> None:
    data = gzip.compress(os.urandom(3 << 20) + bytes(3 << 20), 1)
    assert arrives(data, 1 << 20)
    assert not arrives(data[:-1], 1 << 20)


BOMB = gzip.compress(bytes(70 << 20), 1)


def test_bombs_are_noticed_while_they_arrive() -> None:
    check = GzipCheck(Limits(max_ratio=100))
    with pytest.raises(Quarantine, match="unpacks to more than 100 times its size"):
        for begin in range(0, len(BOMB) - 10_000, 1000):
            check.write(memoryview(BOMB)[begin : begin + 1000])


def test_the_size_of_the_text_is_limited() -> None:
    data = gzip.compress(os.urandom(1000))
    assert arrives(data, 99, Limits(max_archive_bytes=1000))
    assert not arrives(data, 99, Limits(max_archive_bytes=999))
    assert arrives(BOMB, 1 << 20, Limits())
