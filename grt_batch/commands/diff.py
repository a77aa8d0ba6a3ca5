"""The command that compares report sets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import Session, cli, database_of, options, or_what_is_held, text_table
from grt_batch.commands.launching import launch_ranks
from grt_batch.core.config import Config
from grt_batch.core.config_file import load

if TYPE_CHECKING:
    from datetime import date

    from grt_batch.differences.report_sets import Differences
    from grt_batch.ranks.coordinator import Coordinator


@cli.command()
@options("uploads", "database", "reports", "work", "modules-dir")
@click.option("--by", type=click.Choice(["row", "table"]), default="row", show_default=True, help="What is listed.")
@click.option(
    "--ratio",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Leave out numbers that changed by no more than this part of the greater one.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "tsv", "json"]),
    default="table",
    show_default=True,
    help="table shows the worst rows on a screen; the others are complete.",
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Of the run that would publish.  [default: today]")
@click.option("--ranks", type=click.IntRange(min=1), help="Start this many ranks under mpirun for that run.")
@options("hosts")
@options("config", "debug")
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.pass_context
def diff(
    context: click.Context,
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    modules_dir: str | None,
    by: str,
    ratio: float,
    form: str,
    as_of: datetime | None,
    ranks: int | None,
    hosts: str | None,
    config_file: Path | None,
    debug: bool,
    a: str | None,
    b: str | None,
) -> int:
    """Show the rows that came, went or changed from the report set A to B, the worst first: where most of their table
    differs. Each is a date, latest, held, or a folder. Without B, A is compared with what is published (latest);
    without both, that is compared with what a run would publish now. The exit code is 1 if any row differs."""
    places = {"uploads": uploads, "database": database, "reports": reports, "work": work, "modules_dir": modules_dir}
    config = load(config_file, {**places, "hosts": hosts})
    coordinator = context.ensure_object(Session).coordinator
    if a is None and ranks is not None and coordinator is None:
        return launch_ranks(context, config, ranks)
    from grt_batch.differences import writing

    if a is None:
        now = datetime.now(UTC).replace(tzinfo=None)
        found = _of_run(config, (as_of or now).date(), ratio, coordinator, debug=debug)
    else:
        found = _of_sets(config, a, b, ratio)
    if form == "json":
        click.echo(writing.as_json(found, by), nl=False)
    elif form == "tsv":
        for line in writing.as_tsv(found, by):
            click.echo(line, nl=False)
    else:
        titles, rows = writing.as_table(found, by)
        click.echo("\n".join([*([text_table(titles, rows)] if rows else []), writing.summary(found, by)]))
    return 1 if found.rows.height else 0


def _of_sets(config: Config, a: str, b: str | None, ratio: float) -> Differences:
    """Compare two report sets."""
    from grt_batch.differences.report_sets import compare_sets, find_set, unknown_tables
    from grt_batch.pipeline.gate import known_tables
    from grt_batch.sinks.report_set import LATEST

    with or_what_is_held(config):
        before, after = find_set(config.reports, a), find_set(config.reports, b or LATEST)
    tables = known_tables(config)
    unknown = unknown_tables((before, after), tables)
    if unknown:
        click.echo(f"not compared, since no module has such a table: {', '.join(unknown)}", err=True)
    return compare_sets(before, after, tables, ratio)


def _of_run(config: Config, as_of: date, ratio: float, coordinator: Coordinator | None, *, debug: bool) -> Differences:
    """Compare what is published with what a run would publish."""
    from grt_batch.core.logs import set_up
    from grt_batch.core.work_folder import lock, set_umask
    from grt_batch.directory.people import remembered_people
    from grt_batch.pipeline.executor import SerialExecutor
    from grt_batch.pipeline.preview import preview
    from grt_batch.pipeline.request import RunRequest
    from grt_batch.ranks.messages import RunSettings

    set_umask(config)
    set_up("text", "preview", 0, "coordinator" if coordinator else "serial")
    if coordinator is not None:
        coordinator.settings = RunSettings("preview", debug=debug)
    request = RunRequest(config, as_of, without_cold=True, run_id="preview")
    with lock(config.work):
        return preview(
            request,
            coordinator or SerialExecutor(),
            lambda: database_of(config, borrow=True),
            ratio,
            remembered_people(config),
        )
