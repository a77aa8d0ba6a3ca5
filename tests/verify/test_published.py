"""The last published run is found by its run.json, its reports and the database."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from calling import NOWHERE

from grt_batch.core.errors import NothingPublished
from grt_batch.verify.published import last_run, published_archives

COLUMNS = ("instance_id", "archive", "state", "reason", "sha256")
ROW = ("a", "1", "published", "", "abc")


def write_run(reports: Path, day: str, **numbers: object) -> Path:
    """Write the run.json of a run of a day, but for `numbers`; returns its folder."""
    folder = reports / day
    folder.mkdir(parents=True)
    summary = {"run_id": f"run of {day}", "as_of": day, "finished": f"{day} 12:00:00", "modules": ["tools"]}
    (folder / "run.json").write_text(json.dumps(summary | numbers))
    return folder


def write_archives(folder: Path, *lines: tuple[str, ...]) -> None:
    (folder / "archive.tsv").write_text("".join("\t".join(fields) + "\n" for fields in lines))


def test_the_last_run_is_the_one_that_finished_last(tmp_path: Path, database: str) -> None:
    write_run(tmp_path, "2024-06-30", finished="2024-06-30 12:00:00")
    folder = write_run(tmp_path, "2024-06-07", finished="2024-07-01 12:00:00")
    write_archives(folder, COLUMNS, ROW)
    found = last_run(tmp_path, database)
    assert (found.run_id, found.as_of) == ("run of 2024-06-07", date(2024, 6, 7))
    assert found.archives == {("a", "1"): dict(zip(COLUMNS, ROW, strict=True))}
    assert found.in_database is None


def test_a_set_of_a_backfill_is_no_run_that_can_be_verified(tmp_path: Path, database: str) -> None:
    write_run(tmp_path, "2024-06-30", finished="2024-06-30 12:00:00")
    write_run(tmp_path, "2024-06-07", finished="2024-07-01 12:00:00", state="backfilled")
    assert last_run(tmp_path, database).as_of == date(2024, 6, 30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"run_id": "a", "as_of": "30.6.2024", "finished": "", "modules": []}',
        '{"run_id": "a", "as_of": "2024-06-30", "finished": 1, "modules": []}',
        '{"run_id": "a", "as_of": "2024-06-30", "finished": "", "modules": [1]}',
        '{"run_id": "a", "as_of": "2024-06-30", "finished": ""}',
    ],
)
def test_a_damaged_summary_is_of_no_run(tmp_path: Path, text: str) -> None:
    (write_run(tmp_path, "2024-06-30") / "run.json").write_text(text)
    with pytest.raises(NothingPublished, match=str(tmp_path)):
        last_run(tmp_path, NOWHERE)


def test_without_reports_nothing_was_published(tmp_path: Path) -> None:
    # Neither `latest`, which is a link to a day, nor what else lies about is a run of its own.
    write_run(tmp_path, "latest")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NothingPublished):
            last_run(folder, NOWHERE)


def test_archives_are_read_by_the_names_of_their_columns(tmp_path: Path) -> None:
    quote = '"half'
    write_archives(tmp_path, ("bytes", *COLUMNS), ("7", *ROW), ("8", "a", quote, "incomplete", "no json", ""))
    assert published_archives(tmp_path) == {
        ("a", "1"): dict(zip(COLUMNS, ROW, strict=True)),
        ("a", quote): dict(zip(COLUMNS, ("a", quote, "incomplete", "no json", ""), strict=True)),
    }


def test_archives_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    assert published_archives(tmp_path) == {}
    write_archives(tmp_path, COLUMNS[1:], ROW[1:])
    assert published_archives(tmp_path) == {}
    (tmp_path / "archive.tsv").write_bytes(b"\xff")
    assert published_archives(tmp_path) == {}
