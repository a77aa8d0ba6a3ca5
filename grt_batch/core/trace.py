"""A profile: every span of every rank, in the trace-event format that Perfetto and chrome://tracing read."""

from __future__ import annotations

from pathlib import Path

import orjson

from grt_batch.core.logs import logger
from grt_batch.core.timing import Clock

THREADS = ("main", "COPY")
"""The threads of a rank, by the number in a Span."""


def trace_folder(work: Path, run_id: str) -> Path:
    """Return the folder for the profile of a run."""
    return work / "profiles" / run_id


def write(folder: Path, rank: int, host: str, clock: Clock) -> None:
    """Write rank-N.json. A rank is a process, and times are µs since 1970, so that the files can be put together. The
    run has published by then, so a file that cannot be written is only worth a warning."""
    names = [("process_name", 0, f"rank {rank} on {host}"), *(("thread_name", *item) for item in enumerate(THREADS))]
    events: list[dict[str, object]] = [
        {"ph": "M", "name": name, "pid": rank, "tid": thread, "args": {"name": text}} for name, thread, text in names
    ]
    for span in sorted(clock.spans, key=lambda span: (span.begin, -span.seconds)):
        times = {"ts": round(span.begin * 1e6, 1), "dur": round(span.seconds * 1e6, 1)}
        said = {"args": {"of": span.of}} if span.of else {}
        events.append({"ph": "X", "name": span.stage.value, "pid": rank, "tid": span.thread, **times, **said})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"rank-{rank}.json").write_bytes(orjson.dumps({"traceEvents": events}))
    except OSError as error:
        logger.warning("%s cannot be written: %s", folder / f"rank-{rank}.json", error.strerror)
