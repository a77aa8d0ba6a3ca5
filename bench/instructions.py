"""Counts the instructions of each stage under valgrind: `python -m bench.instructions`, some minutes.

They do not depend on other programs, and hardly on the machine: code is compiled for an old processor. What a small
sample takes is subtracted from what a larger one takes, so that the rest is that of its further jobs. A kind of member
takes what archives take less without it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import report
from bench.contest import Failed
from grt_batch import __version__
from grt_batch.core.timing import Stage
from grt_batch.embedded_postgres.server import serve
from grt_batch.sample import UNTIL, write_sample
from grt_batch.sample.releases import RELEASE_1809, RELEASE_2401, profiles_with

RELEASES = {"main": RELEASE_2401, "second": RELEASE_1809}
"""Whose members the archives of a set have."""

_SMALL, _LARGE = 4_000, 24_000
_ARCHIVES = 2
_LEAST = 0.001
"""The share of all instructions from which a stage is listed."""
_PROGRAM = Path(__file__).with_name("counted_runs.py")

Counts = Mapping[str, tuple[float, float]]
"""By stage the instructions and the bytes."""
Rows = Mapping[str, tuple[float, float]]
"""By the name of a row the instructions a job and a byte."""


def without(of: str, member: str = "") -> tuple[str, ...]:
    """Return the members of a set, but for one."""
    return tuple(other for other in RELEASES[of].members if other != member)


def counts_in(numbers: Mapping[str, Any]) -> Counts:
    """Return the counts in the run.json of one rank; but for COPY, which has a thread and a clock of its own."""
    (rank,) = numbers["stages"]
    found = {stage: count for stage, count in rank["cpu_seconds"].items() if stage != Stage.COPY}
    return {stage: (count, rank["bytes"].get(stage, 0)) for stage, count in found.items()}


def difference(more: Counts, less: Counts) -> Counts:
    """Return how much more one has than the other."""
    nothing = (0.0, 0.0)
    found = {}
    for stage in more.keys() | less.keys():
        (count, size), (other_count, other_size) = more.get(stage, nothing), less.get(stage, nothing)
        found[stage] = count - other_count, size - other_size
    return found


def rows_of(whole: Counts, large: Counts, lacking: Mapping[str, Counts], sizes: tuple[int, int]) -> Rows:
    """Return a row for each stage, the sum of all, and each kind of member.

    `whole` is what the jobs take that a large sample has more than a small one; `lacking` has the counts of large
    samples without one kind of member, and what none of them takes is that of jobs.
    """
    small, jobs = sizes
    total = sum(count for count, _ in whole.values())
    rows = {stage.value: whole[stage] for stage in Stage if whole.get(stage, (0, 0))[0] >= _LEAST * total}
    rows["all"] = total, whole[Stage.GUNZIP][1]
    decoding = large.get(Stage.DECODE, (0.0, 0.0))
    kinds = {member: difference(large, counts).get(Stage.DECODE, (0.0, 0.0)) for member, counts in lacking.items()}
    kinds["jobs"] = decoding[0] - sum(one for one, _ in kinds.values()), decoding[1] - sum(b for _, b in kinds.values())
    return {name: _rates(*found, jobs - small) for name, found in rows.items()} | {
        f"decode: {member}": _rates(*found, jobs) for member, found in kinds.items()
    }


def _rates(count: float, size: float, jobs: int) -> tuple[float, float]:
    """Return instructions a job and a byte."""
    return count / jobs, count / size if size > 0 else 0.0


def table(sets: Mapping[str, Rows]) -> str:
    """Return a table of instructions a job and a byte, for each set."""
    titles = ("stage", *(title for of in sets for title in (f"{of}: a job", "a byte")))
    found = dict.fromkeys(name for of in reversed(list(sets)) for name in sets[of])
    names = [
        *(stage.value for stage in Stage if stage.value in found),
        *(name for name in found if name not in {*Stage}),
    ]
    lines = [titles]
    for name in names:
        rates = (sets[of].get(name, (0, 0)) for of in sets)
        cells = ((f"{job:,.0f}" if job else "", f"{byte:.1f}" if byte else "") for job, byte in rates)
        lines.append((name, *(cell for pair in cells for cell in pair)))
    return "\n".join(report.grid(lines))


def measure(folder: Path, sizes: tuple[int, int]) -> dict[str, Rows]:
    """Write samples into the folder, and count what the program takes for them. Raises Failed."""
    small, large = sizes
    samples = [
        # The first is not counted; its archives have all kinds of members.
        ("second", without("second"), small // 2),
        *((of, without(of), jobs) for of in RELEASES for jobs in sizes),
        *((of, without(of, member), large) for of in RELEASES for member in without(of, "jobs")),
    ]
    homes = {key: folder / str(number) for number, key in enumerate(samples)}
    for (of, members, jobs), home in homes.items():
        profiles = profiles_with(replace(RELEASES[of], members=members))
        write_sample(home / "uploads", jobs=jobs, instances=1, archives=_ARCHIVES, profiles=profiles)
    server = folder / "server"
    server.mkdir(mode=0o755)
    with serve(server) as url:
        _run_all([_command(home, url) for home in homes.values()], folder)
    told = {key: json.loads((home / "reports/latest/run.json").read_bytes()) for key, home in homes.items()}
    counts = {key: counts_in(numbers) for key, numbers in told.items()}
    found = {}
    for of in RELEASES:
        least, most = (counts[of, without(of), jobs] for jobs in sizes)
        lacking = {member: counts[of, without(of, member), large] for member in without(of, "jobs")}
        found[of] = rows_of(difference(most, least), most, lacking, sizes)
    return found


def _command(home: Path, url: str) -> list[str]:
    folders = [f"--{name}={home / name}" for name in ("uploads", "work", "reports")]
    return ["run", *folders, f"--database={url}", f"--as-of={UNTIL.isoformat()}", "--no-progress"]


def _run_all(commands: Sequence[Sequence[str]], folder: Path) -> None:
    """Run the commands under valgrind, and before that without, so that all is compiled."""
    file, out = folder / "commands", folder / "callgrind"
    file.write_text("".join(json.dumps(command) + "\n" for command in commands), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "GRT_BATCH_"))}
    environment |= {"PYTHONPATH": str(report.ROOT), "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    # valgrind knows no newer instructions than those of 2015, and no processor is older than this one.
    environment |= {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "", "POLARS_MAX_THREADS": "1"}
    program = [sys.executable, str(_PROGRAM)]
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--smc-check=all-non-file"]
    valgrind += [f"--callgrind-out-file={out}", f"--log-file={folder}/log"]
    for command in ([*program, str(file)], [*valgrind, *program, str(out), str(file)]):
        for home in folder.glob("*/reports"):
            shutil.rmtree(home.parent / "work")
            shutil.rmtree(home)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{command[0]} ended with code {done.returncode} and said: {done.stderr[-300:]}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--docs", type=Path, nargs="?", const=report.DOCS, help="put it into a page (performance.md)")
    options = parser.parse_args(arguments)
    if not shutil.which("valgrind"):
        sys.exit("bench: valgrind is not installed; on Debian: apt-get install valgrind")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-instructions-") as folder:
            Path(folder).chmod(0o755)
            found = measure(Path(folder), (_SMALL, _LARGE))
        block = f"grt_batch {__version__}.\n\n{table(found)}"
        print(block)
        if options.docs:
            page = report.put(block, options.docs.read_text(encoding="utf-8"), "bench/instructions.py writes")
            options.docs.write_text(page, encoding="utf-8")
    except Failed as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
