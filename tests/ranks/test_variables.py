"""What mpirun and the ranks hear of the environment, where this process is part of a job of something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.ranks.variables import is_passed_on, without_other_jobs

MPIRUN = Path("/opt/mpi/bin/mpirun")
OPEN_MPI_5 = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_MCA_num_procs": "4",
    "OMPI_UNIVERSE_SIZE": "4",
    "PMIX_NAMESPACE": "prterun-n7-1@1",
    "PMIX_SERVER_URI41": "prterun-n7-1@0.0;tcp4://127.0.0.1:1",
    "PRTE_LAUNCHED": "1",
}
OPEN_MPI_4 = {"OMPI_MCA_orte_hnp_uri": "1.0;tcp://127.0.0.1:1", "OMPI_MCA_ess": "pmi", "OMPI_MCA_ess_base_jobid": "1"}
MPICH = {"PMI_RANK": "0", "PMI_SIZE": "4", "PMI_FD": "9", "HYDI_CONTROL_FD": "7", "MPI_LOCALNRANKS": "4"}
SETTINGS = {
    "OMPI_MCA_btl": "^ofi",
    "PRTE_MCA_plm_ssh_agent": "rsh",
    "PMIX_MCA_gds": "hash",
    "HYDRA_LAUNCHER": "ssh",
    "MPIR_CVAR_CH4_NETMOD": "ofi",
    "I_MPI_FABRICS": "shm",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "PYTHONPATH": "/x",
    "PGSERVICE": "grt",
    "HOME": "/h",
}
SLURM = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n7", "SLURM_NTASKS": "4", "SLURM_CONF": "/etc/slurm.conf"}
LSF = {"LSB_JOBID": "7", "LSB_HOSTS": "n7 n7"}


@pytest.mark.parametrize("job", [OPEN_MPI_5, OPEN_MPI_4, MPICH, OPEN_MPI_5 | MPICH])
def test_a_launcher_s_words_to_another_rank_are_not_heard_and_settings_are(job: dict[str, str]) -> None:
    assert without_other_jobs(job | SETTINGS, MPIRUN) == SETTINGS


def test_python_is_no_session() -> None:
    assert without_other_jobs({"PYTHONINSPECT": "1", "PYTHONSTARTUP": "x", "PYTHONUTF8": "1"}, MPIRUN) == {
        "PYTHONUTF8": "1"
    }


def test_the_place_of_another_open_mpi_is_not_that_of_this_one() -> None:
    assert without_other_jobs({"OPAL_PREFIX": "/usr", "PMIX_PREFIX": "/usr"}, MPIRUN) == {}
    own = {"OPAL_PREFIX": "/opt/mpi", "PMIX_PREFIX": "/opt/mpi"}
    assert without_other_jobs(own, MPIRUN) == own


@pytest.mark.parametrize(
    ("job", "hosts", "left"),
    [
        (SLURM, {"SLURM_JOB_NUM_NODES": "1"}, {"SLURM_CONF": "/etc/slurm.conf"}),
        (SLURM, {"SLURM_NNODES": "1"}, {"SLURM_CONF": "/etc/slurm.conf"}),
        (SLURM, {"SLURM_JOB_NUM_NODES": "2"}, None),
        (LSF, {"LSB_MCPU_HOSTS": "n7 2"}, {}),
        (LSF, {"LSB_MCPU_HOSTS": "n7 2 n8 2"}, None),
    ],
)
def test_a_job_on_one_host_needs_no_batch_system(
    job: dict[str, str], hosts: dict[str, str], left: dict[str, str] | None
) -> None:
    assert without_other_jobs(job | hosts, MPIRUN) == (job | hosts if left is None else left)


def test_ranks_on_other_hosts_load_the_same_programs() -> None:
    names = ("MPI4PY_LIBMPI", "NUMBA_CACHE_DIR", "LD_LIBRARY_PATH", "PYTHONPATH", "PATH", "LC_ALL", "LANG", "PGSERVICE")
    assert all(map(is_passed_on, names))
    assert not any(map(is_passed_on, ("HOME", "TMPDIR", "HOSTNAME", "SLURM_JOB_ID", "LANGUAGE", "SSH_AUTH_SOCK")))
