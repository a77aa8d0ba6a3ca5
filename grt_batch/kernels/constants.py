"""Constants that compiled and plain code share."""

from __future__ import annotations

STEP_BITS = 6


STEPS = 1 << STEP_BITS
"""Bins for each power of two."""


BINS = (64 - STEP_BITS) * STEPS
"""The number of bins for the integers from 0 to 2^63 - 1."""


ODD, TEXT, REFERENCES = 0, 1, 2
"""The kinds of parameter values: for the full parser, a text or number, references to datasets."""
