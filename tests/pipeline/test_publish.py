"""Publication to several sinks: all or nothing up to the first one; later ones fail each by itself."""

from __future__ import annotations

import pytest

from grt_batch.core.errors import CannotWrite, DatabaseRefused, GrtError, PublishedInPart
from grt_batch.pipeline.publish import publish_to_all


class Target:
    """A sink that has everything, and may fail to publish it."""

    def __init__(self, failure: GrtError | None = None) -> None:
        self.failure = failure
        self.published = False

    def publish(self) -> None:
        if self.failure:
            raise self.failure
        self.published = True


FULL = CannotWrite(folder="reports", what="No space left on device")


def test_every_sink_publishes() -> None:
    sinks = [Target(), Target(), Target()]
    publish_to_all(sinks)
    assert [sink.published for sink in sinks] == [True, True, True]


@pytest.mark.parametrize("failure", [DatabaseRefused(what="it is gone"), FULL])
def test_nothing_is_published_where_the_first_sink_fails(failure: GrtError) -> None:
    sinks = [Target(failure), Target()]
    with pytest.raises(type(failure)):
        publish_to_all(sinks)
    assert [sink.published for sink in sinks] == [False, False]


def test_a_later_failure_is_reported_and_stops_no_other_sink() -> None:
    sinks = [Target(), Target(FULL), Target()]
    with pytest.raises(PublishedInPart, match="reports cannot be written: No space left on device"):
        publish_to_all(sinks)
    assert [sink.published for sink in sinks] == [True, False, True]
