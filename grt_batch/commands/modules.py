"""The command that lists the modules."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options
from grt_batch.core.config_file import load


@cli.command()
@options("modules-dir", "config", "debug")
def modules(modules_dir: str | None, config_file: Path | None, debug: bool) -> None:
    """List the modules: what each answers, and its tables."""
    from grt_batch.documents import making as documents
    from grt_batch.modules.registry import discover
    from grt_batch.pages import making as pages
    from grt_batch.sinks.report_set import DOCUMENTS, PAGES

    config = load(config_file, {"modules_dir": modules_dir})
    for name, module in discover(config.modules_dir).items():
        click.echo(f"{name}{' (opt-in)' if module.opt_in else ''}: {' '.join((module.__doc__ or '').split())}")
        click.echo(f"    tables: {', '.join(table.name for table in module.tables)}")
    click.echo(f"{PAGES}: {pages.QUESTION}")
    click.echo("    made of the tables; left out with --no-html")
    click.echo(f"{DOCUMENTS} (opt-in): {documents.QUESTION}")
    click.echo("    made of the tables; sent with grt-batch documents --load URL")
