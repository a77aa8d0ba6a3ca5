"""A profile: every time at a stage of every rank, in the trace-event format that Perfetto and chrome://tracing read."""

from __future__ import annotations

from pathlib import Path

import orjson

from grt_batch.core.logs import logger
from grt_batch.core.timing import Clock

THREADS = ("main", "COPY")
"""The threads of a rank, by their number in a Span."""


def trace_folder(work: Path, run_id: str) -> Path:
    """Where the profile of a run is."""
    return work / "profiles" / run_id


def write(folder: Path, rank: int, host: str, clock: Clock) -> None:
    """Write rank-N.json: a process a rank, times in µs since 1970, so that files can be put together. By then all is
    published, so that where it cannot be written, a warning says so and nothing else comes of it."""
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
