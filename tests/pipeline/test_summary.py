"""What a run says of itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.pipeline.request import RunSummary
from grt_batch.uploads.scan import scan
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
