"""Archives are read where they must be, and planned again where the store lost something."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from coming_and_going import Site

from grt_batch.pipeline.keys import ACCOUNT, account_key


def test_an_archive_that_goes_away_while_it_is_read_is_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from grt_batch.pipeline import reduce_archive as pipeline

    reduce_archive, calls = pipeline.reduce_archive, count()

    def remove_then_reduce(order, *rest):
        if next(calls) == 0:
            Path(order.tar).unlink()
        return reduce_archive(order, *rest)

    monkeypatch.setattr(pipeline, "reduce_archive", remove_then_reduce)
    summary = site.run()
    assert summary.numbers["archives"]["incomplete"] == 1
    (went,) = [reason for state, reason in site.states().values() if state == "incomplete"]
    assert went.endswith(".tar.gz was removed during the run")
    assert not site.store.has(ACCOUNT, account_key("", site.config))
