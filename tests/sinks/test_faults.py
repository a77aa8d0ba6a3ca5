"""The database fails at every moment of a publication: nothing of it shows, one line tells, and the next is right."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from places import ROOT
from runs import published

from grt_batch.core.config import Config
from grt_batch.core.errors import CommitUnknown, DatabaseLocked, DatabaseRefused, Locked
from grt_batch.core.work_folder import lock
from grt_batch.embedded_postgres import process as server_process
from grt_batch.embedded_postgres.server import serve
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest, new_run_id
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL
from grt_batch.schema.tables import Column, Table, Type, render
from grt_batch.sinks import postgres
from grt_batch.sinks.postgres import Publication, upgrade
from grt_batch.sinks.schema import SCHEMA_VERSION
from tests.sinks.test_postgres import ONE, TABLES, frames, partitions, publication, query, row

DEADLINE_SECONDS = 20.0
TABLES_ATTACHED = "SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind IN ('r', 'p')"
SESSIONS = "FROM pg_stat_activity WHERE application_name = 'grt_batch' AND datname = current_database()"


def text(table: Table, run: int) -> list[bytes]:
    return list(render(table, frames(run)[table.name]))


def copy(sink: Publication, table: Table, run: int) -> None:
    sink.copy(table, text(table, run), f"run {run}")


def publish(url: str, run: int) -> None:
    with publication(url, run) as sink:
        for table in TABLES:
            copy(sink, table, run)
        sink.swap(row(run))
        sink.commit()


def end(url: str) -> None:
    """End the publication's connection, as an admin does."""
    assert query(url, f"SELECT pg_terminate_backend(pid, 5000) {SESSIONS}") == [(True,)]


def shown(url: str) -> tuple[object, ...]:
    """What readers see, and which partitions there are, seen or not."""
    runs = "SELECT array_agg(DISTINCT run) FROM grt."
    return query(url, f"{runs}one"), query(url, f"{runs}two"), partitions(url), query(url, "SELECT run_id FROM grt.run")


def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


