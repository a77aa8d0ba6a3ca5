"""A model of the old way: a reader sends 250 lines at a time, pickled, to a worker that counts in dictionaries.

Every line passes through, but only jobs by tool and state are counted, far less than the others count. The pipe of
multiprocessing replaces MPI's pickled messages, and is faster, since it does not poll. The last lines of a member are
sent too.
"""

from __future__ import annotations

import gzip
import multiprocessing
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

from bench.publication import REPORTS
from bench.way import run
from grt_batch.uploads.scan import scan

AT_A_TIME = 250
_MEMBER = re.compile(r"\.(jobs|metric_num|metric_txt|params|datasets)\.tsv$")


@dataclass(frozen=True)
class Lines:
    """Lines of one member, with the number of its columns: what is sent at once."""

    instance_id: str
    kind: str
    columns: int
    lines: list[str]


def compute(uploads: Path, target: Path, url: str, as_of: date) -> None:
    """Count all jobs by tool and state."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    reader = multiprocessing.Process(target=_send_all, args=(uploads, sending))
    reader.start()
    sending.close()
    jobs = _count(receiving)
    reader.join()
    file = REPORTS.file(target, "tool_state")
    file.parent.mkdir()
    rows = [f"{tool_id}\t{state}\t{count}\n" for (tool_id, state), count in sorted(jobs.items())]
    file.write_text("tool_id\tstate\tjobs\n" + "".join(rows), encoding="utf-8")


def _send_all(uploads: Path, pipe: Connection) -> None:
    for instance in scan(uploads).instances:
        # The newest first: what an older archive says of a job again does not count.
        for archive in reversed(instance.archives):
            for lines in _read(instance.instance_id, archive.tar):
                pipe.send(lines)
    pipe.close()


def _read(instance_id: str, tar: Path) -> Iterator[Lines]:
    with gzip.open(tar) as text, tarfile.open(fileobj=text, mode="r|") as opened:
        for entry in opened:
            kind, source = _MEMBER.search(entry.name), opened.extractfile(entry)
            columns = 0
            while piece := list(islice(source or (), AT_A_TIME)):
                lines = [line.decode("utf-8", "replace").rstrip("\n") for line in piece]
                columns = columns or lines[0].count("\t") + 1
                yield Lines(instance_id, kind[1] if kind else "", columns, lines)


def _count(pipe: Connection) -> Counter[tuple[str, str]]:
    """Count jobs by tool and state until the other end is closed."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    jobs: Counter[tuple[str, str]] = Counter()
    while True:
        try:
            received: Lines = pipe.recv()
        except EOFError:
            return jobs
        if received.kind != "jobs":
            continue
        known = seen[received.instance_id]
        for line in received.lines:
            # Of a row that was written behind the stump of another the last fields count.
            fields = line.split("\t")[-received.columns :]
            if len(fields) == received.columns and fields[0].isdigit() and fields[0] not in known:
                known.add(fields[0])
                tool_id, state = fields[1], fields[min(3, received.columns - 1)]
                jobs["" if tool_id == "None" else tool_id, state] += 1


if __name__ == "__main__":
    run(compute)
