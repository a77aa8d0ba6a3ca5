"""The probes of the programs and libraries."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from calling import Call
from examining import examined, statuses

from grt_batch import __version__
from grt_batch.core.errors import NoEmbeddedServer, Unforeseen
from grt_batch.doctor import programs
from grt_batch.doctor.findings import Status
from grt_batch.kernels import cache
from grt_batch.kernels.place import Place


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


def use_places(monkeypatch: pytest.MonkeyPatch, *places: Place) -> None:
    monkeypatch.setattr(cache, "places", lambda: places)


@pytest.mark.parametrize(("made", "said"), [("folder", "is empty"), ("file", "no folder for compiled kernels can be")])
def test_kernels_that_are_not_compiled_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, said: str
) -> None:
    place = tmp_path / "cache"
    if made == "folder":
        place.mkdir()
    else:
        place.touch()
    use_places(monkeypatch, Place(place / "kernels" / "cpu"))
    (found,) = programs.kernels()
    assert found.status is Status.WARNING and said in found.found


def test_a_package_that_is_missing_is_a_problem_but_for_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("numpy", "mpi4py", "psycopg2-binary"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(programs, "version", version)
    findings = {finding.subject: finding for finding in programs.versions()}
    assert findings["grt_batch"].found.startswith(f"{__version__} in ")
    assert (findings["numpy"].status, findings["numpy"].exit_code) == (Status.PROBLEM, Unforeseen.exit_code)
    assert findings["mpi4py"].status is Status.WARNING
    assert (findings["psycopg2"].status, findings["psycopg2"].found) == (Status.OK, "1.0")
    assert findings["polars"].status is Status.OK


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoEmbeddedServer(what="not installed"), "not installed"),
        (FileNotFoundError(2, "No such file"), "[Errno 2] No such file"),
        (subprocess.TimeoutExpired("postgres", 8.0), "no answer within 8 seconds"),
        (subprocess.CalledProcessError(1, "postgres", stderr="a trace\nno library\n"), "no library"),
        (subprocess.CalledProcessError(1, "it", stderr=""), "Command 'it' returned non-zero exit status 1."),
    ],
)
def test_a_server_that_cannot_be_used_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail() -> Path:
        raise error

    monkeypatch.setattr("grt_batch.embedded_postgres.programs.binaries", fail)
    (finding,) = programs.postgresql()
    assert (finding.status, finding.subject, finding.found) == (Status.WARNING, "embedded server", said)


def test_all_batch_systems_are_named(tmp_path: Path) -> None:
    for name in programs.SCHEDULERS:
        (tmp_path / name).touch(mode=0o755)
    (finding,) = programs.scheduler({"PATH": str(tmp_path)})
    assert finding.found == f"LSF, {tmp_path}/bsub; Slurm, {tmp_path}/sbatch"


def test_compiled_kernels_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kernels" / "cpu"
    folder.mkdir(parents=True)
    for name in ("a.kernel", "b.kernel", "a.part"):
        (folder / name).touch()
    use_places(monkeypatch, Place(folder))
    (finding,) = programs.kernels()
    assert (finding.status, finding.found) == (Status.OK, f"{folder} is warm: 2 compiled kernels")
    use_places(monkeypatch, Place(tmp_path / "none" / "cpu"), Place(folder, is_fallback=True))
    (finding,) = programs.kernels()
    assert (finding.status, finding.found.partition(",")[0]) == (Status.WARNING, f"{folder} is warm")
    folder.chmod(0o777)
    unsafe, empty = programs.kernels()
    assert unsafe.found == f"{folder} is not used: another user can write to it"
    assert empty.found == f"{tmp_path / 'none' / 'cpu'} is empty"
