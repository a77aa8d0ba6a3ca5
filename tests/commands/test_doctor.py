"""grt-batch doctor reports on any installation, however broken, and never shows a password."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from calling import Call, places, query

from grt_batch.core.config import Config, origins
from grt_batch.core.errors import RankLost
from grt_batch.doctor import programs
from grt_batch.doctor.findings import Finding, Status, exit_code, guarded, ok
from grt_batch.sinks.postgres import upgrade
from grt_batch.sinks.schema import SCHEMA_VERSION

UNREACHABLE = "postgresql://user:hunter2@127.0.0.1:1/none"


@pytest.fixture
def options(good: Path, tmp_path: Path, database: str) -> list[object]:
    return ["--uploads", good, *places(tmp_path), "--database", database]


def examined(call: Call, *arguments: object) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code of doctor and its findings by subject."""
    answer = call("doctor", *arguments, "--format", "json")
    assert answer.err == ""
    findings: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(answer.out):
        findings.setdefault(finding["subject"], []).append(finding)
        assert finding["status"] == "ok" or finding["remedy"].endswith("."), finding
    return answer.code, findings


def statuses(findings: dict[str, list[dict[str, Any]]], subject: str) -> set[str]:
    return {finding["status"] for finding in findings[subject]}


def test_a_good_environment_has_no_problem(call: Call, options: list[object]) -> None:
    code, findings = examined(call, *options)
    assert code == 0
    every = [finding for group in findings.values() for finding in group]
    assert not [finding for finding in every if finding["status"] == "problem"]
    for subject in ("grt_batch", "Python", "polars", "numpy", "uploads", "work", "reports", "database", "rights"):
        assert statuses(findings, subject) <= {"ok", "warning"}, subject
    assert "version none" in findings["schema"][0]["found"]
    assert len(findings["configuration"]) == len(Config.__dataclass_fields__)


def test_text_has_a_line_for_each_finding(call: Call, options: list[object]) -> None:
    lines = call("doctor", *options).out.splitlines()
    assert {line.split()[0] for line in lines} <= set(Status)
    assert len(lines) == sum(map(len, examined(call, *options)[1].values()))


