"""Compares this program with its alternatives: `python -m bench`, or `make bench JOBS=… REPEATS=…`.

Each round runs all contenders, one after the other; a result is checked before its time counts. Prints medians and
ratios, and writes all measurements to bench/results.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import floor, others, ours, report, sample
from bench.contest import Contender, Failed, Setting
from grt_batch import __version__
from grt_batch.core.errors import GrtError
from grt_batch.decode.warm import compile_kernels as warm
from grt_batch.embedded_postgres.server import serve
from grt_batch.sample import UNTIL

DATA = report.ROOT / "bench" / "data"
INSTANCES, ARCHIVES, MANY = 4, 12, 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    options = _options(arguments)
    try:
        with _setting(options) as setting:
            begun = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "version": __version__, "machine": report.machine()}
            measured = _measure(setting, options.repeats, options.others)
            what = {"jobs": options.jobs, **_sizes(setting)}
    except (Failed, GrtError) as error:
        sys.exit(f"bench: {error}")
    results = {**begun, "sample": what, "repeats": options.repeats, "absent": others.absent(), "contenders": measured}
    options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"\n{report.text(results)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=500_000, help="job lines of the sample (default: 500000)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--most-ranks", type=int, default=4, help="ours at 1 to so many ranks (default: 4)")
    parser.add_argument("--archives", type=int, default=ARCHIVES, help=f"archives of the sample (default: {ARCHIVES})")
    parser.add_argument("--instances", type=int, default=INSTANCES, help=f"that sent them (default: {INSTANCES})")
    parser.add_argument("--many", type=int, default=MANY, help=f"archives where one is new (default: {MANY})")
    names = (floor.NAME, *others.WAYS)
    parser.add_argument("--others", nargs="*", choices=names, default=names, help="whom to compare with (default: all)")
    parser.add_argument("--data", type=Path, default=DATA, help="where samples are kept (default: bench/data)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="default: bench/results.json")
    return parser.parse_args(arguments)


@contextmanager
def _setting(options: argparse.Namespace) -> Iterator[Setting]:
    """Provide the sample, a scratch folder and a PostgreSQL."""
    options.data.mkdir(parents=True, exist_ok=True)
    uploads, many = (
        sample.uploads(options.data, options.jobs, archives, options.instances)
        for archives in (options.archives, options.many)
    )
    # The defaults of the configuration, and no settings of whoever calls.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRT_BATCH_")}
    environment["PYTHONPATH"] = str(report.ROOT)
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=options.data.resolve()))
    # For the user that a server of root's runs as, who may not enter everybody's folders.
    server = Path(tempfile.mkdtemp(prefix="bench-server-"))
    server.chmod(0o755)
    try:
        warm()
        with serve(server) as url:
            yield Setting(uploads, many, scratch, url, UNTIL, tuple(range(1, options.most_ranks + 1)), environment)
    finally:
        for folder in (scratch, server):
            shutil.rmtree(folder, ignore_errors=True)


def _measure(setting: Setting, repeats: int, names: Collection[str]) -> dict[str, Any]:
    """Return what each contender does and what its runs took, by its name."""
    contenders = list(_contenders(setting, names))
    measured: dict[str, Any] = {one.name: {"does": one.does, "runs": []} for one in contenders}
    for tar in setting.uploads.rglob("*.tar.gz"):
        # Nobody shall be the first to read a file from the disk.
        tar.read_bytes()
    for number in range(1, repeats + 1):
        for one in contenders:
            cost = one.run(setting.environment)
            measured[one.name]["runs"].append(asdict(cost))
            print(f"round {number}: {one.name:<28} {cost.seconds:8.2f} s", flush=True)
    return measured


def _contenders(setting: Setting, names: Collection[str]) -> Iterator[Contender]:
    """Return ours and the others of these names. Ours is first: the results of the others are checked against it."""
    reports = ours.reports(setting)
    yield from ours.contenders(setting)
    for one in (floor.contender(setting, reports), *others.contenders(setting, reports)):
        if one.name in names:
            yield one


def _sizes(setting: Setting) -> dict[str, int]:
    """Return the numbers of archives, bytes of tar.gz and bytes of text that our run reported."""
    told = json.loads((ours.reports(setting) / "run.json").read_bytes())
    return {"archives": told["archives"]["found"], "bytes": told["bytes"], "text_bytes": told["text_bytes"]}


if __name__ == "__main__":
    main()
