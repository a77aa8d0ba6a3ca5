"""The command that shows what a run would do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grt_batch.commands import cli, options, text_table
from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.wording import counted

if TYPE_CHECKING:
    from grt_batch.pipeline.planned import Planned


@cli.command()
@options("uploads", "reports", "work", "modules-dir")
@click.option("--instance", "instances", multiple=True, metavar="ID", help="Only this instance; may be repeated.")
@options("config")
@click.option(
    "--print",
    "form",
    type=click.Choice(["table", "json", "ranks", "minutes"]),
    default="table",
    show_default=True,
    help="All of it, or only the ranks or minutes that are advised.",
)
@options("debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
def plan(
    uploads: Path | None,
    reports: Path | None,
    work: Path | None,
    modules_dir: str | None,
    instances: tuple[str, ...],
    config_file: Path | None,
    form: str,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Say what a run would do and why, how many bytes it would read, and the ranks and time that this suggests."""
    config = load(config_file, {"uploads": uploads, "reports": reports, "work": work, "modules_dir": modules_dir})
    return show_plan(config, instances, modules, form)


def show_plan(
    config: Config,
    instances: tuple[str, ...],
    modules: tuple[str, ...],
    form: str,
    *,
    forget: bool = False,
    again: Collection[str] | None = (),
    as_of: date = date.max,
) -> int:
    """Print what a run would do: as a table, as JSON, or only the advised ranks or minutes.

    The instances in `again` are asked for from the raw archives; None stands for all instances.
    """
    from grt_batch.commands.made import names_of_modules
    from grt_batch.modules.registry import chosen
    from grt_batch.pipeline.cost_model import advise, model_of
    from grt_batch.pipeline.plan import find_uploads, survey
    from grt_batch.pipeline.unreadable import named, names_of, to_thaw
    from grt_batch.store.archive_index import ArchiveIndex
    from grt_batch.store.store import Store
    from grt_batch.uploads.thawing import thawing_of

    index = ArchiveIndex(config.work, config.uploads)
    uploads = find_uploads(config, index, instances, forget=forget)
    planned = survey(
        uploads,
        Store(config.work / "store"),
        index,
        config,
        chosen(names_of_modules(modules), config.modules_dir),
        as_of,
    )
    cold = to_thaw(planned, again)
    thawing = thawing_of(cold)
    planned = [item for item in planned if not instances or item.archive.instance_id in instances]
    advice = advise(planned, config, model_of(config.reports))
    if form in ("ranks", "minutes"):
        click.echo(getattr(advice, form))
        return 0
    rows = [_plan_row(item) for item in planned]
    if form == "json":
        import orjson

        document = {"archives": rows, "advice": advice, "passed_over": uploads.passed_over}
        document["unreadable"] = uploads.unreadable
        document["to_thaw"] = {"archives": names_of(cold), **thawing.as_json()}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return 0
    click.echo(text_table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]))
    for instance_id, reason in uploads.unreadable.items():
        click.echo(f"{instance_id}: {reason}")
    for line in uploads.passed_over:
        click.echo(f"passed over: {line}")
    if index.damaged:
        click.echo(f"damaged: {index.file}; it is not known any more which archives were removed")
    if cold:
        click.echo(f"in cold storage, and would have to be read ({named(cold)}): {thawing}")
        click.echo("a run ends with code 2: see grt-batch restore, or run --without-cold")
    click.echo(
        f"about {counted(advice.seconds, 'second')} for {counted(advice.bytes_to_read, 'byte')} to read;"
        f" advised: --ranks {advice.ranks}, {counted(advice.minutes, 'minute')} of a batch system"
    )
    return 0


def _plan_row(item: Planned) -> dict[str, Any]:
    archive = item.archive
    return {
        "instance": archive.instance_id,
        "archive": archive.name,
        "state": item.step.value,
        "bytes": archive.bytes,
        "why": item.why,
    }
