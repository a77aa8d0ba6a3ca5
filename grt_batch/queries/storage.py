"""Where the bytes of the archives lie, and what that costs."""

from __future__ import annotations

from grt_batch.core.config import Config
from grt_batch.uploads.storage import Place, Stored, amounts, stored_archives

Part = tuple[str, list[str], list[list[str]]]
"""A title, columns and rows."""


_GB = 10**9


def storage_of(config: Config) -> list[Part]:
    """Return how many archives and bytes lie here and in cold storage, of each instance and of all (`*`), with the cost
    by the prices of the configuration, if there are any; and the archives in cold storage."""
    archives = list(stored_archives(config.uploads))
    return [_amounts(config, archives), _cold(archives)]


def _amounts(config: Config, archives: list[Stored]) -> Part:
    prices = {Place.HOT: config.hot_price, Place.COLD: config.cold_price, Place.THAWING: config.cold_price}
    columns = ["instance_id", "place", "archives", "bytes"]
    columns += [f"{config.currency or 'cost'} a month"] if any(prices.values()) else []
    rows = []
    for (instance_id, place), amount in amounts(archives).items():
        row = [instance_id, place.value, str(amount.archives), str(amount.bytes)]
        rows.append([*row, f"{amount.bytes / _GB * prices[place]:.2f}"] if any(prices.values()) else row)
    return "storage", columns, rows


def _cold(archives: list[Stored]) -> Part:
    columns = ["instance_id", "archive", "place", "bytes", "storage_class", "moved", "thawing_since", "url"]
    rows = [
        [one.instance_id, one.name, one.place.value, str(one.bytes), copy.storage_class, copy.moved, copy.thawing,
         copy.url]
        for one in archives
        if one.place is not Place.HOT and (copy := one.copy)
    ]  # fmt: skip
    return "cold", columns, rows
