"""The command that examines the installation."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options


@cli.command()
@options("uploads", "database", "reports", "work", "config")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text has a line for each finding, json an object.",
)
@options("debug")
def doctor(
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    config_file: Path | None,
    form: str,
    debug: bool,
) -> int:
    """Examine versions, MPI, the database, folders and the configuration, and say what to do about each problem.

    The text shows no passwords and can be pasted into a request for help. The exit code is that of a run.
    """
    from grt_batch.doctor.examination import as_json, as_text, examine
    from grt_batch.doctor.findings import exit_code

    findings = examine(config_file, {"uploads": uploads, "database": database, "reports": reports, "work": work})
    click.echo(as_json(findings).encode() if form == "json" else as_text(findings))
    return exit_code(findings)
