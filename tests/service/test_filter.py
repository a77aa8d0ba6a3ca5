"""The filter of archives, in the words of a URL."""

from __future__ import annotations

from datetime import date

import pytest

from grt_batch.core.errors import BadFilter
from grt_batch.service.filter import FILTER, Filter


def test_every_word_has_its_place() -> None:
    values = ("a", "1", "2024-01-31", "2024-02-29", "new,published")
    given = dict(zip(FILTER, values, strict=True))
    assert Filter.parse(given) == Filter("a", "1", date(2024, 1, 31), date(2024, 2, 29), ("new", "published"))
    assert Filter.parse({}) == Filter()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"from": "2024-6-31"}, "from is a date as YYYY-MM-DD, not '2024-6-31'"),
        ({"to": "yesterday"}, "to is a date"),
        ({"to": "2024-1-05"}, "to is a date"),
        ({"to": "2024-02-30"}, "to is a date"),
        ({"state": "lost"}, "state is one or more of published, quarantined, incomplete, new, not 'lost'"),
        ({"state": ""}, "state is one or more"),
        ({"page": "1"}, "it has no 'page'"),
    ],
)
def test_a_wrong_filter_is_refused_in_a_line(given: dict[str, str], said: str) -> None:
    with pytest.raises(BadFilter, match="cannot be used") as caught:
        Filter.parse(given)
    assert said in str(caught.value)
