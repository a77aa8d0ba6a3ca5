"""Who does what, as pure functions of the number of ranks and the work.

Rank 0 coordinates. Of the others some carry out an order each, as controllers, and the rest help them, as workers. Who
has nothing to do asks, and gets the role that the work needs: so any number of ranks will do, and none idles.

Whoever reduces an archive and does its tasks alone need not send anything, so that as many lead as there are orders.
Helping is for the rest: for an instance whose archive is larger than others, and for the end of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COORDINATOR = 0


_TOLD_BYTES = 16 << 20


def controllers(ranks: int, orders: int) -> int:
    """How many ranks carry out an order at the same time, of `ranks` in all and with `orders` still to do."""
    return min(orders, ranks - 1)


@dataclass(frozen=True)
class Load:
    """What a controller has left to do, in bytes of tar.gz, and how many workers it has."""

    bytes_left: int
    workers: int


def most_loaded(loads: Mapping[int, Load]) -> int | None:
    """The rank of the controller that one more worker helps most, None without controllers."""
    if not loads:
        return None
    return max(
        loads, key=lambda rank: (loads[rank].bytes_left / (loads[rank].workers + 1), -loads[rank].workers, -rank)
    )


def is_worth_reporting(done: int, order: int) -> bool:
    """Whether it is worth a message that `done` bytes more of an order of so many are dealt with. Were it said of each
    block, a thousand ranks would keep rank 0 busy with nothing else."""
    return done >= min(order // 4, _TOLD_BYTES)
