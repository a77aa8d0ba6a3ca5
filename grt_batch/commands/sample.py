"""The command that writes sample uploads."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from grt_batch.commands import FOLDER, cli, options
from grt_batch.core.wording import counted


@cli.command()
@click.argument("folder", type=FOLDER)
@click.option("--instances", default=4, show_default=True, type=click.IntRange(min=1), help="Galaxy servers.")
@click.option("--archives", default=3, show_default=True, type=click.IntRange(min=1), help="Archives of each.")
@click.option("--jobs", default=100_000, show_default=True, type=click.IntRange(min=1), help="Job lines, in all.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Equal seeds, equal bytes.")
@options("debug")
def sample(folder: Path, instances: int, archives: int, jobs: int, seed: int, debug: bool) -> None:
    """Write sample uploads into FOLDER."""
    write_uploads(folder, instances, archives, jobs, seed)


def write_uploads(folder: Path, instances: int, archives: int, jobs: int, seed: int) -> date:
    """Write sample uploads, print a summary, and return their last day."""
    from grt_batch.sample import UNTIL, write_sample

    summary = write_sample(folder, instances=instances, archives=archives, jobs=jobs, seed=seed)
    click.echo(
        f"{counted(summary.jobs, 'job')} in {counted(summary.archives, 'archive')} of"
        f" {counted(summary.instances, 'instance')} written to {folder}"
        f" ({summary.bytes} bytes of tar.gz, {summary.text_bytes} of text)"
    )
    return UNTIL
