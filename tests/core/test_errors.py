"""Every error says in one line what happened and what to do, also where Python drops docstrings."""

from __future__ import annotations

import dataclasses
import os
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

from grt_batch.core import errors
from grt_batch.core.errors import GrtError


def every(parent: type[GrtError] = GrtError) -> Iterator[type[GrtError]]:
    """All error classes of the program below `parent`."""
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from every(child)


ALL = sorted(every(), key=lambda error: error.__name__)
each = pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)


def example(error: type[GrtError]) -> GrtError:
    """An instance whose fields hold their own names."""
    return error(**{name: f"<{name}>" for name in names(error)})


def names(error: type[GrtError]) -> set[str]:
    return {field.name for field in dataclasses.fields(error)}


WITHOUT_DOCSTRINGS = """
import dataclasses
from grt_batch.core.errors import GrtError

for error in GrtError.__subclasses__():
    print(error(**{field.name: f"<{field.name}>" for field in dataclasses.fields(error)}))
"""


def test_messages_are_the_same_without_docstrings() -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-c", WITHOUT_DOCSTRINGS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str(example(error)) for error in GrtError.__subclasses__()]


@each
def test_a_message_names_all_its_fields_on_one_line_and_says_what_to_do(error: type[GrtError]) -> None:
    used = {name for text in (error.message, error.remedy) for _, name, _, _ in string.Formatter().parse(text) if name}
    assert used == names(error)
    line = str(example(error))
    assert "\n" not in line
    assert all(f"<{name}>" in line for name in names(error))
    assert error.message.endswith((".", "?")) and error.remedy.endswith(".")


@each
def test_exit_codes_are_those_of_the_contract(error: type[GrtError]) -> None:
    assert error.exit_code in range(2, 8)


def test_an_error_keeps_its_fields() -> None:
    error = errors.CannotWrite(folder=Path("reports"), what=OSError("no space"))
    assert (error.folder, str(error.what)) == (Path("reports"), "no space")
    assert error != errors.CannotWrite(folder=error.folder, what=error.what)
    assert {error}


@pytest.mark.parametrize("fields", [{}, {"what": "x", "nothing": 1}], ids=["missing", "unknown"])
def test_an_error_takes_its_own_fields_only(fields: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        errors.RankLost(**fields)  # type: ignore[arg-type]


def test_quotes_of_an_archive_cannot_steer_a_terminal() -> None:
    assert errors.Quarantine("it has\n\x1b[31m red").reason == "it has \\x1b[31m red"
