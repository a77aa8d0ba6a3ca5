"""Measures what stages cost, and puts it into grt_batch/pipeline/cost_model.py: `python -m bench.calibration --write`.

It runs the main set with one rank: so many jobs in few archives, four times as many, and so many in many archives. A
stage takes a time for each byte and one for each archive (or run); the two that explain the runs best are its cost.
`--runs` takes the run.json of other runs of one rank, which knew nothing before. docs/scaling.md is then made anew by
`python -m bench.simulator`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import report
from bench.__main__ import DATA
from bench.cases import Case, uploads
from bench.contest import Failed
from bench.simulator import measured, work_beside
from grt_batch.core.errors import GrtError
from grt_batch.core.timing import Stage
from grt_batch.pipeline.cost_model import COSTS, IN_AND_OUT, Cost

MODEL = report.ROOT / "grt_batch" / "pipeline" / "cost_model.py"

_OF_TEXT = {Stage.GUNZIP, Stage.DECODE, Stage.LEAD, Stage.JOIN, Stage.AGGREGATE, Stage.STORE}
"""Stages whose bytes are those of the text of archives, and whose time each is of an archive."""
_OF_ARCHIVES = {*_OF_TEXT, Stage.REDUCE, Stage.MERGE}
_OF_MESSAGES = {Stage.SEND, Stage.RECEIVE}
"""One rank sends none, so their costs stay as they are."""

Numbers = Mapping[str, Any]


def costs_of(runs: Sequence[Numbers]) -> dict[Stage, Cost]:
    """Return the cost of each stage that the runs entered."""
    found = {}
    for stage in COSTS.keys() - _OF_MESSAGES:
        points = [_point(stage, run) for run in runs]
        if any(seconds for *_, seconds in points):
            found[stage] = _fitted(np.array(points), COSTS[stage])
    return found


def sizes_of(files: Sequence[Path], runs: Sequence[Numbers]) -> dict[str, float]:
    """Return the numbers of the model that say how much data each step makes of its input."""
    text, tar, jobs = (sum(run[name] for run in runs) for name in ("text_bytes", "bytes", "jobs"))
    found = {"text_per_byte": text / tar, "text_per_job": text / jobs}
    archives = [(run["text_bytes"] / _archives(run), _bytes(run, Stage.MERGE) / _archives(run)) for run in runs]
    found |= dict(zip(("partial_factor", "partial_power"), _law(archives), strict=True))
    instances = [
        [sum(sizes) * run["text_bytes"] / run["bytes"] for sizes in work_beside(file, run).new.values()]
        for file, run in zip(files, runs, strict=True)
    ]
    tables = [
        (sum(texts) / len(texts), _bytes(run, Stage.TABLES) / len(texts))
        for texts, run in zip(instances, runs, strict=True)
    ]
    return found | dict(zip(("table_factor", "table_power"), _law(tables), strict=True))


def _point(stage: Stage, run: Numbers) -> tuple[float, float, float]:
    """Return the bytes, the times and the seconds of a stage in a run, in the units of the model."""
    (rank,) = run["stages"]
    size = run["text_bytes"] if stage in _OF_TEXT else rank["bytes"].get(stage, 0)
    times = _archives(run) if stage in _OF_ARCHIVES else 1
    return size, times, rank["seconds" if stage in IN_AND_OUT else "cpu_seconds"].get(stage, 0)


def _archives(run: Numbers) -> int:
    return int(run["archives"]["published"])


def _bytes(run: Numbers, stage: Stage) -> int:
    return int(sum(rank["bytes"].get(stage, 0) for rank in run["stages"]))


def _fitted(points: np.ndarray, before: Cost) -> Cost:
    """Return the cost with the smallest relative errors; a part of it that was nothing before stays so."""
    *parts, seconds = points.T
    wanted = [np.isfinite(before.per_second), before.each > 0]
    chosen = [place for place in range(2) if wanted[place] and parts[place].any()]
    weights = 1 / np.maximum(seconds, 1e-3)
    while chosen:
        matrix = np.stack([parts[place] for place in chosen], axis=1)
        found = np.linalg.lstsq(matrix * weights[:, None], seconds * weights, rcond=None)[0]
        if (found > 0).all():
            values = dict(zip(chosen, found.tolist(), strict=True))
            return Cost(1 / values[0] if 0 in values else before.per_second, values.get(1, 0.0))
        del chosen[int(found.argmin())]
    return before


def _law(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return factor and power of the law y = factor * x ** power. Raises Failed where the runs do not show it."""
    if any(value <= 0 for point in points for value in point) or len({x for x, _ in points}) == 1:
        raise Failed("the runs must differ in the sizes of archives and instances, and have two archives of each")
    x, y = np.log(np.array(points)).T
    power, factor = np.polyfit(x, y, 1)
    return float(np.exp(factor)), float(power)


def put(costs: Mapping[Stage, Cost], sizes: Mapping[str, float], code: str) -> str:
    """Return the code of the model with these numbers. Raises Failed if it has no place for one."""
    places = {rf"(Stage\.{stage.name}: Cost\().*(\),)": _arguments(cost) for stage, cost in costs.items()}
    places |= {rf"(    {name}: float = ).*()": _rounded(value) for name, value in sizes.items()}
    for place, number in places.items():
        code, times = re.subn(place, rf"\g<1>{number}\g<2>", code)
        if times != 1:
            raise Failed(f"the model has {times} places for {place}")
    return code


def _arguments(cost: Cost) -> str:
    rate = f"{_rounded(cost.per_second / 1e6)}e6" if np.isfinite(cost.per_second) else ""
    each = f"{cost.each:.2g}" if cost.each else ""
    return ", ".join([rate, each] if rate and each else [rate or f"each={each}"])


def _rounded(value: float) -> str:
    """Return a number of three digits, as the code of the model writes it."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:_.0f}" if rounded >= 1000 else f"{rounded:g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    parser.add_argument("--jobs", type=int, default=250_000, help="of the smallest run (default: 250000)")
    parser.add_argument("--repeats", type=int, default=3, help="of each run; the fastest counts (default: 3)")
    parser.add_argument("--data", type=Path, default=DATA, help="where samples are kept (default: bench/data)")
    parser.add_argument("--runs", type=Path, nargs="+", help="run.json of runs instead of those")
    parser.add_argument("--write", type=Path, nargs="?", const=MODEL, help="put the numbers into the model")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-calibration-") as folder:
            files = options.runs or _runs(options, Path(folder))
            runs = [json.loads(file.read_bytes()) for file in files]
            costs, sizes = costs_of(runs), sizes_of(files, runs)
        for stage, cost in costs.items():
            print(f"{stage.value:<12}{_arguments(cost)}")
        for name, value in sizes.items():
            print(f"{name:<16}{_rounded(value)}")
        if options.write:
            options.write.write_text(put(costs, sizes, options.write.read_text(encoding="utf-8")), encoding="utf-8")
    except (Failed, GrtError, OSError, KeyError, ValueError) as error:
        sys.exit(f"bench: {error}")


def _runs(options: argparse.Namespace, folder: Path) -> list[Path]:
    """Return the run.json of runs of one rank."""
    folder.chmod(0o755)
    options.data.mkdir(parents=True, exist_ok=True)
    files = []
    jobs = options.jobs
    for number, case in enumerate((Case("few", jobs, 8), Case("more jobs", 4 * jobs, 8), Case("many", jobs, 100))):
        home = folder / str(number)
        home.mkdir()
        files += measured((1,), uploads(options.data.resolve(), "main", case), home, options.repeats)
    return files


if __name__ == "__main__":
    main()
