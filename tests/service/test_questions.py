"""Pages of answers, and the tags that say which run an answer is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grt_batch.queries.definitions import Query
from grt_batch.service.questions import LAST_PAGE, Page, Question
from grt_batch.service.replies import Refused

QUESTION = Question(Query("q", "?", (), "SELECT 1", Path("q.sql")), {"a": 1}, "json", Page(1, 10))


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ({}, Page(1, 500)),
        ({"page": "3", "page_size": "20"}, Page(3, 20)),
        ({"page": str(LAST_PAGE), "page_size": "500"}, Page(LAST_PAGE, 500)),
    ],
)
def test_a_page_is_given_by_two_numbers(given: dict[str, str], page: Page) -> None:
    assert Page.parse(given, 500) == page
    assert page.begin == (page.number - 1) * page.size


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "²", "501", "9" * 5000, " 1"])
def test_any_other_number_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="page_size is a whole number from 1 to 500"):
        Page.parse({"page_size": text}, 500)


def test_a_tag_is_of_all_that_an_answer_depends_on() -> None:
    others = [
        QUESTION,
        replace(QUESTION, values={"a": 2}),
        replace(QUESTION, form="csv"),
        replace(QUESTION, page=Page(2, 10)),
        replace(QUESTION, page=Page(1, 11)),
        replace(QUESTION, query=replace(QUESTION.query, sql="SELECT 2")),
    ]
    tags = {question.tag(run_id, schema) for question in others for run_id in ("r1", "r2") for schema in ("a", "b")}
    assert len(tags) == 4 * len(others)
    assert QUESTION.tag("r1", "a") == replace(QUESTION).tag("r1", "a")
