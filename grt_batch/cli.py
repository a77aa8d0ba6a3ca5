"""The process: its rank, its command, the signals that stop it, its exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from grt_batch.core.errors import BadArguments, GrtError, Stopped, Unforeseen
from grt_batch.core.logs import without_passwords
from grt_batch.core.output import complaint, secure
from grt_batch.ranks.word import note_code

if TYPE_CHECKING:
    from grt_batch.commands import Session
    from grt_batch.ranks.coordinator import Coordinator
    from grt_batch.ranks.transport import Transport


_GARBAGE = 100_000
"""Objects that are made before the collector looks for cycles; a run makes hardly any."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; under MPI, as this process's rank. End the process with the exit code of the run."""
    secure()
    transport, session, said = None, None, ""
    # The collector would look through all that the imports make, again and again.
    gc.set_threshold(_GARBAGE)
    try:
        transport = _transport()
        if transport is not None and transport.rank > 0:
            _serve(transport)
            _leave(0)
        # Other ranks need no commands.
        from grt_batch.commands import Session

        session = Session(_coordinator(transport))
        code = _first_rank(sys.argv[1:] if arguments is None else arguments, session)
    except Stopped as error:
        code = error.exit_code
        _end(session, code, str(error))
        if transport is not None:
            # mpirun stops its ranks for reasons of its own, or because it was told to.
            transport.abort(code)
        _say(error, code)
    except GrtError as error:
        said = str(error)
        code = _say(error, error.exit_code, session is not None and session.debug)
    except Exception as error:
        if session is not None and session.debug:
            _show_place(error)
        unforeseen = Unforeseen(what=f"{type(error).__name__}: {error}")
        said = str(unforeseen)
        code = _say(unforeseen, unforeseen.exit_code)
    _end(session, code, said)
    # Whatever mpirun makes of the ends of its ranks, this is the code.
    note_code(code)
    if session is not None and session.coordinator is not None:
        session.coordinator.end(code)
    elif transport is not None:
        transport.abort(code)
    if incomplete := complaint():
        _print(incomplete)
    _leave(code)


def _end(session: Session | None, code: int, said: str) -> None:
    """Tell how a run ended. What goes wrong there changes nothing."""
    try:
        for problem in session.end(code, said) if session else ():
            _print(problem)
    except (Exception, Stopped) as error:
        _print(f"the end of the run could not be told: {error}")


def _leave(code: int) -> NoReturn:
    """End the process. Its memory goes with it: the collector need not look through that first."""
    gc.freeze()
    sys.exit(code)


def _transport() -> Transport | None:
    """Return the connection to the other ranks, if there are any. MPI is loaded only under an MPI launcher."""
    from grt_batch.ranks.transport import world

    # A rank uses one core. Libraries that start a thread for each core would start too many on all ranks together; a
    # single rank is no faster with them, and the database needs the other cores.
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    return world()


def _coordinator(transport: Transport | None) -> Coordinator | None:
    """Return the executor over MPI, if there are other ranks."""
    if transport is None:
        return None
    from grt_batch.ranks.coordinator import Coordinator

    return Coordinator(transport)


def _serve(transport: Transport) -> None:
    """Work as any rank but the first. It reads no arguments: the coordinator sends all that it needs. Its exit code is
    0, since the first rank has that of the run."""
    from grt_batch.ranks.worker import Rank

    # mpirun ends its ranks by these signals, and there is nothing to tidy up here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    Rank(transport).serve()


def _first_rank(arguments: Sequence[str], session: Session) -> int:
    import click

    from grt_batch.commands import cli
    from grt_batch.core import variables
    from grt_batch.ranks.word import FOLDER_VARIABLE

    # The launcher has said it once for all ranks.
    if FOLDER_VARIABLE not in os.environ and (strange := variables.complaint()):
        _print(strange)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        result = cli.main(arguments, "grt-batch", standalone_mode=False, obj=session)
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
    """Print an error as one line, without passwords, and return its exit code."""
    if debug:
        _show_place(error)
    _print(text or str(error))
    return code


def _print(text: str) -> None:
    import click

    click.echo(f"grt-batch: {without_passwords(' '.join(text.split()))}", err=True)


def _show_place(error: BaseException) -> None:
    import traceback

    import click

    click.echo(without_passwords("".join(traceback.format_exception(error))), err=True, nl=False)


if __name__ == "__main__":
    main()
