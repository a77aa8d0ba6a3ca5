"""The batch half of the Galactic Radio Telescope: job archives in, tables and TSV reports out."""

__version__ = "0.1.0"
