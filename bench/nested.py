"""Measures what a nested parameter value costs, beside a flat text of the same length: decoding and redaction.

    python bench/nested.py [--values N] [--rounds N]

No two values are equal: Galaxy writes the ids of datasets into them. The median of the rounds is printed, with the
fastest and the slowest; the ratios are those of one round each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence

from grt_batch.core.config import Config
from grt_batch.decode.decoder import decode
from grt_batch.decode.left_out import without
from grt_batch.decode.redaction import Redaction, redacted
from grt_batch.decode.warm import compile_kernels as warm
from grt_batch.sample.releases import Shape
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import Leaf, Param
from grt_batch.uploads.archive import Block

NAME = "fastq_input"
SHAPES = {"object": Shape.OBJECT, "twice": Shape.TWICE, "thrice": Shape.THRICE}


def conditional(number: int) -> dict[str, object]:
    """Return a conditional of a tool, with datasets in it."""
    reference = {"values": [{"id": 10**6 + number, "src": "hda"}]}
    return {
        "fastq_input_selector": "paired",
        "__current_case__": 0,
        "fastq_input1": reference,
        "fastq_input2": {"values": [{"id": 10**7 + number, "src": "hda"}]},
        "adv": {"set": True, "threshold": "0.05", "steps": ["a", "b"], "lanes": [{"__index__": 0, "w": "3"}]},
        "readgroup": None,
    }


def flat(number: int, size: int) -> str:
    """Return a text of so many bytes."""
    return f"{10**6 + number} some words of a text without quotes ".ljust(size, "x")[:size]


def block_of(values: list[str]) -> Block:
    """Return a block of one parameter of each of several jobs."""
    lines = "".join(f"{job}\t{NAME}\t{value}\n" for job, value in enumerate(values))
    return Block(layout_of(Kind.PARAMS, [b"job_id\tname\tvalue"])[0], 0, lines.encode())


def seconds(block: Block, wanted: str, config: Config) -> float:
    """Return the seconds for decoding a block as a run does."""
    redaction = Redaction(config.redact_patterns, config.redact_names)
    begin = time.perf_counter()
    redacted(without(decode(block, (wanted,)), config.left_out_params), redaction)
    return time.perf_counter() - begin


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of nanoseconds a value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    warm()
    config, count = Config(), options.values
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    for turn in range(options.rounds):
        for name, shape in SHAPES.items():
            numbers = range(turn * count, (turn + 1) * count)
            nested = [shape.write(NAME, conditional(number)) for number in numbers]
            texts = [json.dumps(json.dumps(flat(number, len(nested[0]) - 8))) for number in numbers]
            of_nested, of_flat = (seconds(block_of(values), Leaf.kind, config) / count for values in (nested, texts))
            whole = seconds(block_of(nested), Param.kind, config) / count
            taken[name, f"nested, {len(nested[0])} bytes"].append(of_nested)
            taken[name, "flat, as long"].append(of_flat)
            taken[name, "nested, as a whole parameter"].append(whole)
            ratios[name].append(of_nested / of_flat)
    print(f"{count} values a round, {options.rounds} rounds, one core of {os.cpu_count()}, {platform.machine()}")
    for (shape_name, what), times in taken.items():
        spread = f"({min(times) * 1e9:.0f} to {max(times) * 1e9:.0f})"
        print(f"{shape_name:<8}{what:<30}{statistics.median(times) * 1e9:8.0f} ns {spread}")
    for name, found in ratios.items():
        print(f"{name:<8}nested / flat {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    main()
