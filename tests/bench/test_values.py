"""The measurement of a parameter with many values: what it finds is right, and small."""

from __future__ import annotations

import pytest

from bench import values
from bench.contest import Failed
from grt_batch.modules.reports.params import POPULAR


@pytest.mark.parametrize("archives", [1, 4])
def test_many_values_take_few_bytes(archives: int) -> None:
    found = values.measure(40_000, archives)
    assert 20 < found.kept <= 2 * POPULAR.least
    assert found.missed < 400
    assert found.partial < 100_000
    assert found.merged < 100_000
    assert found.distinct == pytest.approx(40_000, rel=0.03)


def test_a_wrong_number_of_jobs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    merge = values.MODULE.gathered
    monkeypatch.setattr(type(values.MODULE), "gathered", lambda _, parts: merge([*parts, parts[-1]]))
    with pytest.raises(Failed, match="1 archives: the number of jobs of a popular value is wrong by -"):
        values.measure(10_000, 1)
