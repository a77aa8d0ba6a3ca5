"""The probe of the directory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from slapd import ADMIN, BASE, Server, bound, ldap_server

from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig
from grt_batch.doctor.directory import directory
from grt_batch.doctor.findings import Status


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ldap_server(tmp_path_factory.mktemp("slapd")) as server:
        yield server


def told(config: Config) -> list[tuple[Status, str]]:
    found = list(directory(config))
    assert {finding.subject for finding in found} <= {"directory"}
    return [(finding.status, finding.found) for finding in found]


def test_nothing_is_examined_that_nobody_asked_for() -> None:
    assert told(Config()) == []


def test_a_server_that_can_be_asked(ldap: Server, tmp_path: Path) -> None:
    assert told(ldap.config) == [(Status.OK, f"{ldap.url} can be asked below {BASE} as anonymous")]
    config = replace(bound(ldap.config, tmp_path), directory_start_tls=True, directory_ca_file=ldap.authority)
    assert told(config) == [(Status.OK, f"{ldap.url} can be asked below {BASE} as {ADMIN}")]


def test_a_password_that_anybody_on_the_way_can_read(ldap: Server, tmp_path: Path) -> None:
    (open_password, _) = told(bound(ldap.config, tmp_path))
    assert open_password == (Status.WARNING, f"the password of {ADMIN} goes to {ldap.url} as it is")


def test_a_server_that_cannot_be_asked(ldap: Server) -> None:
    (found,) = directory(replace(ldap.config, directory_base="dc=none"))
    what = f"{ldap.url} cannot be asked: it does not search below 'dc=none': noSuchObject"
    assert (found.status, found.found, found.exit_code) == (Status.WARNING, what, 0)
    with socket.create_server(("localhost", 0)) as silent:
        url = f"ldap://localhost:{silent.getsockname()[1]}"
        config = replace(ldap.config, directory_url=url, directory_timeout_seconds=1)
        assert told(config) == [(Status.WARNING, f"{url} cannot be asked: no answer within 1 s")]


def test_settings_with_which_a_run_would_end() -> None:
    with pytest.raises(BadConfig):
        list(directory(Config(directory_url="ldap://localhost", directory_filter="(uid=jane)")))
