"""The names of a real server in the tables of runs: published, changed, kept, and hidden from the public."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Answer, Call, partitions, query
from coming_and_going import AS_OF, Site, small_site
from mailing import mail_server
from slapd import BASE, LONG, Server

from grt_batch.core.errors import NoLdap
from grt_batch.directory import settings
from grt_batch.directory.people import FILE

Command = Callable[..., Answer]
JANE = {"instance_id": "b", "owner": "jane.doe", "name": "Jane Doe", "mail": "jane@example.org"}
TITLED = {"instance_id": "b", "owner": "Al <al@x.org>, bo@x.org", "name": "", "mail": "al@x.org"}


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    """Two instances with owners, of which `b` is public."""
    site = small_site(tmp_path, database)
    site.describe("a", owners=["guest", "jane.doe", "guest", " "])
    site.describe("b", owners=["jane.doe", "Al <al@x.org>, bo@x.org"], public=True)
    return site


@pytest.fixture
def command(site: Site, ldap: Server, call: Call, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command of the program, which asks the server each time."""
    asks(monkeypatch, ldap.url, directory_base=BASE, directory_days=0, directory_timeout_seconds=LONG)

    def run(*arguments: object) -> Answer:
        config = site.config
        places = ("--uploads", config.uploads, "--work", config.work, "--reports", config.reports)
        return call(*arguments, *places, "--database", config.database)

    return run


def asks(monkeypatch: pytest.MonkeyPatch, url: str, **keys: object) -> None:
    """From now on the environment has a directory."""
    for key, value in {"directory_url": url, **keys}.items():
        monkeypatch.setenv(f"GRT_BATCH_{key.upper()}", str(value))


def published(command: Command) -> str:
    """Run all modules; returns what was said of the directory."""
    answer = command("run", "--no-html", "--as-of", AS_OF)
    assert answer.code == 0, answer.err
    return "".join(line for line in answer.err.splitlines() if "directory" in line)


def guest(name: str, mail: str) -> dict[str, str]:
    return {"instance_id": "a", "owner": "guest", "name": name, "mail": mail}


def test_names_come_change_and_go(site: Site, ldap: Server, command: Command) -> None:
    with ldap.person("guest", cn="Guest", mail="g@example.org"):
        assert published(command) == ""
        others = [{**JANE, "instance_id": "a"}, TITLED, JANE]
        assert site.rows("instance_owner") == [guest("Guest", "g@example.org"), *others]
        before = partitions(site.config.database)
        # Nothing came, neither here nor there.
        assert published(command) == ""
        assert partitions(site.config.database) == before
        ldap.change("guest", "modify", replace="cn", cn="Gäste Haus\n-\nreplace: mail\nmail: haus@example.org")
        assert command("diff", "--as-of", AS_OF).code == 0
        assert published(command) == ""
        assert site.rows("instance_owner") == [guest("Gäste Haus", "haus@example.org"), *others]
        after = partitions(site.config.database)
        assert {name for name in before if before[name] != after[name]} == {"instance_owner"}
        assert len({*before["instance_owner"]} - {*after["instance_owner"]}) == 1
        verdict = command("verify")
        assert verdict.code == 0, verdict.out
    assert published(command) == ""
    assert site.rows("instance_owner") == [guest("", ""), *others]


def test_without_a_server_the_names_stay(site: Site, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    published(command)
    before, rows = partitions(site.config.database), site.rows("instance_owner")
    assert JANE in rows
    with socket.create_server(("localhost", 0)) as silent:
        asks(monkeypatch, f"ldap://localhost:{silent.getsockname()[1]}", directory_timeout_seconds=1)
        said = published(command)
    assert said.count("has not answered for 3 of 3 owners, who stay as they were: no answer within 1 s") == 1
    assert (partitions(site.config.database), site.rows("instance_owner")) == (before, rows)
    assert command("verify").code == 0
    # Without a directory nothing is known of anybody, but the addresses that are said.
    asks(monkeypatch, "")
    assert published(command) == ""
    assert site.rows("instance_owner") == [
        guest("", ""), {**JANE, "instance_id": "a", "name": "", "mail": ""}, TITLED, {**JANE, "name": "", "mail": ""},
    ]  # fmt: skip


def test_the_public_sees_names_of_public_instances_and_no_address(site: Site, command: Command) -> None:
    published(command)
    assert query(site.config.database, "SELECT * FROM grt_public.instance_owner ORDER BY 2") == [
        ("b", "Al <[redacted]>, [redacted]", None, None),
        ("b", "jane.doe", "Jane Doe", None),
    ]


def test_the_names_are_the_same_at_any_number_of_ranks(
    site: Site, ldap: Server, command: Command, grt_batch: Callable[..., object], tmp_path: Path
) -> None:
    published(command)
    other = site.fresh(tmp_path / "ranks", database=site.config.database).config
    places = ("--uploads", other.uploads, "--work", other.work, "--reports", other.reports)
    run = grt_batch("run", "--no-html", "--as-of", AS_OF, *places, "--database", other.database, "--ranks", 3)
    assert run.returncode == 0, run  # type: ignore[attr-defined]
    assert Site(other).tables("archive") == site.tables("archive")


def test_owners_are_told_at_the_addresses_of_the_directory(
    site: Site, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.config.uploads / "b" / "archives" / "1.tar.gz").write_bytes(b"damaged")
    with mail_server() as box:
        monkeypatch.setenv("GRT_BATCH_NOTIFY_OWNERS", box.url())
        command("run", "--no-html", "--as-of", AS_OF)
    assert sorted(to for recipients, *_ in box.come for to in recipients) == [
        "al@x.org", "bo@x.org", "jane@example.org",
    ]  # fmt: skip


def test_what_is_wrong_in_the_configuration_ends_a_run_before_it_reads(
    site: Site, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PACKAGE", "no_such_package")
    answer = command("run")
    assert (answer.code, answer.complaint) == (2, str(NoLdap()))
    assert not (site.config.work / FILE).exists()
    assert not site.config.reports.exists()
