"""The roles of the ranks, as pure functions of the number of ranks and the work.

Rank 0 coordinates. The other ranks are controllers, which carry out an order each, or workers, which help a controller.
An idle rank asks, and gets the role that the work needs: so any number of ranks will do, and none idles.

A controller that does all tasks itself sends no data, so there are as many controllers as orders. Workers are for the
rest of the ranks: for an archive that is larger than the others, and for the end of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COORDINATOR = 0


_REPORTED_BYTES = 16 << 20


def controllers(ranks: int, orders: int) -> int:
    """Return how many of `ranks` ranks carry out an order at the same time, with `orders` orders to do."""
    return min(orders, ranks - 1)


@dataclass(frozen=True)
class Load:
    """The load of a controller: the bytes of tar.gz left to read, and the number of its workers."""

    bytes_left: int
    workers: int


def most_loaded(loads: Mapping[int, Load]) -> int | None:
    """Return the rank of the controller that one more worker helps most, None without controllers."""
    if not loads:
        return None
    return max(
        loads, key=lambda rank: (loads[rank].bytes_left / (loads[rank].workers + 1), -loads[rank].workers, -rank)
    )


def is_worth_reporting(done: int, order: int) -> bool:
    """Return whether `done` more bytes, of an order of `order` bytes, are worth a message. Messages for each block of a
    thousand ranks would keep rank 0 busy."""
    return done >= min(order // 4, _REPORTED_BYTES)
