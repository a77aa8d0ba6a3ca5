"""The command that lets through what the gate holds back."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from grt_batch.commands import Session, cli, options, text_table
from grt_batch.commands.ending import Ending
from grt_batch.commands.launching import launch_ranks
from grt_batch.commands.run import publish_run, words_of
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments
from grt_batch.ranks.word import FOLDER_VARIABLE


@cli.command()
@options("uploads", "database", "targets", "reports", "work", "modules-dir")
@click.option("--held", is_flag=True, help="Publish the last set that waits, or that of --as-of.")
@click.option("--discard", is_flag=True, help="Remove all held sets instead, or that of --as-of.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The date of a held set.")
@options("ranks")
@options("hosts")
@options("config", "debug")
@click.pass_context
def publish(
    context: click.Context,
    uploads: Path | None,
    database: str | None,
    targets: tuple[str, ...],
    reports: Path | None,
    work: Path | None,
    modules_dir: str | None,
    held: bool,
    discard: bool,
    as_of: datetime | None,
    ranks: int | None,
    hosts: str | None,
    config_file: Path | None,
    debug: bool,
) -> int:
    """Let through what the gate holds back: run again with the same options, and publish unless it finds something new
    or worse. Then say whether the rows are those that were held; held sets up to that date are removed."""
    if held == discard:
        raise BadArguments(command="publish", what="it needs --held or --discard")
    places = {"uploads": uploads, "database": database, "reports": reports, "work": work, "modules_dir": modules_dir}
    config = load(config_file, {**places, "hosts": hosts})
    session = context.ensure_object(Session)
    if held:
        session.ending = Ending(config, is_rank_of_launch=FOLDER_VARIABLE in os.environ)
    coordinator = session.coordinator
    if held and ranks is not None and coordinator is None:
        return launch_ranks(context, config, ranks)
    from grt_batch.differences import held as holding
    from grt_batch.differences import writing
    from grt_batch.differences.report_sets import compare_sets
    from grt_batch.pipeline.gate import Gate, known_tables
    from grt_batch.pipeline.request import RunRequest, new_run_id
    from grt_batch.sinks.report_set import DOCUMENTS

    if discard:
        for each in holding.held_sets(config.reports):
            if as_of is None or each.as_of == as_of.date():
                holding.discard(each)
        return 0
    it = holding.held_set(config.reports, as_of.date() if as_of else None)
    started = datetime.now(UTC).replace(tzinfo=None)
    request = RunRequest(
        config=config,
        as_of=it.as_of,
        modules=it.modules,
        instances=it.instances,
        targets=words_of(config, targets, ())[0],
        forget=it.forget,
        without_cold=it.without_cold,
        ranks=coordinator.transport.size if coordinator else 1,
        run_id=new_run_id(started),
        started=started,
    )
    with_documents = (it.folder / DOCUMENTS).is_dir()
    code = publish_run(request, coordinator, Gate(it.findings), with_documents=with_documents, debug=debug)
    found = compare_sets(it.folder, config.reports / it.as_of.isoformat(), known_tables(config))
    if found.rows.height:
        click.echo(text_table(*writing.as_table(found, "table")))
        click.echo(f"more came since it was held: {writing.summary(found, 'table')}")
    else:
        click.echo("the rows are those that were held")
    for each in holding.held_sets(config.reports):
        if each.as_of <= it.as_of:
            holding.discard(each)
    return code
