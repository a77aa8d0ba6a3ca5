"""The command that says whether what is published is still what the raw archives say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import FOLDER, cli, database_of, options, text_table
from grt_batch.commands.run import without_ranks
from grt_batch.core.config import load
from grt_batch.core.errors import SIGNALLED, Stopped

if TYPE_CHECKING:
    from grt_batch.ranks.coordinator import Coordinator


_PROGRAM = ("-m", "grt_batch.cli", "verify")


@cli.command()
@options("uploads", "database", "reports", "work")
@click.option("--scratch", type=FOLDER, help="Where to compute, in a folder of its own.  [default: the work folder]")
@click.option("--ranks", type=click.IntRange(min=1), help="Start that many ranks under mpirun.")
@options("config", "debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.pass_obj
def verify(
    coordinator: Coordinator | None,
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    scratch: Path | None,
    ranks: int | None,
    config_file: Path | None,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Compute the last published run again from the raw archives, compare its tables, and change nothing. MODULEs
    are those of that run, or some of them. Exit code 1 where something differs."""
    config = load(config_file, {"uploads": uploads, "database": database, "reports": reports, "work": work})
    if ranks is not None and coordinator is None:
        from grt_batch.core.work_folder import set_umask
        from grt_batch.ranks.launcher import launch

        set_umask(config)
        code = launch(
            ranks,
            without_ranks(sys.argv[2:]),
            config.work,
            config.heartbeat_seconds,
            program=_PROGRAM,
            fault_tolerant=config.fault_tolerant,
        )
        if code > SIGNALLED:
            raise Stopped(code - SIGNALLED)
        return code
    from grt_batch.core.logs import set_up
    from grt_batch.core.work_folder import lock
    from grt_batch.pipeline.executor import SerialExecutor
    from grt_batch.verify.comparison import SAME
    from grt_batch.verify.verification import verify_published as compare

    set_up("text", "verification", 0, "coordinator" if coordinator else "serial")
    if coordinator is not None:
        coordinator.run_id = "verification"
    with lock(config.work), database_of(config, borrow=True) as url:
        verdict = compare(config, url, coordinator or SerialExecutor(), modules, scratch)
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
