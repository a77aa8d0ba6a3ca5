"""The command that watches the uploads and starts a run when something new has come in."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from grt_batch.commands import cli, options
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments


@cli.command()
@click.option("--poll", "polling", is_flag=True, help="Look every watch_poll_seconds, and do not ask the kernel.")
@options("uploads", "work", "config")
@click.option(
    "--log-format", default="text", show_default=True, type=click.Choice(["text", "json"]), help="Form of the log."
)
@options("debug")
def watch(
    polling: bool, uploads: Path | None, work: Path | None, config_file: Path | None, log_format: str, debug: bool
) -> None:
    """Watch the uploads, and start the command `on_upload` when archives have come in by FTP, rsync or NFS.

    It waits until their files have settled and nothing has come in for on_upload_quiet_seconds, and first takes up what
    came in while it did not run. Ends at Ctrl-C or SIGTERM; a run that it has started goes on.
    """
    from grt_batch.core.logs import set_up
    from grt_batch.service.on_upload import Starter, quiet_seconds
    from grt_batch.service.watching import watch as follow

    config = load(config_file, {"uploads": uploads, "work": work})
    if not config.on_upload:
        raise BadArguments(command="watch", what="on_upload is empty: write the command to start into [service]")
    set_up(log_format, "", "", "watch")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    starter = Starter(config.on_upload, quiet_seconds(config))
    follow(config, starter.notice, stop, polling=polling)
    starter.close()
