"""Which mpirun is taken, and the command that it gets."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from grt_batch.core.errors import NoMpirun
from grt_batch.ranks.mpirun import Flavour, Mpirun, command, find_mpirun, is_tolerant


def fake_mpirun(prefix: Path, version: str, library: str | None = None, lib: str = "lib") -> Path:
    """A program that answers --version, and an empty libmpi beside it."""
    (prefix / "bin").mkdir(parents=True)
    path = prefix / "bin" / "mpirun"
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    if library:
        (prefix / lib).mkdir(parents=True)
        (prefix / lib / library).touch()
    return path


@pytest.mark.parametrize(
    ("version", "flavour"),
    [
        ("mpirun (Open MPI) 5.0.11", Flavour.OPEN_MPI),
        ("mpirun.openmpi (OpenRTE) 4.1.4", Flavour.OPEN_MPI),
        ("HYDRA build details: Version: 4.0", Flavour.MPICH),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.18", Flavour.INTEL_MPI),
    ],
)
def test_the_family_is_known_by_the_version(tmp_path: Path, version: str, flavour: Flavour) -> None:
    path = fake_mpirun(tmp_path, version)
    assert find_mpirun({"GRT_BATCH_MPIRUN": str(path)}) == Mpirun(path, flavour)


def test_the_library_beside_mpirun_belongs_to_it(tmp_path: Path) -> None:
    path = fake_mpirun(tmp_path, "HYDRA", "libmpi.so.12")
    library = tmp_path / "lib" / "libmpi.so.12"
    assert find_mpirun({"MPI4PY_LIBMPI": str(library)}) == Mpirun(path, Flavour.MPICH, library)


@pytest.mark.parametrize(
    ("version", "library"), [("Open MPI", "libmpi.so.40"), ("HYDRA", "libmpich.so.12"), ("HYDRA", "libmpi.so.12")]
)
def test_so_does_that_in_debian_s_folder_for_the_processor(tmp_path: Path, version: str, library: str) -> None:
    lib = f"lib/{sysconfig.get_config_var('MULTIARCH')}"
    path = fake_mpirun(tmp_path, version, library, lib)
    assert find_mpirun({"GRT_BATCH_MPIRUN": str(path)}).library == tmp_path / lib / library


def test_intel_mpi_is_started_without_its_shell_script(tmp_path: Path) -> None:
    path = fake_mpirun(tmp_path, "Intel(R) MPI Library")
    hydra = path.with_name("mpiexec.hydra")
    hydra.touch()
    assert find_mpirun({"GRT_BATCH_MPIRUN": str(path)}).path == hydra


def test_the_environment_names_the_mpirun_before_anything_else(tmp_path: Path) -> None:
    wanted = fake_mpirun(tmp_path / "wanted", "Open MPI")
    other = fake_mpirun(tmp_path / "other", "Open MPI", "libmpi.so.40")
    environment = {
        "PATH": f"{wanted.parent}:{os.defpath}",
        "GRT_BATCH_MPIRUN": "mpirun",
        "MPI4PY_LIBMPI": str(other.parents[1] / "lib" / "libmpi.so.40"),
    }
    assert find_mpirun(environment).path == wanted


def test_path_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = fake_mpirun(tmp_path / "path", "Open MPI")
    beside = fake_mpirun(tmp_path / "python", "Open MPI")
    environment = {"PATH": f"{on_path.parent}:{os.defpath}"}
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    assert find_mpirun(environment).path == beside
    beside.unlink()
    assert find_mpirun(environment).path == on_path


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"PATH": "/nowhere"}, "none on PATH"),
        ({"PATH": "/nowhere", "GRT_BATCH_MPIRUN": "mpirun"}, "GRT_BATCH_MPIRUN=mpirun is no program"),
    ],
)
def test_no_mpirun_is_an_error_that_says_where_it_was_sought(
    environment: dict[str, str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(NoMpirun, match=what):
        find_mpirun(environment)


def test_an_mpirun_of_nobody_is_an_error(tmp_path: Path) -> None:
    path = fake_mpirun(tmp_path, "my own script")
    with pytest.raises(NoMpirun, match="neither"):
        find_mpirun({"GRT_BATCH_MPIRUN": str(path)})


OPEN_MPI = Mpirun(Path("/opt/mpi/bin/mpirun"), Flavour.OPEN_MPI, Path("/opt/mpi/lib/libmpi.so.40"))
MPICH = Mpirun(Path("/opt/mpich/bin/mpirun"), Flavour.MPICH)


def test_open_mpi_hands_on_what_rank_0_needs_on_another_host() -> None:
    named = {
        "GRT_BATCH_DATABASE": "postgresql:///grt",
        "PGPASSFILE": "/home/grt/.pgpass",
        "PGSERVICE": "grt",
        "MPI4PY_LIBMPI": "/opt/mpi/libmpi.so",
        "NUMBA_CACHE_DIR": "/cache",
        "LD_LIBRARY_PATH": "/opt/lib",
        "PYTHONPATH": "/opt/python",
        "PATH": "/opt/bin",
        "EDITOR": "vi",
    }
    line, environment = command(OPEN_MPI, 2, [], environment=named, root=False, cores=2)
    handed_on = {line[i + 1] for i, word in enumerate(line) if word == "-x"}
    assert handed_on & set(named) == set(named) - {"EDITOR"}
    assert not set(named.values()) & set(line), "others see the command"
    assert environment.items() >= {**named, "PATH": "/opt/bin:/opt/mpi/bin"}.items()


def test_the_command_of_open_mpi() -> None:
    line, environment = command(OPEN_MPI, 4, ["--as-of", "2024-01-01"], environment={}, root=True, cores=2)
    head = ["/opt/mpi/bin/mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none", "--stdin", "none"]
    assert line[: len(head)] == head
    tail = [sys.executable, "-m", "mpi4py", "-m", "grt_batch.cli", "run", "--as-of", "2024-01-01"]
    assert line[-len(tail) :] == tail
    handed_on = line[len(head) : -len(tail)]
    assert set(handed_on[0::2]) == {"-x"}
    threads = ["NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"]
    assert handed_on[1::2] == ["MPI4PY_LIBMPI", *threads[:2], "PATH", threads[2]]
    assert environment["OMPI_ALLOW_RUN_AS_ROOT"] == environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] == "1"
    assert environment["OMPI_MCA_btl"] == "^ofi"
    assert Path(environment["HOME"]).is_absolute()
    assert environment["OMPI_MCA_mpi_yield_when_idle"] == "1"
    assert environment["MPI4PY_LIBMPI"] == "/opt/mpi/lib/libmpi.so.40"
    assert [environment[name] for name in threads] == ["1", "1", "1"]


@pytest.mark.parametrize(("mpirun", "option"), [(OPEN_MPI, "--host"), (MPICH, "-hosts")])
def test_hosts_are_named_as_mpirun_takes_them(mpirun: Mpirun, option: str) -> None:
    line, environment = command(mpirun, 4, [], hosts="n7:2, n8:2", environment={}, cores=2)
    assert line[line.index(option) + 1] == "n7:2,n8:2"
    assert not {"OMPI_MCA_mpi_yield_when_idle", "MPIR_CVAR_ENABLE_HEAVY_YIELD"} & environment.keys()
    line, _ = command(mpirun, 4, [], environment={}, cores=2)
    assert option not in line


def test_open_mpi_is_told_to_tolerate_losses() -> None:
    options = [command(OPEN_MPI, 4, [], environment={}, tolerant=tolerant)[0] for tolerant in (False, True)]
    assert ["--with-ft" in line for line in options] == [False, True]
    assert options[1][options[1].index("--with-ft") + 1] == "ulfm"


@pytest.mark.parametrize(
    ("flavour", "answer", "tolerant"),
    [
        (Flavour.OPEN_MPI, "options:ft_support:yes\noptions:ft_mpi_support:yes", True),
        (Flavour.OPEN_MPI, "options:ft_mpi_support:no", False),
        (Flavour.OPEN_MPI, None, False),
        (Flavour.MPICH, "options:ft_mpi_support:yes", False),
    ],
)
def test_open_mpi_says_whether_it_tolerates_losses(
    tmp_path: Path, flavour: Flavour, answer: str | None, tolerant: bool
) -> None:
    path = fake_mpirun(tmp_path, "whatever")
    if answer is not None:
        path.with_name("ompi_info").write_text(f"#!/bin/sh\ncat <<END\n{answer}\nEND\n")
        path.with_name("ompi_info").chmod(0o755)
    assert is_tolerant(Mpirun(path, flavour), {}) is tolerant


def test_who_is_not_root_does_not_ask_for_it() -> None:
    _, environment = command(OPEN_MPI, 4, [], environment={}, root=False, cores=8)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in environment
    assert "OMPI_MCA_mpi_yield_when_idle" not in environment


def test_the_command_of_mpich() -> None:
    line, environment = command(MPICH, 3, [], program=["x.py"], environment={}, root=True, cores=2)
    assert line == ["/opt/mpich/bin/mpirun", "-n", "3", sys.executable, "-m", "mpi4py", "x.py"]
    assert environment["MPIR_CVAR_ENABLE_HEAVY_YIELD"] == "1"
    assert not any(name.startswith("OMPI_") for name in environment)


def test_what_the_user_has_set_stays() -> None:
    own = {"OMPI_MCA_btl": "self,tcp", "OMP_NUM_THREADS": "4", "MPI4PY_LIBMPI": "/x/libmpi.so", "HOME": "/h"}
    _, environment = command(OPEN_MPI, 4, [], environment=own, root=False, cores=8)
    assert environment.items() >= own.items()


def test_the_configuration_in_the_environment_reaches_other_hosts() -> None:
    line, _ = command(OPEN_MPI, 4, [], environment={"GRT_BATCH_WORK": "w", "OTHER": "o"}, cores=8)
    assert "GRT_BATCH_WORK" in line
    assert "OTHER" not in line