def test_nothing_is_made(call: Call, options: list[object], tmp_path: Path, database: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    call("doctor", *options)
    call("doctor", *options, "--database", "embedded")
    assert sorted(tmp_path.rglob("*")) == before
    assert query(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'grt%'") == []


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_uploads_that_cannot_be_read_are_a_problem(
    call: Call, options: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRT_BATCH_UPLOADS", str(tmp_path / name))
    code, findings = examined(call, *options[2:])
    assert (code, statuses(findings, "uploads")) == (3, {"problem"})


@pytest.mark.parametrize("text", ["[paths", "[paths]\nwrk = 'w'", None], ids=["malformed", "unknown key", "missing"])
def test_a_bad_configuration_is_a_problem_beside_the_others(
    call: Call, options: list[object], tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "my.toml"
    if text is not None:
        file.write_text(text)
    code, findings = examined(call, *options, "--config", file)
    assert code == 2
    (found,) = findings["configuration"]
    assert found["status"] == "problem" and str(file) in found["found"]
    assert statuses(findings, "database") == {"ok"}


def test_an_unreachable_database_is_a_problem_that_shows_no_password(call: Call, options: list[object]) -> None:
    code, findings = examined(call, *options, "--database", UNREACHABLE)
    assert (code, statuses(findings, "database")) == (4, {"problem"})
    assert "hunter2" not in json.dumps(findings)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{'hunter2' * 40}@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 password='it\\'s \"hunter2\"'",
        "postgresql://127.0.0.1:1/none?password=hunter2",
        "postgresql://user:hun/hunter2@127.0.0.1:1/none",
    ],
)
def test_passwords_never_show(call: Call, options: list[object], monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GRT_BATCH_DATABASE", url)
    for form in ("text", "json"):
        answer = call("doctor", *options[:-2], "--format", form)
        assert answer.code == 4
        assert "hunter2" not in answer.out + answer.err


def test_the_schema_of_a_newer_program_is_a_problem(call: Call, options: list[object], database: str) -> None:
    upgrade(database, [])
    assert f"version {SCHEMA_VERSION}, current" in examined(call, *options)[1]["schema"][0]["found"]
    query(database, "INSERT INTO grt.schema_version (version, program) VALUES (99, 'of tomorrow')")
    code, findings = examined(call, *options)
    assert (code, statuses(findings, "schema")) == (4, {"problem"})


@pytest.fixture
def stranger(database: str) -> Iterator[str]:
    """The URL of the database for a user who may only read."""
    query(database, "CREATE ROLE doctor_test LOGIN")
    yield psycopg2.extensions.make_dsn(database, user="doctor_test")
    query(database, "DROP ROLE doctor_test")


def test_a_user_who_may_not_write_is_a_problem(call: Call, options: list[object], stranger: str) -> None:
    code, findings = examined(call, *options, "--database", stranger)
    assert (code, statuses(findings, "rights")) == (4, {"problem"})
    read_only = psycopg2.extensions.make_dsn(stranger, options="-c default_transaction_read_only=on")
    code, findings = examined(call, *options, "--database", read_only)
    assert (code, statuses(findings, "rights")) == (4, {"problem"})


@pytest.mark.parametrize("place", ["work", "reports"])
def test_a_folder_that_cannot_be_written_is_a_problem(
    call: Call, good: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv(f"GRT_BATCH_{place.upper()}", str(folder))
        code, findings = examined(call, "--uploads", good, "--database", database)
        assert (code, statuses(findings, place)) == (4, {"problem"})


def test_the_embedded_server_is_not_started(call: Call, options: list[object]) -> None:
    code, findings = examined(call, *options, "--database", "embedded")
    assert (code, statuses(findings, "database")) == (0, {"ok"})
    assert "not running" in findings["database"][0]["found"]


def test_without_an_mpi_a_run_without_ranks_is_possible(
    call: Call, options: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRT_BATCH_MPIRUN", "/nowhere/mpirun")
    monkeypatch.setenv("MPI4PY_LIBMPI", "/nowhere/libmpi.so")
    code, findings = examined(call, *options)
    assert code == 0
    assert statuses(findings, "mpirun") == statuses(findings, "libmpi") == {"warning"}


def test_a_libmpi_of_another_mpi_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mpirun = tmp_path / "mpirun"
    mpirun.write_text("#!/bin/sh\necho HYDRA build details\n")
    mpirun.chmod(0o755)
    monkeypatch.setattr(programs, "LOAD_MPI", "print('Open MPI v5.0')")
    *_, found = programs.mpi({"GRT_BATCH_MPIRUN": str(mpirun)})
    assert (found.status, found.subject) == (Status.WARNING, "libmpi")
    assert str(mpirun) in found.found


def test_a_scheduler_is_found_by_its_command(tmp_path: Path) -> None:
    (tmp_path / "bsub").touch(mode=0o755)
    (found,) = programs.scheduler({"PATH": str(tmp_path)})
    assert f"LSF, {tmp_path}/bsub" in found.found
    (found,) = programs.scheduler({"PATH": ""})
    assert found.status is Status.OK


@pytest.mark.parametrize(("made", "said"), [("folder", "is empty"), ("file", "cannot be written")])
def test_kernels_that_are_not_compiled_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, said: str
) -> None:
    place = tmp_path / "cache"
    if made == "folder":
        place.mkdir()
    else:
        place.touch()
    monkeypatch.setattr("grt_batch.kernels.compiled.cache_folder", lambda: place / "kernels")
    (found,) = programs.kernels()
    assert found.status is Status.WARNING and said in found.found


def test_a_probe_that_fails_or_hangs_is_a_finding() -> None:
    def fail() -> Iterator[Finding]:
        yield ok("it", "begins")
        raise ZeroDivisionError("a fault")

    def lose() -> Iterator[Finding]:
        raise RankLost(what="gone")
        yield

    def missing() -> Iterator[Finding]:
        raise ImportError("no numba")
        yield

    end = threading.Event()

    def hang() -> Iterator[Finding]:
        yield ok("it", "begins")
        end.wait()

    assert [found.status for found in guarded("it", fail)] == ["ok", "warning"]
    assert [(found.status, found.exit_code) for found in guarded("it", lose)] == [("problem", 6)]
    assert [(found.status, found.exit_code) for found in guarded("it", missing)] == [("problem", 6)]
    assert [found.status for found in guarded("it", hang, seconds=0.5)] == ["ok", "warning"]
    end.set()


def test_the_exit_code_is_that_of_the_first_step_that_fails() -> None:
    codes = [0, 6, 3, 4]
    assert exit_code([Finding(Status.PROBLEM, "it", "", "", code) for code in codes]) == 3
    assert exit_code([ok("it", "")]) == 0


def test_the_origin_of_each_value_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my.toml"
    file.write_text('[paths]\nuploads = "u"\nwork = "w"\nreports = "r"\n')
    found = origins(file, {"uploads": Path("x"), "database": None}, {"GRT_BATCH_UPLOADS": "e", "GRT_BATCH_WORK": "e"})
    assert found.keys() == Config.__dataclass_fields__.keys()
    wanted = {"uploads": "--uploads", "work": "GRT_BATCH_WORK", "reports": str(file), "database": "default"}
    assert {name: found[name] for name in wanted} == wanted
