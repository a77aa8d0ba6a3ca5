"""Lines to decode, and a program that decodes them in children of its own, for valgrind to count their instructions.

    python counted.py

It prints the name of each measurement and the pid of the child that made it. Only the difference of two measurements
means something: each child begins with the instructions of its parent.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.schema.members import Kind, layout_of
from grt_batch.uploads.archive import Block

LINES = 20_000
METRICS = ("galaxy_slots", "runtime_seconds", "start_epoch", "end_epoch", "memtotal", "swaptotal")
TEXTS = {
    Kind.JOBS: lambda i: f"{i}\ttool{i % 50}\t1.{i % 7}\tok\t2024-05-{i % 28 + 1:02d} 10:{i % 60:02d}:30.123456",
    Kind.METRIC_NUM: lambda i: f"{i // 6}\tcore\t{METRICS[i % 6]}\t{i * 37 % 100_003}.0000000",
    Kind.PARAMS: lambda i: f'{i // 9}\tparameter{i % 90}\t"{i % 11}"',
    Kind.DATASETS: lambda i: f"{i // 3}\t{i}\tbam\t{i * 7919}\tinput{i % 4}\t{'input' if i % 3 else 'output'}",
}
HEADERS = {
    Kind.JOBS: b"id\ttool_id\ttool_version\tstate\tcreate_time",
    Kind.METRIC_NUM: b"job_id\tplugin\tname\tvalue",
    Kind.PARAMS: b"job_id\tname\tvalue",
    Kind.DATASETS: b"job_id\tdataset_id\textension\tfile_size\tparam_name\ttype",
}


def block(kind: Kind, lines: int = LINES, *, turn: bool = False) -> Block:
    """A block of usual lines. With `turn` their columns stand in the opposite order."""
    order = -1 if turn else 1
    columns = b"\t".join(HEADERS[kind].split(b"\t")[::order])
    text = "".join("\t".join(TEXTS[kind](i).split("\t")[::order]) + "\n" for i in range(lines))
    return Block(layout_of(kind, [columns])[0], 0, text.encode())


def in_a_child(work: Callable[[], object]) -> int:
    """Do some work in a child; return its pid."""
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def main() -> None:
    """Decode each block in a child of its own."""
    blocks = {kind.value: block(kind) for kind in TEXTS}
    blocks["turned"] = block(Kind.METRIC_NUM, turn=True)
    for some in blocks.values():
        decode(some, WANTED)  # The parent loads the kernels.
    for name, some in blocks.items():
        wanted = () if some.layout.kind is Kind.METRIC_NUM else WANTED
        nothing, one = in_a_child(lambda: None), in_a_child(lambda some=some, wanted=wanted: decode(some, wanted))
        print(name, nothing, one, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
