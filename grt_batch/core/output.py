"""Standard output and standard error, which never end the program: what was published decides its exit code.

A stream may be closed, its disk full, its reader gone; its encoding may lack characters. What can be printed is
printed.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import Any, TextIO


class _Output(io.FileIO):
    """A file that takes everything. `problem` is why it did not keep all of it."""

    problem: OSError | None = None

    def write(self, data: Any) -> int:
        """Write what can be written, and count all of it as written where nothing can."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                written = super().write(left)
                if written is None:
                    # Another process has made the file non-blocking, and its reader is slow.
                    waiting = select.poll()
                    waiting.register(self, select.POLLOUT)
                    waiting.poll()
                left = left[written or 0 :]
        except OSError as error:
            self.problem = self.problem or error
        return size


class _Ascii(io.TextIOWrapper):
    """Text in ASCII, which says of itself that it is UTF-8: click would write UTF-8 to a stream that says ASCII."""

    def write(self, text: str) -> int:
        return super().write(text.encode("ascii", "replace").decode("ascii"))


def secure() -> None:
    """Put streams that take everything in place of this process's own, and open those that were closed.

    Without that, the next file or connection would be opened as standard output, and be printed to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _text(1, sys.stdout)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _text(2, sys.stderr)


def _text(number: int, before: TextIO | None) -> io.TextIOWrapper:
    """Return a stream like `before`, to which any text can be written."""
    raw = _Output(number, "w", closefd=False)
    is_buffered = not getattr(before, "write_through", False)
    encoding = (before and before.encoding) or "utf-8"
    is_ascii = codecs.lookup(encoding).name == "ascii"
    return (_Ascii if is_ascii else io.TextIOWrapper)(
        io.BufferedWriter(raw) if is_buffered else raw,
        "utf-8" if is_ascii else encoding,
        "replace",
        line_buffering=number == 2 or raw.isatty(),
        write_through=not is_buffered,
    )


def complaint() -> str:
    """Flush standard output, and return what is to be said where it was not kept, "" otherwise.

    A reader that has gone, like `head`, has what it wanted.
    """
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    problem = getattr(getattr(buffer, "raw", buffer), "problem", None)
    if problem is None or problem.errno == errno.EPIPE:
        return ""
    return f"standard output is not complete: {problem.strerror}; the exit code is that of the work itself"
