"""What there is to compile."""

from __future__ import annotations

from grt_batch.kernels import fields, words
from grt_batch.kernels.source import Instruction, Source


def test_a_source_is_known_by_its_file_and_keeps_what_is_said_of_it() -> None:
    assert isinstance(fields.newlines, Source)
    assert (fields.newlines.name, fields.newlines.inline) == ("fields.newlines", False)
    assert fields.newlines.__doc__ == fields.newlines.function.__doc__
    assert isinstance(fields.split, Source)
    assert fields.split.inline


def test_an_instruction_says_what_it_computes() -> None:
    assert isinstance(words.load64, Instruction)
    assert words.load64.result == "uint64"
