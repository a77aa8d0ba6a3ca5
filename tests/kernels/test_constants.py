"""Constants that compiled and plain code share fit together."""

from __future__ import annotations

from grt_batch.kernels.constants import BINS, ODD, REFERENCES, STEP_BITS, STEPS, TEXT


def test_there_is_a_bin_for_every_number_up_to_2_to_63() -> None:
    """Numbers below STEPS have a bin each, and so has every step of the powers of two from there."""
    assert 2**STEP_BITS == STEPS
    assert STEPS + sum(STEPS for bit in range(63) if 2**bit >= STEPS) == BINS


def test_the_kinds_of_values_differ() -> None:
    assert len({ODD, TEXT, REFERENCES}) == 3