class Failing(list[bytes]):
    """The text of a table, in the middle of which something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens
        self._measured = False

    def __iter__(self) -> Iterator[bytes]:
        if not self._measured:
            # The first pass only asks for the size.
            self._measured = True
            return
        rows = b"".join(b"key %d\t2\n" % i for i in range(20_000))
        yield rows
        self._happens()
        # More than the buffers between here and there hold.
        for i in range(20):
            yield rows.replace(b"key", b"key %d" % i)


def lose(sink: Publication, url: str, moment: str) -> None:
    """A publication whose connection ends at a moment."""
    if moment == "before COPY":
        end(url)
    if moment == "during COPY":
        sink.copy(ONE, Failing(lambda: end(url)), "failing")
    else:
        copy(sink, ONE, 2)
    if moment == "after COPY":
        sink.wait()
        end(url)
    copy(sink, TABLES[1], 2)
    if moment == "before the swap":
        sink.wait()
        end(url)
    sink.swap(row(2))
    if moment == "after the swap":
        end(url)
    sink.commit()


MOMENTS = ["before COPY", "during COPY", "after COPY", "before the swap", "after the swap"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_database_that_is_lost_shows_what_it_showed_before(database: str, moment: str) -> None:
    publish(database, 1)
    before = shown(database)
    with pytest.raises(DatabaseRefused) as raised, publication(database, 2) as sink:
        lose(sink, database, moment)
    assert raised.value.exit_code == 4
    assert "\n" not in str(raised.value)
    assert shown(database) == before
    publish(database, 2)
    assert partitions(database) == ["one_r2", "two_r2"]


def test_a_lost_database_does_not_hide_what_else_went_wrong(database: str) -> None:
    publish(database, 1)
    begun = threading.Event()

    def happens() -> None:
        end(database)
        begun.set()

    with pytest.raises(ZeroDivisionError), publication(database, 2) as sink:
        sink.copy(ONE, Failing(happens), "failing")
        assert begun.wait(DEADLINE_SECONDS)
        raise ZeroDivisionError
    publish(database, 2)


class Deaf:
    """A connection whose first request to cancel has no effect, as one that comes between two statements."""

    def __init__(self, link: Any, heard: threading.Event) -> None:
        self._link, self._heard, self._requests = link, heard, 0

    def cancel(self) -> None:
        self._requests += 1
        if self._requests == 2:
            self._link.cancel()
            self._heard.set()


def test_what_goes_wrong_elsewhere_ends_a_copy_that_is_under_way(database: str) -> None:
    publish(database, 1)
    before = shown(database)
    begun, heard = threading.Event(), threading.Event()

    def happens() -> None:
        begun.set()
        heard.wait(DEADLINE_SECONDS)

    with pytest.raises(ZeroDivisionError), publication(database, 2) as sink:
        sink.copy(ONE, Failing(happens), "failing")
        assert begun.wait(DEADLINE_SECONDS)
        sink._link = Deaf(sink._link, heard)
        raise ZeroDivisionError
    assert heard.is_set()
    assert shown(database) == before


class Proxy:
    """Stands between a client and the server's socket; the connection of the first COMMIT is lost.

    `reached` is whether that COMMIT gets to the server, `back` whether the server can be reached again.
    """

    def __init__(self, server: str, *, reached: bool, back: bool) -> None:
        self._server, self._reached, self._back = server, reached, back
        self._lost = False
        self.folder = tempfile.mkdtemp(prefix="grt_batch-proxy-")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self.folder}/.s.PGSQL.5432")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                threading.Thread(target=self._between, args=(client, server), daemon=True).start()

    def _between(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._pass_back, args=(server, client), daemon=True)
            back.start()
            self._pass_on(client, server)
            back.join()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if b"COMMIT\0" in data and not self._lost:
                    self._lost = True
                    if not self._back:
                        Path(self.folder, ".s.PGSQL.5432").unlink()
                    # Before the server can answer.
                    client.shutdown(socket.SHUT_RDWR)
                    if self._reached:
                        server.sendall(data)
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)

    def close(self) -> None:
        self._listener.close()
        shutil.rmtree(self.folder)


@contextmanager
def proxy(url: str, *, reached: bool, back: bool) -> Iterator[str]:
    """The URL of the database through a Proxy."""
    found = psycopg2.extensions.parse_dsn(url)
    between = Proxy(f"{found['host']}/.s.PGSQL.{found['port']}", reached=reached, back=back)
    try:
        yield psycopg2.extensions.make_dsn(url, host=between.folder, port=5432)
    finally:
        between.close()


def test_a_commit_whose_answer_is_lost_is_asked_for(database: str) -> None:
    publish(database, 1)
    with proxy(database, reached=True, back=True) as url:
        publish(url, 2)
    assert shown(database) == ([([2],)], [([2],)], ["one_r2", "two_r2"], [("run 1",), ("run 2",)])


def test_a_commit_that_was_lost_with_its_question_is_refused(database: str) -> None:
    publish(database, 1)
    before = shown(database)
    with proxy(database, reached=False, back=True) as url, pytest.raises(DatabaseRefused) as raised:
        publish(url, 2)
    assert not isinstance(raised.value, CommitUnknown)
    assert shown(database) == before


@pytest.mark.parametrize("reached", [True, False])
def test_a_commit_that_nobody_can_be_asked_about_is_unknown(
    database: str, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    monkeypatch.setattr(postgres, "_COMMIT_SECONDS", 0.1)
    publish(database, 1)
    with proxy(database, reached=reached, back=False) as url, pytest.raises(CommitUnknown) as raised:
        publish(url, 2)
    assert raised.value.exit_code == 4
    publish(database, 3)
    assert partitions(database) == ["one_r3", "two_r3"]
    assert len(query(database, "SELECT run_id FROM grt.run")) == 2 + reached


HOLD = """
import sys
sys.path[:0] = sys.argv[3:]
from tests.sinks.test_faults import TABLES, Path, copy, lock, publication, row
with lock(Path(sys.argv[2])), publication(sys.argv[1], 9) as sink:
    for table in TABLES:
        copy(sink, table, 9)
    sink.swap(row(9))
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_locks_of_a_killed_run_are_free(database: str, tmp_path: Path) -> None:
    """All of them: the work folder's, the database's, and those on the tables that it was about to exchange."""
    publish(database, 1)
    folders = [str(ROOT), str(ROOT / "tests" / "support")]
    command = [sys.executable, "-c", HOLD, database, str(tmp_path), *folders]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Locked) as raised, lock(tmp_path):
            raise AssertionError("both have the lock")
        assert raised.value.work == tmp_path
        assert raised.value.holder.startswith(f"process {process.pid} on ")
        with pytest.raises(DatabaseLocked):
            publish(database, 2)
        process.kill()
    with lock(tmp_path):
        publish(database, 2)
    assert shown(database)[:3] == ([([2],)], [([2],)], ["one_r2", "two_r2"])


