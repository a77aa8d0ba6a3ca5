"""Which mpirun is taken, the command that it gets, and what its exit codes and banners mean."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from grt_batch.core.errors import NoMpirun
from grt_batch.ranks.mpirun import Banners, Flavour, Mpirun, command, exit_code, find_mpirun, is_tolerant


def fake_mpirun(prefix: Path, version: str, library: str | None = None) -> Path:
    """A program that answers --version, and an empty libmpi beside it."""
    (prefix / "bin").mkdir(parents=True)
    path = prefix / "bin" / "mpirun"
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    if library:
        (prefix / "lib").mkdir()
        (prefix / "lib" / library).touch()
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
        "EDITOR": "vi",
    }
    line, environment = command(OPEN_MPI, 2, [], environment=named, root=False, cores=2)
    handed_on = {line[i + 1] for i, word in enumerate(line) if word == "-x"}
    assert handed_on & set(named) == set(named) - {"EDITOR"}
    assert not set(named.values()) & set(line), "others see the command"
    assert environment.items() >= named.items()


def test_the_command_of_open_mpi() -> None:
    line, environment = command(OPEN_MPI, 4, ["--as-of", "2024-01-01"], environment={}, root=True, cores=2)
    head = ["/opt/mpi/bin/mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none", "--stdin", "none"]
    assert line[: len(head)] == head
    tail = [sys.executable, "-m", "mpi4py", "-m", "grt_batch.cli", "run", "--as-of", "2024-01-01"]
    assert line[-len(tail) :] == tail
    handed_on = line[len(head) : -len(tail)]
    assert set(handed_on[0::2]) == {"-x"}
    threads = ["NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"]
    assert handed_on[1::2] == ["MPI4PY_LIBMPI", *threads]
    assert environment["OMPI_ALLOW_RUN_AS_ROOT"] == environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] == "1"
    assert environment["OMPI_MCA_btl"] == "^ofi"
    assert Path(environment["HOME"]).is_absolute()
    assert environment["OMPI_MCA_mpi_yield_when_idle"] == "1"
    assert environment["MPI4PY_LIBMPI"] == "/opt/mpi/lib/libmpi.so.40"
    assert [environment[name] for name in threads] == ["1", "1", "1"]


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


@pytest.mark.parametrize(
    ("returncode", "banners", "interrupted", "code", "word"),
    [
        (0, Banners(), None, 0, None),
        (3, Banners(), None, 3, None),
        (1, Banners(ended=True), None, 1, None),
        (1, Banners(foreign=True), None, 6, "could not start"),
        (1, Banners(foreign=True, ended=True), None, 1, None),
        (1, Banners(ended=True, improper=True), None, 6, "before the end"),
        (4, Banners(ended=True, signalled="rank 1 was ended"), None, 6, "rank 1"),
        (6, Banners(), None, 6, None),
        (213, Banners(), None, 6, "code 213"),
        (143, Banners(ended=True), None, 6, "a rank was ended by signal 15 (Terminated)"),
        (-9, Banners(), None, 6, "Killed"),
        (1, Banners(), signal.SIGINT, 130, None),
        (-9, Banners(), signal.SIGTERM, 143, None),
        (0, Banners(), signal.SIGTERM, 0, None),
    ],
)
def test_the_exit_code(returncode: int, banners: Banners, interrupted: int | None, code: int, word: str | None) -> None:
    found, reason = exit_code(returncode, banners, interrupted)
    assert found == code
    assert (reason is None) == (word is None)
    assert (word or "") in (reason or "")


DASHES = "-" * 74
EQUALS = "=" * 83
OPEN_MPI_KILLED = (
    f"{DASHES}\nmpirun noticed that process rank 1 with PID 7 on node n7\nexited on signal 9 (Killed).\n{DASHES}\n"
)
MPICH_KILLED = (
    f"\n{EQUALS}\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 7 RUNNING AT n7\n"
    f"{EQUALS}\nYOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)\nThis.\nSee the FAQ.\n"
)
INTEL_KILLED = (
    f"\n{EQUALS}\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   RANK 0 PID 7 RUNNING AT n7\n"
    f"=   KILLED BY SIGNAL: 9 (Killed)\n{EQUALS}\n"
)
ABORTED = "Abort(6) on node 1 (rank 1 in comm 0): application called MPI_Abort(MPI_COMM_WORLD, 6)\n"
EVENT_LOOP = (
    "[warn] Epoll MOD(1) on fd 22 failed. Old events were 6; read change was 0 (none); write change was 2 (del);"
    " close change was 0 (none): Bad file descriptor\n"
)
MPIRUNS_OWN = f"{DASHES}\nThere are not enough slots.\n{DASHES}\n"
UNFINISHED = f"{DASHES}\nno end\n"


@pytest.mark.parametrize(
    ("banner", "left", "signalled"),
    [
        (OPEN_MPI_KILLED, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        (MPICH_KILLED, "", "a rank on n7 was ended by signal 9 (Killed)"),
        (INTEL_KILLED, "", "a rank on n7 was ended by signal 9 (Killed)"),
        (INTEL_KILLED + INTEL_KILLED.replace("9", "11"), "", "a rank on n7 was ended by signal 11 (Killed)"),
        (ABORTED, "", None),
        (EVENT_LOOP, "", None),
        (EVENT_LOOP + OPEN_MPI_KILLED, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        (OPEN_MPI_KILLED + EVENT_LOOP, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        ("[warn] of another kind\n", "[warn] of another kind\n", None),
        (MPIRUNS_OWN, MPIRUNS_OWN, None),
        (UNFINISHED, UNFINISHED, None),
    ],
)
def test_banners_leave_the_output_wherever_it_is_cut(banner: str, left: str, signalled: str | None) -> None:
    text = f"before\n\n- one\nA two\n[three\n{banner}after -"
    for cut in range(len(text)):
        banners = Banners()
        out, rest = banners.split(text[:cut].encode())
        more, rest = banners.split(rest + text[cut:].encode())
        assert (out + more + rest).decode() == f"before\n\n- one\nA two\n[three\n{left}after -"
        assert banners.signalled == signalled


@pytest.mark.parametrize(
    ("lines", "signalled"),
    [(1, None), (2, None), (3, "rank 1 on n7 was ended by signal 9 (Killed)")],
)
def test_a_banner_whose_end_never_comes_leaves_the_output(lines: int, signalled: str | None) -> None:
    banners = Banners()
    out, rest = banners.split(b"before\n" + b"".join(OPEN_MPI_KILLED.encode().splitlines(keepends=True)[:lines]))
    assert (out, banners.close(rest)) == (b"before\n", b"")
    assert banners.signalled == signalled


def test_a_word_of_the_event_loop_that_is_cut_off_leaves_the_output() -> None:
    banners = Banners()
    out, rest = banners.split(f"before\n{EVENT_LOOP[:40]}".encode())
    assert (out, banners.close(rest)) == (b"before\n", b"")


@pytest.mark.parametrize("rest", [UNFINISHED, "-", "A", "[wa", "\n", "", "-" * 75 + "\n"])
def test_what_only_began_like_a_banner_stays(rest: str) -> None:
    assert Banners().close(rest.encode()) == rest.encode()


def test_a_banner_after_a_progress_bar_leaves_the_bar() -> None:
    assert Banners().split(f"\r 40%|## {OPEN_MPI_KILLED}".encode()) == (b"\r 40%|## ", b"")
