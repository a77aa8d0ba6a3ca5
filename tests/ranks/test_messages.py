"""Messages and their contents survive the way: what is unpacked gives the results that the original gives."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.ranks.messages import Large, Message, Tag, pack, unpack
from grt_batch.ranks.messages import RunSettings as Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def received(raw: bytes) -> Message:
    """What another rank gets."""
    return unpack(int(Tag.TASK), 7, bytearray(raw))


@examples(100)
@given(values=st.lists(JSON, max_size=4), buffers=st.lists(st.binary(max_size=9), max_size=4))
def test_a_message_comes_as_it_was_sent(values: list[Any], buffers: list[bytes]) -> None:
    message = received(pack(*values, [Large(buffer) for buffer in buffers]))
    assert (message.tag, message.source) == (Tag.TASK, 7)
    assert [message.read(Any, place) for place in range(len(values))] == values
    assert [bytes(large.data) for large in message.read(list[Large], len(values))] == buffers


@pytest.mark.parametrize("tag", Tag, ids=lambda tag: tag.name)
def test_a_message_may_be_its_tag_alone(tag: Tag) -> None:
    assert unpack(int(tag), 0, bytearray(pack())) == Message(tag, 0, [], [])


def test_views_are_sent_like_bytes() -> None:
    message = received(pack([Large(memoryview(b"odd")), Large(b""), Large(memoryview(bytearray(5)))]))
    assert [bytes(buffer) for buffer in message.buffers] == [b"odd", b"", bytes(5)]


@pytest.mark.parametrize("value", [5, {1, 2}, object(), 2**70], ids=["number", "set", "object", "large number"])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises((NotImplementedError, OverflowError, msgspec.ValidationError)):
        received(pack(value)).read(Settings)


def test_buffers_are_views_of_the_message() -> None:
    raw = bytearray(pack(Large(b"abc"), np.arange(3)))
    message = unpack(int(Tag.TASK), 7, raw)
    raw[-1] = 1
    assert message.read(npt.NDArray[Any], 1)[2] == 2 + (1 << 56)  # type: ignore[type-var]
