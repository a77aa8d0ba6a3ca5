"""Start a command again under mpirun, with the options that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from grt_batch.core.config import Config
from grt_batch.core.errors import RankLost
from grt_batch.core.wording import counted


def launch_ranks(
    context: click.Context, config: Config, ranks: int, retries: int = 0, changes: Mapping[str, Any] | None = None
) -> int:
    """Run the command of `context` on `ranks` ranks and return its exit code. The ranks get the parameters of the
    context, except for the `changes`. Start up to `retries` times again after a lost rank.

    Raises Stopped where a signal ended the run.
    """
    from grt_batch.core.work_folder import keep_kernels_in, set_umask
    from grt_batch.ranks.launcher import launch

    set_umask(config)
    keep_kernels_in(config.work)
    command = context.command
    start = partial(
        launch,
        ranks,
        arguments_of(command, {**context.params, "ranks": None, **(changes or {})}),
        config.work,
        config.heartbeat_seconds,
        program=("-m", "grt_batch.cli", str(command.name)),
        hosts=config.hosts,
        fault_tolerant=config.fault_tolerant,
    )
    code = start()
    for again in range(1, retries + 1):
        if code != RankLost.exit_code:
            break
        click.echo(f"grt-batch: starting again ({again} of {counted(retries, 'retry')})", err=True)
        code = start()
    return code


def arguments_of(command: click.Command, parameters: Mapping[str, Any]) -> list[str]:
    """Return the command line that click parses into these parameters; those that are None are left out."""
    options: list[str] = []
    words: list[str] = []
    for parameter in command.params:
        value = parameters.get(parameter.name or "")
        if value is None:
            continue
        several = value if parameter.multiple or parameter.nargs == -1 else [value]
        if isinstance(parameter, click.Argument):
            words += map(str, several)
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            options += (parameter.opts if value else parameter.secondary_opts)[:1]
        else:
            # With "=" a value may begin with a dash.
            options += (f"{parameter.opts[0]}={_text(parameter.type, each)}" for each in several)
    return [*options, "--", *words] if words else options


def _text(kind: click.ParamType[Any], value: Any) -> str:
    return value.strftime(kind.formats[0]) if isinstance(kind, click.DateTime) else str(value)
