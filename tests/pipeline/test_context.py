"""What every step of a run works with comes from its request."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from grt_batch.core.config import Config
from grt_batch.pipeline.context import DamagedEntries, RunContext
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.merge import MergeOrder, MergeOutcome
from grt_batch.pipeline.request import RunRequest
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store


def context_of(folder: Path, **options: Any) -> RunContext:
    config = Config(uploads=folder / "uploads", work=folder / "work")
    request = RunRequest(config, date(2024, 6, 30), **options)
    return RunContext(request, (), Store(folder / "store"), ArchiveIndex(config.work, config.uploads), SerialExecutor())


@pytest.mark.parametrize("recalculate", [False, True])
def test_the_request_says_how_a_run_goes(tmp_path: Path, recalculate: bool) -> None:
    context = context_of(tmp_path, recalculate=recalculate)
    assert context.config is context.request.config
    assert (context.as_of, context.again) == (date(2024, 6, 30), recalculate)


def test_orders_find_the_store_of_the_run(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    context.store.put("partial", "here", b"anything")
    orders = [MergeOrder("a", "tools", (), (key,)) for key in ("here", "missing")]
    assert list(context.carry_out(orders)) == [MergeOutcome(), MergeOutcome(("missing",))]


def test_damaged_entries_are_named() -> None:
    assert DamagedEntries(["one", "two"]).keys == ["one", "two"]