@contextmanager
def locked(url: str, statement: str) -> Iterator[Callable[[], None]]:
    """Another session holds the locks of a statement; gives what ends it."""
    with closing(psycopg2.connect(url)) as link:
        link.cursor().execute(statement)
        yield link.rollback


WIDER = Table("one", "wider", ("key",), (*ONE.columns, Column("more", Type.DOUBLE, "more")))


@pytest.mark.parametrize("upgrading", [True, False])
def test_a_reader_of_a_table_that_is_made_anew_is_not_waited_for_for_ever(database: str, upgrading: bool) -> None:
    publish(database, 1)
    with locked(database, "SELECT * FROM grt.one"):
        with pytest.raises(DatabaseRefused) as raised:
            if upgrading:
                upgrade(database, [WIDER], lock_timeout_ms=10, lock_tries=2)
            else:
                with Publication(database, [WIDER], lock_timeout_ms=10, lock_tries=2, run_id="wider"):
                    raise AssertionError("it has the lock")
        assert "2 tries" in str(raised.value.what)
        assert query(database, "SELECT count(*) FROM grt.one") == [(3,)]
    assert upgrade(database, [WIDER]) == (SCHEMA_VERSION, SCHEMA_VERSION)


def test_who_holds_the_table_of_runs_is_waited_for_as_well(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(database, 1)
    with locked(database, "LOCK TABLE grt.run IN EXCLUSIVE MODE") as let_go, monkeypatch.context() as patch:
        # Between the first try and the second.
        patch.setattr(postgres.time, "sleep", lambda _: let_go())
        publish(database, 2)
    assert query(database, "SELECT count(*) FROM grt.run") == [(2,)]


@pytest.fixture(scope="module")
def undisturbed(good: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """What a run has published that nothing happened to."""
    home = tmp_path_factory.mktemp("undisturbed")
    config = Config(uploads=good, reports=home / "reports", work=home / "work", database=server)
    run(config, lambda: nullcontext(server))
    return config


def run(config: Config, database: Callable[[], AbstractContextManager[str]], as_of: date = UNTIL) -> None:
    started = datetime.now(UTC).replace(tzinfo=None)
    with lock(config.work):
        execute(RunRequest(config, as_of, run_id=new_run_id(started), started=started), SerialExecutor(), database)


@pytest.fixture
def ready(undisturbed: Config, tmp_path: Path) -> Config:
    """A configuration with nothing published, and everything computed."""
    shutil.copytree(undisturbed.work, tmp_path / "work")
    return replace(undisturbed, reports=tmp_path / "reports", work=tmp_path / "work")


def patched(patch: pytest.MonkeyPatch, name: str, *, before: Callable[[], None] = bool, after: object = None) -> None:
    """From now on something happens before, or after, a step of a publication."""
    step = getattr(Publication, name)

    def disturbed(*arguments: object) -> None:
        before()
        step(*arguments)
        if isinstance(after, BaseException):
            raise after

    patch.setattr(Publication, name, disturbed)


@pytest.mark.parametrize("step", ["copy", "commit"])
def test_a_run_that_loses_the_database_leaves_everything_as_it_was(
    ready: Config, undisturbed: Config, database: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    earlier = UNTIL - timedelta(days=1)
    run(ready, lambda: nullcontext(database), earlier)
    before = published(ready.reports), query(database, "SELECT run_id FROM grt.run"), partitions(database)
    with monkeypatch.context() as patch:
        patched(patch, step, before=lambda: end(database) if sessions(database) else None)
        with pytest.raises(DatabaseRefused) as raised:
            run(ready, lambda: nullcontext(database))
    assert raised.value.exit_code == 4
    assert before == (published(ready.reports), query(database, "SELECT run_id FROM grt.run"), partitions(database))
    assert (ready.reports / "latest").readlink() == Path(f"{earlier}")
    assert not (ready.reports / f"{UNTIL}").exists()
    assert len(list((ready.reports / ".sets").iterdir())) == 2
    run(ready, lambda: nullcontext(database))
    assert published(ready.reports) == published(undisturbed.reports)


def sessions(url: str) -> bool:
    return query(url, f"SELECT pid {SESSIONS}") != []


def test_a_run_that_ends_between_the_database_and_the_reports_is_put_right_by_the_next(
    ready: Config, undisturbed: Config, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patched(patch, "commit", after=CommitUnknown(what="the network is gone"))
        with pytest.raises(CommitUnknown):
            run(ready, lambda: nullcontext(database))
    assert query(database, "SELECT count(*) FROM grt.run") == [(1,)]
    assert published(ready.reports) == {}
    run(ready, lambda: nullcontext(database))
    assert published(ready.reports) == published(undisturbed.reports)
    tables = query(
        database, "SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid AND relkind IN ('r', 'p')"
    )
    assert tables == [(len(partitions(database)),)]


def test_a_signal_at_the_commit_does_not_part_the_database_from_the_reports(
    ready: Config, undisturbed: Config, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever thread of the process takes it: another than that of the run must be there."""
    others, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (others.set(), over.wait()))
    thread.start()
    stopped = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("the run was stopped in the middle"))
    try:
        assert others.wait(DEADLINE_SECONDS)
        patched(monkeypatch, "commit", before=lambda: os.kill(os.getpid(), signal.SIGTERM))
        run(ready, lambda: nullcontext(database))
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, stopped)
        over.set()
        thread.join()
    assert published(ready.reports) == published(undisturbed.reports)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The folder of an embedded server that is not the session's: it is killed. Its user must be able to enter."""
    folder = Path(tempfile.mkdtemp(prefix="grt_batch-faults-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:  # no test cuts the power, and disks may be slow
        patch.setattr(server_process, "INITDB", (*server_process.INITDB, "--no-sync"))
        patch.setattr(server_process, "SETTINGS", (*server_process.SETTINGS, "fsync=off"))
        yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT], ids=["killed", "stopped at once"])
def test_an_embedded_server_that_ends_in_the_middle_is_there_for_the_next_run(
    ready: Config, undisturbed: Config, home: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def kill() -> None:
        (note,) = home.glob("postgres/*/data/postmaster.pid")
        server = int(note.read_text().split()[0])
        # A server that is killed leaves its processes, which may go on for a moment: all of them are gone in a crash.
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        os.kill(server, number)
        if number is signal.SIGKILL:
            for child in map(int, children):
                with suppress(ProcessLookupError):
                    os.kill(child, number)

    with monkeypatch.context() as patch:
        patched(patch, "swap", before=kill)
        with pytest.raises(DatabaseRefused) as raised:
            run(ready, lambda: serve(home))
    assert raised.value.exit_code == 4
    assert published(ready.reports) == {}
    run(ready, lambda: serve(home))
    assert published(ready.reports) == published(undisturbed.reports)
    with serve(home) as url:
        tables = query(
            url, "SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid AND relkind IN ('r', 'p')"
        )
        assert tables == [(len(partitions(url)),)]
