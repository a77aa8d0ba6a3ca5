"""The commands for instances and their keys."""

from __future__ import annotations

from grt_batch.commands import cli


@cli.group()
def instance() -> None:
    """Manage the instances: their folders, what they say of themselves, and their keys."""
