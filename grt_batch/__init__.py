"""The batch half of the Galactic Radio Telescope: job archives in, tables and TSV reports out."""

from __future__ import annotations

__version__ = "0.1.0"
