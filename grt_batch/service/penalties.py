"""Delays for addresses that send wrong keys."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_DELAY = 0.25
"""Seconds after the first wrong key; each further one doubles them."""


LONGEST_DELAY = 30.0


_MEMORY = 900.0
"""Seconds after which a wrong key is forgotten."""


_MOST_ADDRESSES = 10_000


@dataclass
class _Failures:
    count: int
    last: float


class Penalties:
    """The wrong keys of each address, of so many addresses that memory does not grow without end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def delay(self, address: str) -> float:
        """Return how many seconds a request from an address has to wait before its key is looked at."""
        found = self._failures.get(_network(address))
        if found is None or self._clock() - found.last > _MEMORY:
            return 0.0
        # A power of a large number would be larger than any float.
        return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(found.count - 1, 32)))

    def note(self, address: str) -> int:
        """Count a wrong key, and return how many the address has sent."""
        network, now = _network(address), self._clock()
        found = self._failures.pop(network, None)
        if found is None or now - found.last > _MEMORY:
            found = _Failures(0, now)
        found.count, found.last = found.count + 1, now
        self._failures[network] = found
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return found.count

    def forgive(self, address: str) -> None:
        """Forget the wrong keys of an address that has sent a right one."""
        self._failures.pop(_network(address), None)


def _network(address: str) -> str:
    """Return what one owner has: an IPv4 address, or the 2^64 addresses of an IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
