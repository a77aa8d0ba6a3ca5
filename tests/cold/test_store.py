"""What the stores have in common."""

from __future__ import annotations

from grt_batch.cold.store import Failed, Refused


def test_a_refusal_is_a_failure_with_the_word_of_the_store() -> None:
    error = Refused("the bucket is closed", "AccessDenied")
    assert isinstance(error, Failed)
    assert (str(error), error.code, Failed("no").code) == ("the bucket is closed", "AccessDenied", "")
