"""Questions to an LDAP server, from a process of their own: a server that does not answer cannot hold a run up.

The process reads the question from standard input, so that no password is in `ps`. It prints a line for each answer
once it is known.
"""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from grt_batch.directory.settings import PLACEHOLDER, Directory

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
"""The characters of a name that stand in a filter as they are."""


_SUCCESS, _SIZE_LIMIT = 0, 4
"""Result codes (RFC 4511, 4.1.9)."""


_LONGEST = 300
"""Characters of a problem that are told."""


_CERTIFICATE = re.compile(r" \{.*\}")


class Answer(msgspec.Struct, frozen=True):
    """What the directory has of an owner: the number of `entries`, at most 2, and of a single one its name and mail,
    None where it lacks them. With a `problem` nothing is known; without an owner, of nobody who has no answer."""

    owner: str = ""
    entries: int = 0
    name: str | None = None
    mail: str | None = None
    problem: str = ""


class _Question(msgspec.Struct, frozen=True):
    directory: Directory
    owners: Sequence[str]


def ask(directory: Directory, owners: Sequence[str], seconds: float) -> list[Answer]:
    """Return what the directory has of these owners. Without owners it is only asked whether it can be.

    What takes longer than so many seconds is given up; the last answer then tells the problem of those that are left.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=msgspec.json.encode(_Question(directory, owners)),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        said = " ".join(done.stderr.decode(errors="replace").split())[-_LONGEST:]
        told, ended = done.stdout, (said or "nothing said") if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        told, ended = error.stdout or b"", f"no answer within {seconds:g} s"
    except OSError as error:
        told, ended = b"", str(error)
    found = [answer for answer in map(_answer, told.splitlines()) if answer]
    return found if not ended or (found and found[-1].problem) else [*found, Answer(problem=ended)]


def _answer(line: bytes) -> Answer | None:
    try:
        return msgspec.json.decode(line, type=Answer)
    except msgspec.MsgspecError:
        return None


def filter_for(template: str, owner: str) -> str:
    """Return a filter for a name, whose characters cannot be read as anything else: all but a few are written as bytes
    (RFC 4515, 3)."""
    escaped = "".join(each if each in _PLAIN else "".join(f"\\{byte:02x}" for byte in each.encode()) for each in owner)
    return template.replace(PLACEHOLDER, escaped)


class _Refused(Exception):
    """The server did not do what it was asked for."""


def main() -> None:
    """Answer the question of standard input."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=_Question)
    try:
        for answer in _answers(question.directory, question.owners):
            _print(answer)
    except Exception as error:
        _print(Answer(problem=_said(error)))


def _answers(directory: Directory, owners: Sequence[str]) -> Iterator[Answer]:
    connection = _connected(directory)
    # What is wrong for every owner is said once.
    _search(connection, directory.base, filter_for(directory.filter, "x"), scope="BASE")
    for owner in owners:
        try:
            yield _looked_up(connection, directory, owner)
        except Exception as error:
            if connection.closed:
                raise
            yield Answer(owner, problem=_said(error))


def _connected(directory: Directory) -> Any:
    """Return a connection that may search. Whatever the server says, no other server gets the password."""
    import ldap3

    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=directory.ca_file or None)
    server = ldap3.Server(directory.url, tls=tls, get_info=ldap3.NONE)
    connection = ldap3.Connection(
        server,
        directory.bind or None,
        directory.password or None,
        auto_referrals=False,
        auto_escape=False,
        check_names=False,
        read_only=True,
    )
    try:
        connection.open()
        if directory.start_tls and not connection.start_tls():
            raise _Refused("it does not begin TLS")
    except ldap3.core.exceptions.LDAPException as error:
        # The exceptions of TLS wrap one another.
        raise _Refused(connection.last_error or error) from None
    if not connection.bind():
        raise _Refused(f"it refuses {directory.bind or 'anonymous questions'}: {_result(connection)}")
    return connection


def _looked_up(connection: Any, directory: Directory, owner: str) -> Answer:
    attributes = [directory.name_attribute, directory.mail_attribute]
    entries = _search(connection, directory.base, filter_for(directory.filter, owner), attributes, limit=2)
    if len(entries) != 1:
        return Answer(owner, len(entries))
    name, mail = (_value(entries[0], attribute) for attribute in attributes)
    return Answer(owner, 1, name, mail)


def _search(
    connection: Any, base: str, query: str, attributes: Sequence[str] = (), *, scope: str = "SUBTREE", limit: int = 0
) -> list[Any]:
    """Return the entries that match. Raise _Refused where the server has not looked."""
    connection.search(base, query, scope, attributes=list(attributes) or None, size_limit=limit)
    if connection.result["result"] not in (_SUCCESS, _SIZE_LIMIT):
        raise _Refused(f"it does not search below {base!r}: {_result(connection)}")
    # Other responses refer to other servers, which are not asked.
    return [each for each in connection.response or () if each["type"] == "searchResEntry"]


def _value(entry: Any, attribute: str) -> str | None:
    """Return the first in order of the texts of an attribute, since a directory has them in none."""
    values = next((them for name, them in entry["raw_attributes"].items() if name.lower() == attribute.lower()), ())
    return min(filter(None, map(_text, values)), default=None)


def _text(value: bytes) -> str | None:
    """Return a value as text on one line, None for one that is no text."""
    try:
        # PostgreSQL has no NUL.
        return " ".join(value.decode().replace("\0", "\ufffd").split())
    except UnicodeDecodeError:
        return None


def _result(connection: Any) -> str:
    result = connection.result
    said = [result["description"], result["message"], *(result.get("referrals") or ())]
    return " ".join(filter(None, said))


def _said(error: Exception) -> str:
    """Return an error on one line, without a whole certificate."""
    return _CERTIFICATE.sub("", " ".join(str(error).split()))[:_LONGEST] or type(error).__name__


def _print(answer: Answer) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
