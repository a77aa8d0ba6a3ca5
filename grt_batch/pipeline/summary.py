"""What a run says of itself: its row of the table of runs, and run.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from grt_batch import __version__
from grt_batch.ledger.ledger import Ledger, State
from grt_batch.modules.base import Module
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.request import BACKFILLED, RunRequest

_SUMMED = ("lines", "accepted", "salvaged", "rejected", "fragments", "orphans", "redacted", "left_out")
"""The counts of accounts that run.json sums up."""


def run_row(request: RunRequest, ledger: Ledger, modules: Sequence[Module]) -> dict[str, Any]:
    """Return the row of the table of runs, finished now."""
    published = [entry for entry in ledger.archives if entry.counts]
    return {
        "run_id": request.run_id,
        "started": request.started,
        "finished": datetime.now(UTC).replace(tzinfo=None),
        "ranks": request.ranks,
        "version": __version__,
        "modules": " ".join(module.name for module in modules),
        "archives": len(published),
        "jobs": sum(entry.jobs for entry in published),
        "state": BACKFILLED if request.beside else "published",
    }


def run_summary(
    run: Mapping[str, Any], ledger: Ledger, executor: Executor, targets: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return run.json: the run's row, what was read and accounted for, and what it took; for one that publishes, what
    became of each target."""
    published = [entry for entry in ledger.archives if entry.counts]
    accounts = [entry.account for entry in published if entry.account]
    return {
        **run,
        "started": f"{run['started']:%Y-%m-%d %H:%M:%S.%f}",
        "finished": f"{run['finished']:%Y-%m-%d %H:%M:%S.%f}",
        "as_of": ledger.as_of.isoformat(),
        "ranks_lost": executor.ranks_lost(),
        "modules": run["modules"].split(),
        "targets": targets or {},
        "archives": _archives(ledger),
        **{count: sum(account.total(count) for account in accounts) for count in _SUMMED},
        "misdated": sum(entry.archive.report is not None and entry.archive.report.misdated for entry in published),
        "implausible": _added_up(account.implausible for account in accounts),
        "replaced": sum(account.replaced for account in accounts),
        "superseded": sum(entry.superseded for entry in published),
        "bytes": sum(account.bytes for account in accounts),
        "text_bytes": sum(account.text_bytes for account in accounts),
        **_resources(executor),
    }


def _added_up(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of counts by their names."""
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return dict(sorted(total.items()))


def quarantined(ledger: Ledger) -> tuple[tuple[str, str, str], ...]:
    """Return instance, archive and reason of the archives in quarantine."""
    return tuple(
        (entry.archive.instance_id, entry.archive.name, entry.reason or "")
        for entry in ledger.archives
        if entry.state is State.QUARANTINED
    )


def _archives(ledger: Ledger) -> dict[str, int]:
    states = Counter(entry.state for entry in ledger.archives)
    removed = sum(entry.removed for entry in ledger.archives)
    counts = {state.value: states[state] for state in State}
    return {"found": states.total() - removed, **counts, "removed": removed}


def _resources(executor: Executor) -> dict[str, Any]:
    memory, stages = executor.peak_memory(), executor.stages()
    all_ranks: Counter[str] = Counter()
    for rank in stages:
        all_ranks.update(rank["seconds"])
    return {
        "seconds": {stage.value: round(seconds, 3) for stage, seconds in executor.clock.whole.items()},
        "seconds_of_all_ranks": {stage: round(seconds, 3) for stage, seconds in sorted(all_ranks.items())},
        "peak_memory_bytes": {"sum": sum(memory), "largest": max(memory)},
        "stages": stages,
    }
