"""The commands that advise what jobs should be given."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import cli, database_of, options, text_table
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments
from grt_batch.core.wording import counted

if TYPE_CHECKING:
    from grt_batch.advice.advice import Advice
    from grt_batch.advice.rule import Rule
    from grt_batch.advice.tools_file import ToolsFile


@cli.group()
def advise() -> None:
    """Advise what jobs should be given, from what they needed."""


_SHARE, _GIB = click.FloatRange(0, 1), click.FloatRange(0, min_open=True)


@advise.command()
@click.option("--instance", metavar="ID", help="Only what was measured on this instance.  [default: on all]")
@click.option(
    "--current",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A tools.yml, which is changed where the evidence says so and keeps its order and comments.",
)
@click.option(
    "--tools", "pattern", metavar="PATTERN", default="", help="Only tools with this regular expression in the id."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "tsv", "json"]),
    default="yaml",
    show_default=True,
    help="yaml is tools.yml; the others list all tools that were measured, also those without an advice.",
)
@click.option("--percentile", type=click.FloatRange(1, 100), default=95, show_default=True, help="Of jobs that fit.")
@click.option("--margin", type=click.FloatRange(0), default=0.15, show_default=True, help="Share that is added.")
@click.option("--floor", type=_GIB, default=3.8, show_default=True, help="Least memory, in GiB.")
@click.option("--cap", type=_GIB, default=math.inf, help="Most memory, in GiB.  [default: none]")
@click.option("--min-jobs", type=click.IntRange(1), default=20, show_default=True, help="Fewer jobs are no evidence.")
@click.option(
    "--killed-factor",
    type=click.FloatRange(1),
    default=1.2,
    show_default=True,
    help="A job that was killed for memory counts with so many times what it came to.",
)
@click.option(
    "--killed-share",
    type=_SHARE,
    default=0.05,
    show_default=True,
    help="Where more of the jobs were killed for memory, nothing is lowered.",
)
@click.option("--any-fall", is_flag=True, help="Lower values by more than a factor of 3, too.")
@click.option(
    "--least-saving",
    type=_SHARE,
    default=0.2,
    show_default=True,
    help="The share of the memory-hours that a lower value, or rules by size, must save.",
)
@click.option(
    "--max-rules", type=click.IntRange(1), default=4, show_default=True, help="By size, and by version; 1 is none."
)
@options("database", "work", "config", "debug")
def tpv(
    instance: str | None,
    current: Path | None,
    pattern: str,
    form: str,
    percentile: float,
    margin: float,
    floor: float,
    cap: float,
    min_jobs: int,
    killed_factor: float,
    killed_share: float,
    any_fall: bool,
    least_saving: float,
    max_rules: int,
    database: str | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Print a tools.yml for Total Perspective Vortex: memory and cores for each tool, from what its jobs needed.

    With --current the differences are printed to standard error. docs/advice.md explains the rule.
    """
    from grt_batch.advice import listing
    from grt_batch.advice.advice import advise as advice_for
    from grt_batch.advice.evidence import read
    from grt_batch.advice.rule import Rule
    from grt_batch.advice.tools_file import ToolsFile
    from grt_batch.advice.tools_yml import written

    try:
        tools = re.compile(pattern)
    except re.error as error:
        what = f"--tools {pattern!r} is no regular expression: {error}"
        raise BadArguments(command="advise tpv", what=what) from None
    rule = Rule(
        percentile=percentile,
        margin=margin,
        floor=floor,
        cap=cap,
        min_jobs=min_jobs,
        killed_factor=killed_factor,
        killed_share=killed_share,
        most_fall=math.inf if any_fall else Rule.most_fall,
        least_saving=least_saving,
        max_steps=max_rules,
    )
    config = load(config_file, {"database": database, "work": work})
    file = ToolsFile(current) if current else None
    with database_of(config, borrow=True) as url:
        found = read(url, instance, tools)
    advices = advice_for(found, rule, file.settled if file else None)
    if form != "yaml":
        click.echo({"tsv": listing.as_tsv, "json": listing.as_json}[form](advices), nl=False)
    elif file:
        click.echo(file.changed(advices, rule), nl=False)
        _show_differences(file, advices, rule)
    else:
        click.echo(written(advices, rule), nl=False)
    _show_what_is_missing(advices)


def _show_differences(file: ToolsFile, advices: Sequence[Advice], rule: Rule) -> None:
    """Say what was changed, what that does, and what was left alone."""
    from grt_batch.advice.listing import differences, effect
    from grt_batch.schema.tool_ids import Tool, told_apart

    shown = told_apart([Tool(advice.evidence.tool_id) for advice in advices])
    changes = [
        (shown[Tool(advice.evidence.tool_id)], advice, change)
        for advice in advices
        if (change := file.change_of(advice, rule))
    ]
    if changes:
        _show(text_table(*differences(changes)))
    before, now = effect(changes)
    share = f" ({100 * (1 - now / before):.0f} % less)" if 0 < now <= before else ""
    _show(f"{counted(len(changes), 'entry', 'entries')} changed: {before:.4g} -> {now:.4g} GiB hours{share}")
    for advice in advices:
        entry = file.entries.get(advice.evidence.tool_id)
        if entry and entry.closed and advice.memory:
            _show(f"left alone: {entry.key}: {entry.closed}")
    others = sum(advice.memory is not None and advice.evidence.tool_id not in file.entries for advice in advices)
    if others:
        _show(f"{counted(others, 'tool')} with an advice have no entry there; without --current all are written")


def _show_what_is_missing(advices: Sequence[Advice]) -> None:
    without = [advice.why for advice in advices if advice.why]
    reasons = ", ".join(f"{counted(without.count(why), 'tool')} with {why}" for why in sorted(set(without)))
    if not advices:
        _show("no such tool has jobs whose memory was measured")
    elif without:
        _show(f"without an advice: {reasons}")


def _show(text: str) -> None:
    click.echo(text, err=True)
