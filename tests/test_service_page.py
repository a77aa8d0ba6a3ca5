"""What docs/service.md says of keys and limits is what the configuration says."""

from __future__ import annotations

import re
from dataclasses import fields

from places import ROOT

from grt_batch.core.config import Config

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
DEFAULTS = Config()


def test_every_key_of_a_limit_is_one_of_the_configuration() -> None:
    table = PAGE.split("| status | when | key |\n")[1].split("\n\n")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`([a-z_]+)`", line.split("|")[3])}
    assert named - {"reading", "reports"} <= {key.name for key in fields(Config)}
    assert {"max_upload_bytes", "uploads_per_hour", "min_free_bytes", "stall_seconds"} <= named


def test_its_numbers_are_the_defaults() -> None:
    assert f"sent nothing for {DEFAULTS.stall_seconds} seconds" in PAGE
    assert f"less than {DEFAULTS.slowest_bytes_per_second:,} bytes a second" in PAGE
    assert f"larger than {DEFAULTS.max_upload_bytes >> 30} GiB" in PAGE
    assert f"more than {DEFAULTS.uploads_per_hour:,} uploads" in PAGE
    assert f"less than {DEFAULTS.min_free_bytes >> 30} GiB on the disk" in PAGE
    assert (DEFAULTS.host, DEFAULTS.port) == ("127.0.0.1", 8080)
    assert "http://127.0.0.1:8080" in PAGE
