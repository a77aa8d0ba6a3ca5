"""A gzip file that is checked while it arrives: whether it is whole, and how much it unpacks to."""

from __future__ import annotations

from isal import isal_zlib

from grt_batch.core.errors import Quarantine
from grt_batch.uploads.unpacking import Limits

_GZIP = 31
"""The format, as zlib's wbits."""


_PIECE = 256 << 10
"""Bytes that are unpacked at a time, and forgotten."""


class GzipCheck:
    """Takes a gzip file in pieces. It raises Quarantine where `Gunzip` would do so, which reads the file later."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._packed = 0
        self._text = 0
        self._member = isal_zlib.decompressobj(wbits=_GZIP)
        self._within = False
        self._members = 0

    def write(self, data: memoryview) -> None:
        """Take the next piece."""
        self._packed += len(data)
        rest = bytes(data)
        try:
            while rest:
                rest = self._unpack(rest)
        except isal_zlib.error as error:  # type: ignore[misc]
            raise Quarantine(f"its gzip is broken: {error}") from None

    def _unpack(self, data: bytes) -> bytes:
        """Unpack some of the data and return the rest."""
        if not self._within:
            if self._members:
                # Zeros may fill up the file behind a member.
                data = data.lstrip(b"\0")
                if not data:
                    return b""
            self._member, self._within = isal_zlib.decompressobj(wbits=_GZIP), True
            self._members += 1
        self._text += len(self._member.decompress(data, _PIECE))
        self._limits.check(self._packed, self._text)
        if self._member.eof:
            self._within = False
            return bytes(self._member.unused_data)
        return bytes(self._member.unconsumed_tail)

    def end(self) -> None:
        """Take the end of the file."""
        if self._within or not self._members:
            raise Quarantine("its gzip is broken: it ends too early")
