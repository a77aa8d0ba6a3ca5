"""The command that shows the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from grt_batch.commands import cli, database_of, options, or_what_is_held, text_table
from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.config_values import ALARMS
from grt_batch.core.errors import NothingPublished


def _kinds(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(kind.strip() for kind in text.split(","))) if text is not None else ()
    unknown = [kind for kind in given if kind not in ALARMS]
    if unknown:
        raise click.BadParameter(f"there is no {unknown[0]!r}, choose of: {', '.join(ALARMS)}")
    return given


@cli.command()
@click.option(
    "--fail-if",
    "kinds",
    metavar="KIND,…",
    callback=_kinds,
    help="Show only what is wrong of these kinds, a line for each, and end with 1 if anything is:"
    f" {', '.join(ALARMS)}. Needs no database.",
)
@options("uploads", "database", "reports", "work", "config", "debug")
def status(
    kinds: tuple[str, ...],
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> int:
    """Show the ledger: instances, archives, unpublished, removed, replaced and doubtful archives, the last runs,
    what became of each target, what lies in cold storage, and what the gate holds back."""
    config = load(config_file, {"uploads": uploads, "database": database, "reports": reports, "work": work})
    if kinds:
        return _alarms(config, kinds)
    from grt_batch.differences.findings import told
    from grt_batch.differences.held import held_sets
    from grt_batch.monitoring.published import Published
    from grt_batch.queries.ledger import doubtful, ledger_of
    from grt_batch.queries.storage import storage_of
    from grt_batch.store.archive_index import ArchiveIndex

    replaced = sorted(map(list, ArchiveIndex(config.work, config.uploads).replaced()))
    with or_what_is_held(config), database_of(config, borrow=True) as url:
        parts = [*ledger_of(url), ("replaced", ["instance_id", "archive", "when"], replaced)]
    parts += [(title, ["instance_id", "archive", "what"], rows) for title, rows in doubtful(config).items()]
    parts += storage_of(config)
    held = [
        [str(held.as_of), held.run_id, "a later run has published" if held.settled else "waits", told(held.findings)]
        for held in held_sets(config.reports)
    ]
    targets = [[name, "published" if why is None else why] for name, why in Published(config.reports).targets().items()]
    parts.append(("targets", ["target", "last run"], targets))
    parts.append(("held", ["as_of", "run_id", "state", "why"], held))
    for title, columns, rows in parts:
        click.echo(f"{title}: {'none' if not rows else ''}".rstrip())
        if rows:
            click.echo(text_table(columns, rows))
        click.echo()
    return 0


def _alarms(config: Config, kinds: Sequence[str]) -> int:
    """Show what is wrong of these kinds, and return the exit code."""
    from grt_batch.monitoring.alarms import alarms
    from grt_batch.monitoring.outcome import last
    from grt_batch.monitoring.published import Published

    ending = last(config.work)
    if ending is None and not Published(config.reports).summary:
        raise NothingPublished(reports=config.reports)
    found = [alarm for alarm in alarms(config, ending) if alarm.kind in kinds]
    # An instance at level 3 is at level 2, too: it is shown once.
    for line in dict.fromkeys(f"{alarm.kind}: {alarm.what}" for alarm in found):
        click.echo(line)
    if not found:
        click.echo(f"ok: nothing is {' or '.join(kinds)}")
    return 1 if found else 0
