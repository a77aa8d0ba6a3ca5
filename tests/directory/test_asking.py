"""A real server is asked: what it has, what it refuses, and what else can answer in its place."""

from __future__ import annotations

import re
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st
from slapd import BASE, LONG, PASSWORD, PEOPLE, Server, bound, breaking, certify

from grt_batch.core.config import Config
from grt_batch.directory import asking as module
from grt_batch.directory.asking import Answer, ask, filter_for
from grt_batch.directory.settings import directory_of

SHORT = 0.5


def answers(config: Config, *owners: str, seconds: float = LONG) -> list[Answer]:
    directory = directory_of(config)
    assert directory is not None
    return ask(directory, owners, seconds)


def problem(config: Config, *owners: str, seconds: float = LONG) -> str:
    """The one answer, which is about no owner in particular."""
    (answer,) = answers(config, *owners, seconds=seconds)
    assert (answer.owner, answer.entries) == ("", 0)
    return answer.problem


def test_everybody_is_found_by_the_very_name(asking: Config) -> None:
    found = {it.owner: it for it in answers(asking, *PEOPLE)}
    assert found == {
        "jane.doe": Answer("jane.doe", 1, "Jane Doe", "jane@example.org"),
        "møller": Answer("møller", 1, "Jørgen Møller", "joergen@example.org"),
        "several.values": Answer("several.values", 1, "Aaron Alias", "a@example.org"),
        "no.mail": Answer("no.mail", 1, "Nobody's Mail"),
        "bytes": Answer("bytes", 1, "Of Bytes", "bytes@example.org"),
        "a*b": Answer("a*b", 1, "A Star"),
        "(b)\\28": Answer("(b)\\28", 1, "B Brackets"),
        "equal=>~<:=x": Answer("equal=>~<:=x", 1, "Equal Sign"),
        " blanks ": Answer(" blanks ", 1, "Blanks Around"),
        "twin": Answer("twin", 2),
        "Twin": Answer("Twin", 2),
    }


def test_a_name_is_no_pattern_and_no_filter(asking: Config) -> None:
    names = ("*", "jane*", "jane.doe)(cn=*", "*)(uid=*", "\\2a", "\\", "(", "x\0y", "nobody", "")
    assert answers(asking, *names) == [Answer(name) for name in names]


@examples(200)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_filter_means_the_name_and_nothing_else(name: str) -> None:
    written = filter_for("(&(objectClass=person)(uid={name}))", name)
    value = written.removeprefix("(&(objectClass=person)(uid=").removesuffix("))")
    assert re.fullmatch(r"([\w.-]|\\[0-9a-f]{2})*", value, re.ASCII)
    raw = re.sub(rb"\\(..)", lambda found: bytes.fromhex(found[1].decode()), value.encode())
    assert raw.decode() == name


def test_attributes_are_chosen_and_what_is_no_text_is_left_out(asking: Config) -> None:
    changed = replace(asking, directory_name_attribute="JPEGPHOTO", directory_mail_attribute="Mail")
    assert answers(changed, "bytes") == [Answer("bytes", 1, None, "bytes@example.org")]
    swapped = replace(asking, directory_filter="(mail={name})", directory_mail_attribute="uid")
    assert answers(swapped, "jane@example.org") == [Answer("jane@example.org", 1, "Jane Doe", "jane.doe")]


def test_an_account_with_its_password_may_ask(asking: Config, tmp_path: Path) -> None:
    assert answers(bound(asking, tmp_path), "no.mail") == [Answer("no.mail", 1, "Nobody's Mail")]
    said = problem(bound(asking, tmp_path, "wrong"), "no.mail")
    assert said == f"it refuses cn=admin,{BASE}: invalidCredentials"


def test_nobody_is_asked_for_to_see_whether_it_can_be(asking: Config) -> None:
    assert answers(asking) == []


def test_a_base_that_is_not_there_is_not_taken_for_an_owner_who_is_not(asking: Config) -> None:
    said = problem(replace(asking, directory_base=f"ou=none,{BASE}"), "jane.doe")
    assert said == f"it does not search below 'ou=none,{BASE}': noSuchObject"


