"""Dispatches modules: what mpirun, bsub, sbatch and cron start. The same as `grt-batch run`.

python manager.py [OPTIONS] [MODULE...]
mpirun -n 8 python -m mpi4py manager.py [OPTIONS] [MODULE...]
"""

import sys

from grt_batch.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
