"""What a run says of itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from grt_batch.core.config import Config
from grt_batch.ledger.account import Account, Members
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.pipeline.summary import quarantined, run_row, run_summary
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive, scan
from tests.ledger.test_account import lines_of, uploads_of


@pytest.mark.parametrize("name", ["sample", "odd"])
def test_the_totals_of_a_run_are_the_sums_over_its_archives(
    name: str, config: Config, run_here: Callable[..., RunSummary], tmp_path: Path
) -> None:
    uploads = uploads_of(name, config.uploads, tmp_path / "odd")
    run_here(replace(config, uploads=uploads), modules=("instances",))
    latest = config.reports / "latest"
    header, *rows = (text.split("\t") for text in (latest / "archive.tsv").read_text().splitlines())
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update({name: int(value) for name, value in zip(header, row, strict=True) if value.isdigit()})
    numbers = json.loads((latest / "run.json").read_text())
    assert numbers["jobs"] == sums["jobs"] - sums["superseded"]
    assert numbers["accepted"] == sum(sums[kind] for kind in ("jobs", "metrics", "params", "datasets"))
    assert numbers["lines"] == numbers["accepted"] + numbers["rejected"]
    for total in ("salvaged", "rejected", "superseded", "bytes"):
        assert numbers[total] == sums[total], total
    written = sum(len(file.read_bytes().splitlines()) - 1 for file in (config.reports / "rejects").rglob("*.tsv"))
    assert written == numbers["rejected"] + numbers["fragments"]
    assert numbers["lines"] == sum(sum(lines_of(archive.tar).values()) for archive in scan(uploads).archives)
    assert numbers["archives"]["published"] == len(rows)


def ledger_of(*entries: ArchiveEntry) -> Ledger:
    return Ledger(date(2024, 6, 30), Config(), (InstanceEntry("a", InstanceMetadata(), entries),))


def entry(name: str, state: State, reason: str | None = None, **values: Any) -> ArchiveEntry:
    members = {"jobs": Members(lines=4, accepted=3, rejected=1)}
    account = Account("hash", 5, text_bytes=50, members=members, implausible={"start_epoch": 2})
    archive = Archive("a", name, Path(f"{name}.tar.gz"), 5, (5, 0, 0), None)
    return ArchiveEntry(archive, state, reason, account, **values)


LEDGER = ledger_of(
    entry("1", State.PUBLISHED, superseded=2),
    entry("2", State.PUBLISHED, "its files were removed", removed=True),
    entry("3", State.QUARANTINED, "broken"),
)


def test_run_json_says_what_is_published_and_what_is_not() -> None:
    request = RunRequest(Config(), LEDGER.as_of, ranks=3, run_id="the run")
    row = run_row(request, LEDGER, chosen(("params", "tools")))
    assert (row["run_id"], row["ranks"], row["archives"], row["jobs"]) == ("the run", 3, 2, 4)
    assert row["started"] <= row["finished"]
    numbers = run_summary(row, LEDGER, SerialExecutor())
    assert json.loads(json.dumps(numbers)) == numbers
    assert numbers["archives"] == {"found": 2, "published": 2, "quarantined": 1, "incomplete": 0, "removed": 1}
    assert numbers["modules"] == ["params", "tools"]
    assert (numbers["lines"], numbers["accepted"], numbers["rejected"], numbers["superseded"]) == (8, 6, 2, 2)
    assert (numbers["implausible"], numbers["misdated"]) == ({"start_epoch": 4}, 0)
    assert (numbers["bytes"], numbers["text_bytes"], numbers["ranks_lost"]) == (10, 100, 0)


def test_archives_in_quarantine_are_named_with_their_reason() -> None:
    assert quarantined(LEDGER) == (("a", "3", "broken"),)
