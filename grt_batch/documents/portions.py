"""Many small things, some megabytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def portions(items: Iterable[Item], size: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Yield items in order, as many at a time as have `most` bytes together; one that is larger comes alone."""
    portion: list[Item] = []
    room = most
    for item in items:
        if portion and size(item) > room:
            yield portion
            portion, room = [], most
        portion.append(item)
        room -= size(item)
    if portion:
        yield portion
