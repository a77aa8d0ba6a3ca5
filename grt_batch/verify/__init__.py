"""Checks that the published tables are what the raw archives say."""
