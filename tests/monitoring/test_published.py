"""What monitors read of the report sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_sets import FINISHED, RUN, write_set

from grt_batch.core.config import Config
from grt_batch.monitoring.published import Published, moment


def test_rows_are_those_of_the_file(tmp_path: Path) -> None:
    odd = "tab\tline\nback\\slash \\n"
    write_set(tmp_path, t=[{"a": odd, "b": 1, "c": None}, {"a": "", "b": 2, "c": "x"}])
    published = Published(tmp_path)
    assert list(published.rows("t", "c", "a")) == [("", odd), ("x", "")]
    assert list(published.rows("t", "a", "d")) == []
    assert list(published.rows("u", "a")) == []
    assert (published.summary, published.seconds("finished")) == (RUN, FINISHED)


def test_nothing_is_known_of_what_is_not_there(tmp_path: Path) -> None:
    published = Published(tmp_path)
    assert (published.summary, published.seconds("finished")) == ({}, None)
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "t.tsv").write_text("a\tb\n1\n1\t2\n")
    for raw in ("", "[]", "no json", '{"finished": 1}'):
        (tmp_path / "latest" / "run.json").write_text(raw)
        assert Published(tmp_path).seconds("finished") is None
    assert list(Published(tmp_path).rows("t", "b")) == [("2",)]


@pytest.mark.parametrize("text", ["", "None", "yesterday", "2024-13-01"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text) is None


def test_all_that_is_said_is_of_one_set(tmp_path: Path) -> None:
    write_set(tmp_path / "one", t=[{"a": 1}])
    write_set(tmp_path / "two", t=[{"a": 2}])
    link = tmp_path / "latest"
    link.symlink_to("one/latest")
    published = Published(tmp_path)
    link.unlink()
    link.symlink_to("two/latest")
    assert list(published.rows("t", "a")) == [("1",)]


def test_a_real_set_has_all_that_is_read(ran: Config) -> None:
    published = Published(ran.reports)
    assert published.seconds("started")
    for table, columns in (
        ("archive", ("instance_id", "archive", "generated", "state", "reason")),
        ("instance", ("instance_id", "title", "owners")),
        ("instance_status", ("instance_id", "days_silent", "warning", "bytes", "quota_bytes", "predicted_7d")),
        ("tool_change", ("tool_id", "changed", "jobs_after", "error_rate_before", "error_rate_after")),
    ):
        assert list(published.rows(table, *columns)), table
