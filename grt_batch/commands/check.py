"""The command that validates uploads without a database."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import FOLDER, cli, options
from grt_batch.core.config_file import load


@cli.command()
@click.argument("folder", type=FOLDER)
@options("config", "debug")
def check(folder: Path, config_file: Path | None, debug: bool) -> int:
    """Validate the uploads below FOLDER without a database: what would be published, rejected or quarantined."""
    from grt_batch.uploads.scan import scan
    from grt_batch.verify.archives import check_archive

    config = load(config_file)
    uploads = scan(folder, settle_seconds=config.settle_seconds)
    bad = False
    for instance in uploads.instances:
        if instance.metadata.problem:
            click.echo(f"{instance.instance_id}: {instance.metadata.problem}")
        for archive in instance.archives:
            verdict = check_archive(archive, config)
            bad |= verdict.quarantined
            told = "; ".join([verdict.text, *archive.doubts])
            click.echo(f"{archive.instance_id}/{archive.name}: {told}")
    for instance_id, reason in uploads.unreadable.items():
        click.echo(f"{instance_id}: {reason}")
    for line in uploads.passed_over:
        click.echo(f"passed over: {line}")
    return 1 if bad or uploads.unreadable else 0
