"""Constants that compiled and plain code share."""

from __future__ import annotations

STEP_BITS = 6


STEPS = 1 << STEP_BITS
"""Bins for each power of two."""


BINS = (64 - STEP_BITS) * STEPS
"""The number of bins for the integers from 0 to 2^63 - 1."""


ODD, TEXT, REFERENCES = 0, 1, 2
"""The kinds of parameter values: for the full parser, a text or number, references to datasets."""


LEVELS = 16
"""What is below more levels of objects and lists in a parameter stays JSON."""


MOST_NAMES_BYTES = 1 << 14
"""Values whose leaves have longer names, all together, are for the full parser, which looks whether they stay JSON."""


KEY_BYTES = 512
"""The greatest length of tools, versions, states, file types and names, in UTF-8. They are keys of tables, and a
database cannot index long texts. Galaxy allows 255 characters. Longer ones are shortened outside of the kernels.
"""
