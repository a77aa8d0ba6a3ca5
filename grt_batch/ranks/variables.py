"""The variables of mpirun and the ranks: those that belong to another job are left out, and those that ranks need on
other hosts are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_OF_A_RANK = re.compile(
    r"(PMI|PMI2|HYDI)_|(PMIX|PRTE)_(?!MCA_)|MPI_LOCAL(NRANKS|RANKID)$|OPAL_USER_PARAMS_GIVEN$"
    r"|OMPI_((COMM_)?WORLD_\w+|UNIVERSE_SIZE|FILE_LOCATION|ARGV|COMMAND|VERSION|TOOL_NAME|LIBDIR_LOC|NUM_APP_CTX)$"
    r"|OMPI_(APP_CTX_NUM_PROCS|FIRST_RANKS|MCA_(ess|ess_\w+|orte_\w+|pmix|num_procs|initial_wdir|cpu_type|PREFIXES))$"
)
"""What launchers tell the ranks that they start. The settings of users, such as OMPI_MCA_btl, have other names."""


_PREFIXES = ("OPAL_PREFIX", "PMIX_PREFIX", "PRTE_PREFIX")
"""Where Open MPI and its parts are installed; its ranks have these variables, too."""


_INTERPRETER = ("PYTHONINSPECT", "PYTHONSTARTUP")
"""They make a session of a program: with the first one Python ends with 1, whatever the program's exit code."""


_PASSED_ON = ("GRT_BATCH_", "PG", "MPI4PY_", "NUMBA_", "POLARS_", "PYTHON", "LC_", "AWS_", "UCX_")


_PASSED_ON_BY_NAME = ("LD_LIBRARY_PATH", "PATH", "LANG", "OMP_NUM_THREADS")


def without_other_jobs(environment: Mapping[str, str], mpirun: Path) -> dict[str, str]:
    """Return the variables without those of a job of something else, in which this process may run.

    - An mpirun that a rank of another MPI starts takes itself for that rank.
    - In a job on a single host, mpirun would still ask the batch system to start the ranks. The batch system waits
      until the step around this process ends, or does not know the job any more.
    """
    dropped = set(_INTERPRETER)
    if _hosts_of_slurm(environment) == 1:
        dropped |= {name for name in environment if name.startswith("SLURM_") and name != "SLURM_CONF"}
    if _hosts_of_lsf(environment) == 1:
        dropped |= {name for name in environment if name.startswith("LSB_")}
    prefixes = {mpirun.parent.parent, mpirun.resolve().parent.parent}
    dropped |= {name for name in _PREFIXES if name in environment and Path(environment[name]) not in prefixes}
    kept = (name for name in environment if name not in dropped and not _is_of_a_rank(name))
    return {name: environment[name] for name in kept}


def _is_of_a_rank(name: str) -> bool:
    return name not in _PREFIXES and _OF_A_RANK.match(name) is not None


def _hosts_of_slurm(environment: Mapping[str, str]) -> int | None:
    text = environment.get("SLURM_JOB_NUM_NODES") or environment.get("SLURM_NNODES", "")
    return int(text) if text.isdigit() else None


def _hosts_of_lsf(environment: Mapping[str, str]) -> int | None:
    # Hosts and numbers of slots alternate.
    words = environment.get("LSB_MCPU_HOSTS", "").split()
    return len(set(words[::2])) or None


def is_passed_on(name: str) -> bool:
    """Return whether ranks on other hosts need a variable: those of this program and of PostgreSQL's clients, and what
    says which programs and libraries are loaded."""
    return name.startswith(_PASSED_ON) or name in _PASSED_ON_BY_NAME
