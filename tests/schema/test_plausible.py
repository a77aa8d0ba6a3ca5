"""The bounds of what is plausible: dates are what they say, and every metric has bounds that its column can hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from grt_batch.schema.members import METRICS, NO_LIMIT, JobMetric
from grt_batch.schema.plausible import FIRST_SECOND, LAST_SECOND, MOST_SECONDS


def test_the_bounds_of_times_are_the_begins_of_years() -> None:
    assert datetime(2005, 1, 1, tzinfo=UTC).timestamp() == FIRST_SECOND
    assert datetime(2100, 1, 1, tzinfo=UTC).timestamp() == LAST_SECOND + 1
    assert MOST_SECONDS == 3652.5 * 86400


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_has_bounds_below_no_limit(metric: JobMetric) -> None:
    assert 0 <= metric.least < metric.most < NO_LIMIT
    # Beyond these bounds a number of the column stands for any larger one.
    assert metric.most < (2**63 - 1) // 10**metric.scale * 10**metric.scale
