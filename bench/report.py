"""Reports a comparison. `python -m bench.report` puts bench/results-SET.json into docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import targets
from bench.cases import FEW, FOURFOLD, MANY, MANY_FOURFOLD, SETS
from bench.contest import Failed
from bench.others import FLOOR, WAYS
from bench.ours import NOTHING_NEW
from bench.targets import Figures, Results

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "performance.md"

_HEADER = ("jobs", "archives", "contender", "s", "least to most", "/ floor", "CPU s", "MB", "work folder / archives")
_ONE_MORE = ("one more job", "in few archives, µs", "/ floor", "in many archives, µs", "/ floor")


def results_of(name: str) -> Path:
    """Return the file with the results of a set."""
    return ROOT / "bench" / f"results-{name}.json"


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


def text(results: Results) -> str:
    """Return the results as Markdown."""
    on, verdict, marginal = results["machine"], [], list(_marginal(results))
    if results["set"] == "main":
        verdict = [*grid(targets.verdicts(results)), ""]
    return "\n".join(
        [
            f"{results['date']}, grt_batch {results['version']}: {on['cpu']}, {on['cores']} cores,"
            f" {on['memory_gb']} GB, {on['system']}, Python {on['python']}; load before: {on['load']:.1f};"
            f" medians of {results['rounds']}.",
            "",
            *verdict,
            *grid([_HEADER, *_rows(results)]),
            "",
            *(grid([_ONE_MORE, *marginal]) if marginal else ()),
            "",
            *_sentences(results),
            f"Again: `make bench SET={results['set']} JOBS={results['jobs']} REPEATS={results['rounds']}`",
        ]
    )


def _rows(results: Results) -> Iterator[tuple[str, ...]]:
    """Yield a row for each contender of each case."""
    figures = Figures(results)
    for name, case in results["cases"].items():
        for contender, found in case["contenders"].items():
            seconds = [run["seconds"] for run in found["runs"]]
            work = figures.of(name, contender, "work_bytes") / case["bytes"]
            yield (
                f"{case['jobs']:,}",
                f"{case['archives']}",
                contender,
                f"{figures.of(name, contender):.2f}",
                f"{min(seconds):.2f} to {max(seconds):.2f}",
                f"{figures.ratio(name, contender, FLOOR):.1f}" if FLOOR in case["contenders"] else "",
                f"{figures.of(name, contender, 'cpu_seconds'):.1f}",
                f"{figures.of(name, contender, 'peak_bytes') / 1e6:.0f}",
                f"{work:.2f}" if work else "",
            )


def _marginal(results: Results) -> Iterator[tuple[str, ...]]:
    """Yield a row for each contender that read few and many archives."""
    figures = Figures(results)
    measured = {name: case["contenders"].keys() for name, case in results["cases"].items()}
    of_each = [measured.get(name, ()) for name in (FEW, FOURFOLD, MANY, MANY_FOURFOLD)]
    for contender in (name for name in of_each[0] if name != NOTHING_NEW and all(name in of for of in of_each)):
        row = [contender]
        for pair in ((FEW, FOURFOLD), (MANY, MANY_FOURFOLD)):
            more, least = (figures.marginal(one, *pair) for one in (contender, FLOOR))
            row += [f"{more * 1e6:.2f}", f"{more / least:.1f}"]
        yield tuple(row)


def _sentences(results: Results) -> Iterator[str]:
    for case in results["cases"].values():
        if case["jobs"] == results["jobs"]:
            sizes = f"{case['bytes'] / 1e6:.1f} MB of tar.gz, {case['text_bytes'] / 1e6:.1f} MB of text"
            yield f"{case['jobs']:,} jobs in {case['archives']} archives are {sizes}."
    does = {name: one["does"] for case in results["cases"].values() for name, one in case["contenders"].items()}
    yield "\n" + ". ".join(f"{name}: {what}" for name, what in does.items() if what) + ".\n"
    for case in results["cases"].values():
        for name in WAYS.keys() - results["absent"].keys() - case["contenders"].keys() if case["others"] else ():
            yield f"Not measured: {name}, {case['jobs']:,} jobs in {case['archives']} archives, for it was killed.\n"
    for name, why in results["absent"].items():
        yield f"Not measured: {name}, for {why}.\n"


def grid(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown; its first row has the titles."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def put(block: str, page: str, author: str) -> str:
    """Return a page with the block between the marks of its author. Raises Failed if it has none."""
    first, last = (f"<!-- {end} of what {author} -->" for end in ("begin", "end"))
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise Failed(f"there is no {last if begin else first} in the page, so no place for the results")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Put the results of the last comparison into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--results", type=Path, help="default: bench/results-SET.json")
    parser.add_argument("--docs", type=Path, default=DOCS, help="default: docs/performance.md")
    options = parser.parse_args(arguments)
    try:
        block = text(json.loads((options.results or results_of(options.set)).read_bytes()))
        page = put(block, options.docs.read_text(encoding="utf-8"), f"bench/report.py writes of {options.set}")
        options.docs.write_text(page, encoding="utf-8")
    except FileNotFoundError as error:
        raise SystemExit(f"bench: there is no {error.filename}; make bench writes the results") from None
    except Failed as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
