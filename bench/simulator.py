"""Predicts how long a run takes with many ranks: `python -m bench.simulator --ranks 50,100,200 --jobs 500000000`.

The ranks live in virtual time (bench/simulation.py): the program's own coordinator hands out the work, and
grt_batch/pipeline/cost_model.py says how long it takes. `--compare` compares the model with runs, by their run.json;
`--measure` makes such runs first. `--costs` prints the model's rates. `--docs` puts the table into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report
from bench.contest import Failed, measure
from bench.simulation import Simulation
from grt_batch.core.config import Config
from grt_batch.pipeline.cost_model import Model, Work
from grt_batch.sample import UNTIL
from grt_batch.uploads.scan import scan

DOCS = report.ROOT / "docs" / "scaling.md"
_RANKS = (50, 100, 200, 500, 1000)
_PREDICTED = ("ranks", "in all, s", "read, s", "workers idle", "rank 0 busy", "read, GB/s", "merge, s", "publish, s")
_COMPARED = ("ranks", "measured, s", "predicted, s", "off by", "measured, CPU s", "predicted, CPU s", "off by")


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict or compare, and print."""
    options = _options(arguments)
    try:
        model = Model().fitted(json.loads(options.rates.read_bytes())) if options.rates else Model()
        if options.measure:
            with tempfile.TemporaryDirectory(prefix="bench-ranks-") as folder:
                Path(folder).chmod(0o755)
                files = measured(options.measure, options.uploads, Path(folder), options.repeats)
                text, what = comparison(files, model, options.cores or _cores()), "compares"
        elif options.costs:
            text, what = costs(model), "takes for costs"
        elif options.compare:
            text, what = comparison(options.compare, model, options.cores or _cores()), "compares"
        else:
            work = work_in(options.uploads) if options.uploads else work_of(options, model)
            text, what = predictions(work, options, model), "predicts"
        if options.docs:
            page = report.put(text, options.docs.read_text(encoding="utf-8"), f"bench/simulator.py {what}")
            options.docs.write_text(page, encoding="utf-8")
    except (Failed, OSError, ValueError, KeyError) as error:
        sys.exit(f"bench: {error}")
    print(text)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.simulator", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=_numbers, default=_RANKS, help="default: 50,100,200,500,1000")
    parser.add_argument("--jobs", type=int, default=500_000_000, help="jobs in all (default: 500 million)")
    parser.add_argument("--instances", type=int, default=100, help="that sent them (default: 100)")
    parser.add_argument("--archives", type=int, default=50, help="archives of each (default: 50)")
    parser.add_argument(
        "--largest", type=float, help="share of the largest instance (default: the n-th has 1/n of the largest)"
    )
    parser.add_argument("--uploads", type=Path, help="archives that there are, instead of --jobs")
    parser.add_argument("--cores", type=float, help="all ranks share so many (default: each has its own)")
    parser.add_argument("--storage", type=float, default=math.inf, help="bytes/s that all can read together")
    parser.add_argument("--rates", type=Path, help="a run.json, whose rates are taken")
    parser.add_argument("--costs", action="store_true", help="print the rates, and nothing else")
    parser.add_argument("--compare", type=Path, nargs="+", help="run.json of runs that knew nothing before")
    parser.add_argument("--measure", type=_numbers, help="run --uploads with so many ranks, and compare")
    parser.add_argument("--repeats", type=int, default=3, help="of --measure; the fastest counts (default: 3)")
    parser.add_argument("--docs", type=Path, nargs="?", const=DOCS, help="put it into a page (docs/scaling.md)")
    options = parser.parse_args(arguments)
    if options.measure and not options.uploads:
        parser.error("--measure needs --uploads")
    return options


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def work_of(options: argparse.Namespace, model: Model) -> Work:
    """Return the work of that many jobs, of instances of different sizes."""
    tar = options.jobs * model.text_per_job / model.text_per_byte
    shares = [1 / number for number in range(1, options.instances + 1)]
    if options.largest is not None and options.instances > 1:
        others = (1 - options.largest) / (options.instances - 1)
        shares = [options.largest, *[others] * (options.instances - 1)]
    sizes = (tar * share / sum(shares) / options.archives for share in shares)
    return Work({str(number): [round(size)] * options.archives for number, size in enumerate(sizes)})


def work_in(uploads: Path) -> Work:
    """Return the archives of a folder as work."""
    return Work({one.instance_id: [archive.bytes for archive in one.archives] for one in scan(uploads).instances})


def costs(model: Model) -> str:
    """A table of what each stage costs."""
    rows = [("stage", "MB/s", "ms each time")]
    for stage, cost in model.costs.items():
        rate = "" if math.isinf(cost.per_second) else f"{cost.per_second / 1e6:,.0f}"
        rows.append((stage.value, rate, f"{cost.each * 1000:g}" if cost.each else ""))
    return "\n".join(report.grid(rows))


