"""What lies where, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cold_storage import MOVED, freeze
from coming_and_going import Site

from grt_batch.core.config import Config
from grt_batch.queries.storage import storage_of


def test_what_lies_where_costs_what_the_prices_say(tmp_path: Path) -> None:
    site = Site(Config(uploads=tmp_path / "uploads"))
    site.write("a", "1", [1])
    file = site.write("b", "1", [1])
    size = file.stat().st_size
    freeze(file, storage_class="DEEP_ARCHIVE")
    parts = {title: (columns, rows) for title, columns, rows in storage_of(site.config)}
    columns, rows = parts["storage"]
    assert columns == ["instance_id", "place", "archives", "bytes"]
    assert rows == [["*", "hot", "1", rows[0][3]], ["*", "cold", "1", str(size)], ["a", "hot", "1", rows[0][3]],
                    ["b", "cold", "1", str(size)]]  # fmt: skip
    columns, rows = parts["cold"]
    assert rows[0][:7] == ["b", "1", "cold", str(size), "DEEP_ARCHIVE", MOVED, ""]
    priced = replace(site.config, hot_price=1e6, cold_price=0.0, currency="EUR")
    columns, rows = storage_of(priced)[0][1:]
    assert columns[-1] == "EUR a month"
    assert [row[-1] for row in rows] == [
        f"{int(rows[0][3]) / 1000:.2f}",
        "0.00",
        f"{int(rows[0][3]) / 1000:.2f}",
        "0.00",
    ]
