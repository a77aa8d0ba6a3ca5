"""Messages to people, by apprise, in a process of its own: a server that does not answer cannot hold a run up.

The process reads the messages from standard input, so that no address, which may hold a password, is in `ps`. It prints
a line for each message once its fate is known.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

_AT_A_TIME = 16


MISSING = "apprise is not installed; run: pip install 'grt-batch[notify]'"


class Message(msgspec.Struct, frozen=True):
    """A message to the address `to`, which is a URL of apprise."""

    to: str
    title: str
    body: str


class _Fate(msgspec.Struct, frozen=True):
    """What became of the message with this number: the problem, "" for none."""

    number: int
    problem: str


def send(messages: Sequence[Message], seconds: float) -> list[str]:
    """Send messages, all at the same time; return the problem of each, "" where it was sent.

    What takes longer than so many seconds is given up.
    """
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(messages), capture_output=True, timeout=seconds, check=False
        )
        told, otherwise = done.stdout, " ".join(done.stderr.decode(errors="replace").split())[-200:] or "nothing said"
    except subprocess.TimeoutExpired as error:
        told, otherwise = error.stdout or b"", f"no answer within {seconds} s"
    except OSError as error:
        told, otherwise = b"", str(error)
    fates = {fate.number: fate.problem for fate in map(_fate, told.splitlines()) if fate}
    return [fates.get(number, otherwise) for number in range(len(messages))]


def _fate(line: bytes) -> _Fate | None:
    try:
        return msgspec.json.decode(line, type=_Fate)
    except msgspec.MsgspecError:
        return None


class _Reasons(logging.Handler):
    """Keeps what apprise says in this thread: it returns no reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.said.setdefault(threading.get_ident(), []).append(record.getMessage())


def main() -> None:
    """Send the messages of standard input."""
    messages = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Message])
    try:
        import apprise
    except ImportError:
        _print([_Fate(number, MISSING) for number in range(len(messages))])
        return
    reasons = _Reasons()
    logging.getLogger("apprise").addHandler(reasons)

    def attempt(numbered: tuple[int, Message]) -> None:
        number, message = numbered
        said = reasons.said.setdefault(threading.get_ident(), [])
        said.clear()
        _print([_Fate(number, _problem(apprise, message, said))])

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(attempt, enumerate(messages)))


def _problem(apprise: Any, message: Message, said: Sequence[str]) -> str:
    target = apprise.Apprise()
    if not target.add(message.to):
        return "this is no URL of apprise"
    try:
        if target.notify(title=message.title, body=message.body, body_format=apprise.NotifyFormat.TEXT):
            return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return " ".join(" ".join(said).split()) or "the server did not take it"


_PRINTING = threading.Lock()


def _print(fates: Sequence[_Fate]) -> None:
    with _PRINTING:
        for fate in fates:
            sys.stdout.buffer.write(msgspec.json.encode(fate) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
