"""The command that compares the published tables with the raw archives."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import FOLDER, Session, cli, database_of, options, text_table
from grt_batch.commands.launching import launch_ranks
from grt_batch.core.config_file import load


@cli.command()
@options("uploads", "database", "reports", "work")
@click.option("--scratch", type=FOLDER, help="Where to compute, in a folder of its own.  [default: the work folder]")
@options("ranks")
@options("hosts")
@options("config", "debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.pass_context
def verify(
    context: click.Context,
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    scratch: Path | None,
    ranks: int | None,
    hosts: str | None,
    config_file: Path | None,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Compute the last published run again from the raw archives, and compare its tables, without changing them.
    MODULEs are those of that run, or some of them. The exit code is 1 if a table differs."""
    places = {"uploads": uploads, "database": database, "reports": reports, "work": work}
    config = load(config_file, {**places, "hosts": hosts})
    coordinator = context.ensure_object(Session).coordinator
    if ranks is not None and coordinator is None:
        return launch_ranks(context, config, ranks)
    from grt_batch.core.logs import set_up
    from grt_batch.core.work_folder import keep_kernels_in, lock
    from grt_batch.directory.people import remembered_people
    from grt_batch.pipeline.executor import SerialExecutor
    from grt_batch.ranks.messages import RunSettings
    from grt_batch.verify.comparison import SAME
    from grt_batch.verify.verification import verify_published as compare

    keep_kernels_in(config.work)
    set_up("text", "verification", 0, "coordinator" if coordinator else "serial")
    if coordinator is not None:
        coordinator.settings = RunSettings("verification", debug=debug)
    with lock(config.work), database_of(config, borrow=True) as url:
        people = remembered_people(config)
        verdict = compare(config, url, coordinator or SerialExecutor(), modules, scratch, people)
    names = {**verdict.reports, **verdict.database}
    rows = [[name, verdict.reports.get(name, "-"), verdict.database.get(name, "-")] for name in names]
    click.echo(text_table(["table", "reports", "database"], rows))
    for note in verdict.notes:
        click.echo(f"note: {note}")
    result = (
        f"{len(verdict.different)} of {len(names)} differ" if verdict.different else f"all {len(names)} are the {SAME}"
    )
    click.echo(f"run {verdict.run_id}, as of {verdict.as_of}: {result}")
    return 1 if verdict.different else 0
