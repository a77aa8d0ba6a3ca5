"""Advice for whoever decides what a job gets: made of the published tables, on top of everything else."""
