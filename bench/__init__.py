"""Compares this program with its alternatives in one run: `python -m bench --help`."""
