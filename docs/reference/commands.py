"""The reference of the commands."""

from __future__ import annotations

from collections.abc import Iterator

import click

from grt_batch.commands import cli
from reference.markdown import code, grid, one_line, page


def commands() -> str:
    """Every command with its options."""
    top = click.Context(cli, info_name="grt-batch", **cli.context_settings)
    return page(
        "Commands",
        "`python manager.py [OPTIONS] [MODULE]...` is the same as `grt-batch run [OPTIONS] [MODULE]...`. Every command"
        " has `--help`. The exit codes are in [messages.md](messages.md).",
        *_command(top),
    )


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"## {context.command_path}"
    yield f"```\n{usage}\n```"
    yield one_line(command.help)
    options = (param.get_help_record(context) for param in command.params if isinstance(param, click.Option))
    rows = [(code(record[0]), one_line(record[1])) for record in options if record]
    if rows:
        yield grid(("option", "meaning"), rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if child := command.get_command(context, name):
                yield from _command(click.Context(child, info_name=name, parent=context))
