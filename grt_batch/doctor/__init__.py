"""Examination of an installation, for `grt-batch doctor`."""
