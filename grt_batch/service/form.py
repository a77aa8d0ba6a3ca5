"""The form of an upload: its three parts, taken in pieces and in any order."""

from __future__ import annotations

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from grt_batch.service.replies import Refused

_MOST_HEADER_BYTES = 4096


PARTS = ("identifier", "meta", "data")

Sink = Callable[[memoryview], None]


class Form:
    """Passes each part of a multipart/form-data body on to its sink. Raises Refused for any other body."""

    def __init__(self, content_type: str, sinks: dict[str, Sink]) -> None:
        kind, options = parse_options_header(content_type)
        if kind.lower() != b"multipart/form-data" or not options.get(b"boundary"):
            raise Refused(400, "An upload is a form of type multipart/form-data with the parts identifier, meta, data")
        self._sinks = sinks
        self._missing = dict.fromkeys(PARTS)
        self._sink: Sink = _nowhere
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._whole = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._choose,
                    "on_part_data": self._pass_on,
                    "on_end": self._end,
                },
                max_header_size=_MOST_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _malformed(error) from None

    def write(self, data: bytes) -> None:
        """Take the next piece of the body. Raises Refused, and what a sink raises."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(error) from None

    def end(self) -> None:
        """Take the end of the body. Raises Refused where something is missing."""
        if not self._whole:
            raise Refused(400, "The form ends before its last boundary; send it again")
        if self._missing:
            raise Refused(400, f"The form has no part {', '.join(self._missing)}")

    def _begin(self) -> None:
        self._disposition = b""
        self._header, self._value = b"", b""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _choose(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("ascii", "replace")
        if name not in self._missing:
            raise Refused(400, f"The form has a part too many: an upload has {', '.join(PARTS)}, each once")
        del self._missing[name]
        self._sink = self._sinks[name]

    def _pass_on(self, data: bytes, start: int, end: int) -> None:
        self._sink(memoryview(data)[start:end])

    def _end(self) -> None:
        self._whole = True


def _nowhere(_: memoryview) -> None:
    """Take what no part has chosen a sink for: there is none of it."""


def _malformed(error: FormParserError) -> Refused:
    return Refused(400, f"The form is malformed: {error}")
