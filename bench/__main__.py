"""Compares this program with its alternatives: `python -m bench`, or `make bench SET=… JOBS=… REPEATS=…`.

Each round runs all contenders of all cases, one after the other; a result is checked before its time counts. Prints
medians and ratios, and writes all measurements to bench/results-SET.json after each round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import others, report
from bench.cases import NAMES, SETS, Case, cases, uploads
from bench.contest import Contender, Failed, Killed, Setting
from bench.ours import Ours
from grt_batch import __version__
from grt_batch.core.errors import GrtError
from grt_batch.embedded_postgres.server import serve
from grt_batch.pipeline.warm import compile_kernels
from grt_batch.sample import UNTIL

DATA = report.ROOT / "bench" / "data"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    options = _options(arguments)
    file = options.results or report.results_of(options.set)
    begun = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "version": __version__, "machine": report.machine()}
    try:
        with _setting(options) as setting:
            about = {**begun, "set": options.set, "jobs": options.jobs, "absent": others.absent()}
            results: dict[str, Any] = {}
            for number, measured in enumerate(_rounds(setting, options), 1):
                results = {**about, "rounds": number, "cases": measured}
                file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    except (Failed, GrtError) as error:
        sys.exit(f"bench: {error}")
    print(f"\n{report.text(results)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=SETS, default="main", help="archives as servers send them today, or before")
    parser.add_argument("--jobs", type=int, default=50_000, help="job lines of the smallest case (default: 50000)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--ranks", type=int, default=3, help="of ours (default: 3)")
    parser.add_argument("--few", type=int, default=8, help="large archives (default: 8)")
    parser.add_argument("--many", type=int, default=400, help="small archives (default: 400)")
    parser.add_argument("--nightly", type=int, default=100, help="archives where one is new (default: 100)")
    parser.add_argument("--cases", nargs="+", choices=NAMES, default=NAMES, help="default: all")
    parser.add_argument("--data", type=Path, default=DATA, help="where samples are kept (default: bench/data)")
    parser.add_argument("--results", type=Path, help="default: bench/results-SET.json")
    return parser.parse_args(arguments)


@contextmanager
def _setting(options: argparse.Namespace) -> Iterator[Setting]:
    """Provide a scratch folder and a PostgreSQL."""
    options.data.mkdir(parents=True, exist_ok=True)
    # The defaults of the configuration, and no settings of whoever calls.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRT_BATCH_")}
    environment["PYTHONPATH"] = str(report.ROOT)
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=options.data.resolve()))
    # For the user that a server of root's runs as, who may not enter everybody's folders.
    server = Path(tempfile.mkdtemp(prefix="bench-server-"))
    server.chmod(0o755)
    try:
        compile_kernels()
        with serve(server) as url:
            yield Setting(scratch, url, UNTIL, options.ranks, environment)
    finally:
        for folder in (scratch, server):
            shutil.rmtree(folder, ignore_errors=True)


def _rounds(setting: Setting, options: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    """Yield after each round all that was measured, by the case and the contender."""
    runs: list[tuple[Case, Path, Ours, list[Contender]]] = []
    for case in cases(options.jobs, options.few, options.many, options.nightly):
        if case.name not in options.cases:
            continue
        found = uploads(options.data.resolve(), options.set, case)
        ours = Ours(setting, case, found)
        further = others.contenders(setting, found, ours.reports) if case.others else ()
        runs.append((case, found, ours, [*ours.contenders(), *further]))
    measured: dict[str, Any] = {}
    for number in range(1, options.repeats + 1):
        for case, found, ours, contenders in runs:
            for tar in found.rglob("*.tar.gz"):
                # Nobody shall be the first to read a file from the disk.
                tar.read_bytes()
            for one in contenders[:]:
                try:
                    cost = one.run(setting.environment)
                except Killed:
                    if one.name not in others.WAYS:
                        raise
                    print(f"round {number}: {case.name:<16} {one.name:<20} killed", flush=True)
                    measured[case.name]["contenders"].pop(one.name, None)
                    contenders.remove(one)
                    continue
                print(f"round {number}: {case.name:<16} {one.name:<20} {cost.seconds:8.2f} s", flush=True)
                told = measured.setdefault(case.name, {**asdict(case), **_sizes(ours), "contenders": {}})
                told["contenders"].setdefault(one.name, {"does": one.does, "runs": []})["runs"].append(asdict(cost))
        yield measured


def _sizes(ours: Ours) -> dict[str, int]:
    """Return the bytes of tar.gz and of text that our run reported."""
    told = json.loads((ours.reports / "run.json").read_bytes())
    return {"bytes": told["bytes"], "text_bytes": told["text_bytes"]}


if __name__ == "__main__":
    main()
