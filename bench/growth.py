"""Measures how the time grows: with the data, with the ranks, and if one instance has nearly all of the data.

`make growth JOBS=… REPEATS=…`. Each round runs everything, one run after the other. Prints medians, and with --docs
writes them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report, sample
from bench.contest import Failed, measure
from grt_batch.core.errors import GrtError
from grt_batch.core.trace import trace_folder
from grt_batch.decode.warm import compile_kernels as warm
from grt_batch.embedded_postgres.server import serve
from grt_batch.sample import UNTIL

INSTANCES, ARCHIVES, TIMES = 4, 12, 4
BEGIN, END = "<!-- begin of what bench/growth.py writes -->", "<!-- end of what bench/growth.py writes -->"


@dataclass
class Line:
    """One of the compared runs: its seconds in all, and while archives were read; and the share of the latter in which
    the working ranks waited, if it was measured.
    """

    name: str
    uploads: Path
    ranks: int
    again: bool = False
    profile: bool = False
    seconds: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)

    def run(self, scratch: Path, url: str, environment: Mapping[str, str]) -> None:
        """Run it once. Raises Failed."""
        work, home = scratch / "work", scratch / "home"
        if not self.again:
            # Without its reports a run makes all tables anew, whatever the database has.
            for folder in (work, home):
                shutil.rmtree(folder, ignore_errors=True)
        home.mkdir(exist_ok=True)
        command = (
            sys.executable, "-m", "grt_batch.cli", "run", "--uploads", str(self.uploads), "--work", str(work),
            "--reports", str(home / "reports"), "--database", url, "--as-of", UNTIL.isoformat(), "--no-progress",
            *(("--ranks", str(self.ranks)) if self.ranks > 1 else ()), *(("--profile",) if self.profile else ()),
        )  # fmt: skip
        self.seconds.append(measure(command, home / "log", environment).seconds)
        told = json.loads((home / "reports" / "latest" / "run.json").read_bytes())
        self.reading.append(told["seconds"]["reduce"])
        if self.profile:
            self.idle.append(idle_share(trace_folder(work, told["run_id"])))


def idle_share(profile: Path) -> float:
    """Return the share of the time between the first and the last archive in which working ranks wait for a message."""
    waited, led, ranks = [], [], set()
    for file in profile.glob("rank-*.json"):
        for event in json.loads(file.read_bytes())["traceEvents"]:
            if event["ph"] == "X" and event["pid"] > 0:
                ranks.add(event["pid"])
                times = event["ts"], event["ts"] + event["dur"]
                waited += [times] * (event["name"] == "waiting")
                led += [times] * (event["name"] in ("lead", "help"))
    first, last = min(begin for begin, _ in led), max(end for _, end in led)
    idle = sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in waited)
    return float(idle / (last - first) / len(ranks))


def lines(data: Path, jobs: int) -> list[Line]:
    """Return the runs in the order of a round: a run `again` finds the results of the previous one."""
    few = sample.uploads(data, jobs, ARCHIVES, INSTANCES)
    many = sample.uploads(data, TIMES * jobs, ARCHIVES, INSTANCES)
    skewed = sample.skewed(data, TIMES * jobs, ARCHIVES, INSTANCES)
    return [
        Line(f"{jobs:,} jobs, 1 rank", few, 1),
        Line(f"{TIMES * jobs:,} jobs, 1 rank", many, 1),
        Line("the same once more, nothing new", many, 1, again=True),
        Line(f"{TIMES * jobs:,} jobs, 2 ranks, of which 1 works", many, 2),
        Line(f"{TIMES * jobs:,} jobs, 3 ranks, of which 2 work", many, 3),
        Line(f"{TIMES * jobs:,} jobs, 80 % of one instance, 3 ranks", skewed, 3, profile=True),
    ]


def text(found: Sequence[Line], repeats: int) -> str:
    """Return the results as Markdown."""
    middle = statistics.median
    table = [("run", "s", "reading, s", "workers idle while there are archives")]
    for line in found:
        idle = f"{middle(line.idle):.0%}" if line.idle else ""
        table.append((line.name, f"{middle(line.seconds):.2f}", f"{middle(line.reading):.2f}", idle))
    few, many, _, one, two, _ = found
    ratios = [
        f"- {TIMES} times the data: {middle(many.seconds) / middle(few.seconds):.2f} times the time.",
        f"- 2 working ranks against 1: {middle(one.seconds) / middle(two.seconds):.2f} times as fast in all,"
        f" {middle(one.reading) / middle(two.reading):.2f} times while archives are read.",
    ]
    on = report.machine()
    said = f"{datetime.now(UTC):%Y-%m-%d}: {on['cpu']}, {on['cores']} cores; medians of {repeats}."
    return "\n".join([said, "", *report.grid(table), "", *ratios])


@contextmanager
def _scratch(data: Path) -> Iterator[tuple[Path, str]]:
    """Provide a folder and a PostgreSQL."""
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=data.resolve()))
    server = Path(tempfile.mkdtemp(prefix="bench-server-"))
    server.chmod(0o755)
    try:
        with serve(server) as url:
            yield scratch, url
    finally:
        for folder in (scratch, server):
            shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--jobs", type=int, default=250_000, help="job lines of the smaller sample (default: 250000)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args(arguments)
    data = report.ROOT / "bench" / "data"
    data.mkdir(parents=True, exist_ok=True)
    environment: dict[str, Any] = {k: v for k, v in os.environ.items() if not k.startswith("GRT_BATCH_")}
    environment["PYTHONPATH"] = str(report.ROOT)
    found = lines(data, options.jobs)
    warm()
    try:
        with _scratch(data) as (scratch, url):
            for number in range(1, options.repeats + 1):
                for line in found:
                    line.run(scratch, url, environment)
                    print(f"round {number}: {line.name:<50} {line.seconds[-1]:8.2f} s", flush=True)
        block = text(found, options.repeats)
        print(f"\n{block}")
        if options.docs:
            report.DOCS.write_text(report.put(block, report.DOCS.read_text("utf-8"), BEGIN, END), encoding="utf-8")
    except (Failed, GrtError) as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
