"""Constants that compiled and plain code share."""

from __future__ import annotations

STEP_BITS = 6


STEPS = 1 << STEP_BITS
"""Bins of a power of two."""


BINS = (64 - STEP_BITS) * STEPS
"""All bins, from 0 on: those of the integers from 0 to 2^63 - 1."""


ODD, TEXT, REFERENCES = 0, 1, 2
"""The kinds of a parameter's value: one for the full parser, a text or number, references to datasets."""
