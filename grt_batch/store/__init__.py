"""The partial results of earlier runs, and the index of the archives that they belong to."""