def test_no_other_server_is_asked(asking: Config, tmp_path: Path) -> None:
    said = problem(replace(bound(asking, tmp_path), directory_base=f"ou=away,{BASE}"), "jane.doe")
    assert said == f"it does not search below 'ou=away,{BASE}': referral ldap://127.0.0.1:9/ou=away??base"


def test_a_filter_that_is_none_is_said_once(asking: Config) -> None:
    assert problem(replace(asking, directory_filter="(uid={name}"), "jane.doe", "nobody") == "invalid filter"


@pytest.mark.parametrize("encrypted", [True, False], ids=["ldaps", "start_tls"])
def test_the_certificate_is_checked(ldap: Server, asking: Config, tmp_path: Path, *, encrypted: bool) -> None:
    if encrypted:
        asking = replace(asking, directory_url=f"ldaps://localhost:{ldap.encrypted}")
    else:
        asking = replace(asking, directory_start_tls=True)
    good = replace(asking, directory_ca_file=ldap.authority)
    assert answers(good, "no.mail") == [Answer("no.mail", 1, "Nobody's Mail")]
    certify(tmp_path / "other", "localhost")
    for bad in (asking, replace(asking, directory_ca_file=str(tmp_path / "other.pem"))):
        assert "certificate verify failed" in problem(bad, "no.mail")


def test_the_certificate_is_that_of_the_host(ldap: Server, asking: Config) -> None:
    url = f"ldaps://127.0.0.1:{ldap.encrypted}"
    said = problem(replace(asking, directory_url=url, directory_ca_file=ldap.authority), "jane.doe")
    assert said == "socket ssl wrapping error: certificate doesn't match any name in ['127.0.0.1']"


def test_a_server_that_is_dead(asking: Config) -> None:
    with socket.create_server(("localhost", 0)) as gone:
        url = f"ldap://localhost:{gone.getsockname()[1]}"
    assert problem(replace(asking, directory_url=url), "jane.doe").endswith("Connection refused")


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_server_that_says_nothing(asking: Config, scheme: str) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        url = f"{scheme}://localhost:{silent.getsockname()[1]}"
        said = problem(replace(asking, directory_url=url), "jane.doe", seconds=SHORT)
    assert said == f"no answer within {SHORT} s"


def test_what_was_answered_before_the_connection_broke_counts(ldap: Server, asking: Config) -> None:
    # The account, the base, and the first owner.
    with breaking(ldap, 3) as url:
        first, last = answers(replace(asking, directory_url=url), "no.mail", "jane.doe", "twin")
    assert first == Answer("no.mail", 1, "Nobody's Mail")
    assert (last.owner, bool(last.problem)) == ("", True)


def stand_in(folder: Path, script: str) -> str:
    """A program that takes the place of Python."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_what_was_answered_in_time_counts(asking: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    told = b'{"owner":"jane.doe","entries":1,"name":"Jane"}\n{"owner":"tw'

    def too_long(command: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout, told)

    monkeypatch.setattr(module.subprocess, "run", too_long)
    assert answers(asking, "jane.doe", "twin", seconds=2) == [
        Answer("jane.doe", 1, "Jane"),
        Answer(problem="no answer within 2 s"),
    ]


def test_a_process_that_cannot_work_is_a_problem(
    asking: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program, said in ((str(tmp_path / "none"), "No such file"), ("/bin/false", "nothing said")):
        monkeypatch.setattr(module.sys, "executable", program)
        assert said in problem(asking, "jane.doe")


def test_the_password_is_on_no_command_line(asking: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = tmp_path / "shown"
    program = stand_in(tmp_path, f'cat >/dev/null; {{ tr "\\0" " " < /proc/$$/cmdline; env; }} > {shown}')
    monkeypatch.setattr(module.sys, "executable", program)
    assert answers(bound(asking, tmp_path), "jane.doe") == []
    text = shown.read_text(encoding="utf-8")
    assert "grt_batch.directory.asking" in text
    assert PASSWORD not in text
