"""The command that prints what is known of runs and instances, for Prometheus."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options
from grt_batch.core.config_file import load


@cli.command()
@options("reports", "work", "config", "debug")
def metrics(reports: Path | None, work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Print metrics of the last run and of each instance, in Prometheus' text format."""
    from grt_batch.differences.held import only_held
    from grt_batch.monitoring.metrics import metrics_text

    config = load(config_file, {"reports": reports, "work": work})
    click.echo(metrics_text(config), nl=False)
    if held := only_held(config.reports):
        click.echo(f"grt-batch: {held}", err=True)
