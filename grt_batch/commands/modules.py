"""The command that lists the modules."""

from __future__ import annotations

import click

from grt_batch.commands import cli


@cli.command()
def modules() -> None:
    """List the modules: what each answers, and its tables."""
    from grt_batch.modules.registry import discover

    for name, module in discover().items():
        click.echo(f"{name}{' (opt-in)' if module.opt_in else ''}: {' '.join((module.__doc__ or '').split())}")
        click.echo(f"    tables: {', '.join(table.name for table in module.tables)}")
