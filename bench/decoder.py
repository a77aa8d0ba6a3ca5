"""Measures the decoder: MB of text per second and core, by member, beside plain gunzip of the same archives.

    python bench/decoder.py [--jobs N] [--rounds N]

Each round decodes every block once. The median of the rounds is printed, with the fastest and the slowest, since a
shared machine is never quiet. The sample is written once and kept in bench/data.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections import defaultdict
from pathlib import Path

from isal import igzip

from grt_batch.decode.decoder import decode
from grt_batch.decode.warm import compile_kernels as warm
from grt_batch.sample import write_sample
from grt_batch.schema.members import Kind
from grt_batch.uploads.archive import ArchiveReader, Block
from grt_batch.uploads.scan import scan
from grt_batch.uploads.unpacking import Limits

DATA = Path(__file__).parent / "data"


def sample(jobs: int) -> Path:
    """Return the folder of sample uploads with that many jobs; write it if it is missing."""
    folder = DATA / f"decoder-{jobs}"
    if not folder.exists():
        print(f"writing a sample of {jobs} jobs to {folder}")
        write_sample(folder, jobs=jobs)
    return folder


def seconds_of_gunzip(tars: list[Path]) -> float:
    """Return the seconds for unpacking all archives and discarding the text."""
    begin = time.perf_counter()
    for tar in tars:
        with igzip.open(tar, "rb") as text:
            while text.read(4 << 20):
                pass
    return time.perf_counter() - begin


def main() -> None:
    """Print a table of MB/s by member."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tars = [archive.tar for archive in scan(sample(options.jobs)).archives]
    blocks = [block for tar in tars for block in ArchiveReader(tar, Limits()).blocks() if isinstance(block, Block)]
    sizes: dict[Kind, int] = defaultdict(int)
    for block in blocks:
        sizes[block.layout.kind] += len(block.data)
    warm()
    rounds: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        seconds: dict[Kind, float] = defaultdict(float)
        for block in blocks:
            begin = time.perf_counter()
            decode(block)
            seconds[block.layout.kind] += time.perf_counter() - begin
        for kind, taken in seconds.items():
            rounds[kind.value].append(sizes[kind] / taken / 1e6)
        total = sum(sizes.values())
        rounds["all members"].append(total / sum(seconds.values()) / 1e6)
        rounds["gunzip alone"].append(total / seconds_of_gunzip(tars) / 1e6)
    print(f"{options.jobs} jobs, {sum(sizes.values()) / 1e6:.0f} MB of text, one core of {os.cpu_count()}")
    print(f"{platform.machine()}, Python {platform.python_version()}, median (slowest to fastest) of {options.rounds}")
    megabytes = {**{kind.value: size / 1e6 for kind, size in sizes.items()}}
    for name, speeds in rounds.items():
        size = f"{megabytes[name]:8.1f} MB" if name in megabytes else " " * 11
        print(f"{name:<14}{size}  {statistics.median(speeds):7.0f} MB/s ({min(speeds):.0f} to {max(speeds):.0f})")


if __name__ == "__main__":
    main()
