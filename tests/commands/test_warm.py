"""The command that compiles the kernels."""

from __future__ import annotations

from calling import Answer, Call


def test_warm_compiles(call: Call) -> None:
    assert call("warm") == Answer(0, "", "")
