"""Reports a comparison. `python -m bench.report` puts bench/results.json into docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import floor
from bench.contest import Failed
from bench.ours import BASELINE

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
DOCS = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- begin of what bench/report.py writes -->", "<!-- end of what bench/report.py writes -->"

Results = Mapping[str, Any]
_HEADER = ("contender", "what it does", "s", "least to most", "/ floor", "/ ours", "CPU s", "MB")


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it was at the start."""
    cpu = (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    memory = (int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return {
        "cpu": next(cpu, platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(next(memory, 0) / 1e6),
        "system": platform.system() + " " + platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _lines(file: str) -> Sequence[str]:
    path = Path(file)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else ()


def rows(results: Results) -> list[tuple[str, ...]]:
    """Return the table, one row a contender: medians, and their ratios to the floor and to the BASELINE."""
    medians = {name: _median(found["runs"], "seconds") for name, found in results["contenders"].items()}
    table: list[tuple[str, ...]] = []
    for name, found in results["contenders"].items():
        seconds = [run["seconds"] for run in found["runs"]]
        table.append(
            (
                name,
                found["does"],
                f"{medians[name]:.2f}",
                f"{min(seconds):.2f} to {max(seconds):.2f}",
                f"{medians[name] / medians[floor.NAME]:.1f}" if floor.NAME in medians else "",
                f"{medians[name] / medians[BASELINE]:.2f}",
                f"{_median(found['runs'], 'cpu_seconds'):.1f}",
                f"{_median(found['runs'], 'peak_bytes') / 1e6:.0f}",
            )
        )
    return table


def _median(runs: Iterable[Mapping[str, float]], of: str) -> float:
    return statistics.median(run[of] for run in runs)


def text(results: Results) -> str:
    """Return the results as Markdown."""
    on, of = results["machine"], results["sample"]
    lines = grid([_HEADER, *rows(results)])
    absent = [f"Not measured: {name}, for {why}.\n" for name, why in results["absent"].items()]
    return "\n".join(
        [
            f"{results['date']}, grt_batch {results['version']}: {on['cpu']}, {on['cores']} cores,"
            f" {on['memory_gb']} GB, {on['system']}, Python {on['python']}; load before: {on['load']:.1f}.",
            f"{of['jobs']:,} jobs in {of['archives']} archives, {of['bytes'] / 1e6:.0f} MB of tar.gz,"
            f" {of['text_bytes'] / 1e6:.0f} MB of text; medians of {results['repeats']}.",
            "",
            *lines,
            "",
            *absent,
            f"Again: `make bench JOBS={of['jobs']} REPEATS={results['repeats']}`",
        ]
    )


def grid(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown; its first row has the titles."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def put(block: str, page: str, first: str = BEGIN, last: str = END) -> str:
    """Return a page with the block between its marks. Raises Failed if it has none."""
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise Failed(f"there is no {last if begin else first} in the page, so no place for the results")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Put the results of the last comparison into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: bench/results.json")
    parser.add_argument("--docs", type=Path, default=DOCS, help="default: docs/performance.md")
    options = parser.parse_args(arguments)
    try:
        block = text(json.loads(options.results.read_bytes()))
        options.docs.write_text(put(block, options.docs.read_text(encoding="utf-8")), encoding="utf-8")
    except FileNotFoundError as error:
        raise SystemExit(f"bench: there is no {error.filename}; make bench writes the results") from None
    except Failed as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
