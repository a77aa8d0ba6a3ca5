"""The life of the process: which rank it is, which command it carries out, how it is stopped, how it ends."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from grt_batch.commands import (
    check,
    cli,
    db,
    demo,
    gc,
    modules,
    plan,
    query,
    rejects,
    run,
    sample,
    status,
    verify,
    warm,
)
from grt_batch.core.errors import BadArguments, GrtError, Stopped, Unforeseen
from grt_batch.core.logs import without_passwords

if TYPE_CHECKING:
    from grt_batch.ranks.coordinator import Coordinator
    from grt_batch.ranks.transport import Transport


COMMANDS = (run, plan, demo, sample, warm, modules, check, status, rejects, query, db, gc, verify)
"""The files of the commands, which are known by being imported."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; under MPI, as this process's rank. Ends the process with the run's exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    transport = executor = None
    try:
        transport = _transport()
        if transport is not None and transport.rank > 0:
            _serve(transport, arguments, debug)
            sys.exit(0)
        executor = _executor(transport)
        code = _first_rank(arguments, executor)
    except Stopped as error:
        code = error.exit_code
        if transport is not None:
            # mpirun stops the ranks, for its own reasons or for those that it tells of.
            transport.abort(code)
        _say(error, code)
    except GrtError as error:
        code = _say(error, error.exit_code, debug)
    except Exception as error:
        if debug:
            _show_place(error)
        unforeseen = Unforeseen(what=f"{type(error).__name__}: {error}")
        code = _say(unforeseen, unforeseen.exit_code)
    if executor is not None:
        executor.end(code)
    elif transport is not None:
        transport.abort(code)
    sys.stdout.flush()
    sys.exit(code)


def _transport() -> Transport | None:
    """The other ranks, where there are any. MPI is only loaded where a launcher of MPI was at work."""
    from grt_batch.ranks.transport import world

    # A rank is one core's work; where a library starts a thread for each core, all ranks together start too many. A
    # single rank takes no longer for it, and leaves the other cores to the database.
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    return world()


def _executor(transport: Transport | None) -> Coordinator | None:
    """Who hands out the work, where there are other ranks."""
    if transport is None:
        return None
    from grt_batch.ranks.coordinator import Coordinator

    return Coordinator(transport)


def _serve(transport: Transport, arguments: Sequence[str], debug: bool) -> None:
    """Any rank but the first: no command line, only work. Its exit code is 0: the first has that of the run."""
    from grt_batch.ranks.worker import Rank

    # mpirun ends its ranks by these; a rank that keeps nothing has nothing to tidy.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    asked = " ".join(arguments).replace("=", " ")
    form = "json" if "--log-format json" in asked else "text"
    transport.clock.recording = "--profile" in arguments
    Rank(transport, form, debug=debug).serve()


def _first_rank(arguments: list[str], executor: Coordinator | None) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        result = cli.main(arguments, "grt-batch", standalone_mode=False, obj=executor)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See {context.command_path} --help." if context else ""
        return _say(error, BadArguments.exit_code, text=f"{error.format_message()}{hint}")


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise Stopped(number)


def _say(error: BaseException, code: int, debug: bool = False, text: str = "") -> int:
    """Every error is one line, and tells no password."""
    if debug:
        _show_place(error)
    click.echo(f"grt-batch: {without_passwords(' '.join((text or str(error)).split()))}", err=True)
    return code


def _show_place(error: BaseException) -> None:
    click.echo(without_passwords("".join(traceback.format_exception(error))), err=True, nl=False)


if __name__ == "__main__":
    main()