def predictions(work: Work, options: argparse.Namespace, model: Model) -> str:
    """A table with a row for each number of ranks."""
    sizes = list(work.archives)
    rows = [_PREDICTED]
    for ranks in options.ranks:
        done = Simulation(work, ranks, model, options.cores or math.inf, options.storage).run()
        rows.append(
            (
                f"{ranks:,}",
                f"{model.start + done.seconds:,.0f}",
                f"{done.reduced:.0f}",
                f"{done.idle:.0%}",
                f"{done.coordinating:.0%}",
                f"{sum(sizes) / (done.reduced - done.begun) / 1e9:.2f}",
                f"{done.merged - done.reduced:.0f}",
                f"{done.seconds - done.merged:.0f}",
            )
        )
    what = (
        f"{sum(sizes) * model.text_per_byte / model.text_per_job / 1e6:.0f} million jobs, {sum(sizes) / 1e9:.1f} GB of"
        f" tar.gz in {len(sizes):,} archives of {len(work.new)} instances, of which the largest has"
        f" {max(work.instances.values()) / sum(sizes):.0%}."
    )
    return "\n".join([what, "", *report.grid(rows)])


def comparison(files: Iterable[Path], model: Model, cores: float) -> str:
    """Return a table with a row for each run. Raises Failed for a run that did not read all of its archives."""
    rows = [_COMPARED]
    for file in files:
        numbers = json.loads(file.read_bytes())
        if "stages" not in numbers:
            raise Failed(f"{file} says nothing of stages: another version wrote it")
        work = work_beside(file, numbers)
        done = Simulation(work, numbers["ranks"], model, cores).run()
        pairs = ((seconds_of(numbers), done.seconds), (cpu_seconds_of(numbers), done.cpu_seconds))
        cells = ((f"{found:.1f}", f"{predicted:.1f}", f"{predicted / found - 1:+.0%}") for found, predicted in pairs)
        rows.append((str(numbers["ranks"]), *(cell for row in cells for cell in row)))
    on = report.machine()
    what = (
        f"{datetime.now(UTC):%Y-%m-%d}: {on['cpu']}, {cores:g} cores, load before: {on['load']:.1f}; "
        f"{numbers['jobs']:,} jobs in {numbers['archives']['published']} archives."
    )
    return "\n".join([what, "", *report.grid(rows)])


def work_beside(file: Path, numbers: Mapping[str, Any]) -> Work:
    """The archives of a run, as its report of them says."""
    if sum(rank["bytes"].get("gunzip", 0) for rank in numbers["stages"]) != numbers["text_bytes"]:
        raise Failed(f"{file}: that run did not read all of its archives, or some of them are in quarantine")
    new: dict[str, list[int]] = {}
    with (file.parent / "archive.tsv").open(encoding="utf-8", newline="\n") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            new.setdefault(row["instance_id"], []).append(int(row["bytes"]))
    return Work(new)


def seconds_of(numbers: Mapping[str, Any]) -> float:
    """Return the seconds of a run, from its first line of code to its swap."""
    begin, end = (datetime.fromisoformat(numbers[name]) for name in ("started", "finished"))
    return (end - begin).total_seconds()


def cpu_seconds_of(numbers: Mapping[str, Any]) -> float:
    """Return the CPU seconds of a run's ranks, without those of the database."""
    return sum(sum(rank["cpu_seconds"].values()) for rank in numbers["stages"])


def measured(
    ranks: Iterable[int], uploads: Path, folder: Path, repeats: int, run: Callable[..., Any] = measure
) -> list[Path]:
    """Return the run.json of the fastest of several runs, for each number of ranks."""
    fastest: list[Path] = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRT_BATCH_")}
    environment["PYTHONPATH"] = str(report.ROOT)
    for number in ranks:
        files = []
        for attempt in range(repeats):
            home = folder / f"{number}-{attempt}"
            home.mkdir()
            command = (
                sys.executable, "-m", "grt_batch.cli", "run", *(("--ranks", str(number)) if number > 1 else ()),
                "--uploads", str(uploads.resolve()), "--reports", str(home / "reports"), "--work", str(home / "work"),
                "--database", Config.database, "--as-of", UNTIL.isoformat(), "--no-progress",
            )  # fmt: skip
            run(command, home / "log", environment)
            files.append(home / "reports" / "latest" / "run.json")
        fastest.append(min(files, key=lambda file: seconds_of(json.loads(file.read_bytes()))))
    return fastest


if __name__ == "__main__":
    main()
