"""This program and what one would use instead, side by side in one run: `python -m bench --help`."""
