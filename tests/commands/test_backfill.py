"""The command that makes report sets of past days."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from calling import Call, places
from coming_and_going import AS_OF, Site

DAYS = ("--from", "2024-06-20", "--to", "2024-06-24", "--every", "day")


@pytest.fixture
def past(site: Site, tmp_path: Path) -> list[object]:
    """The options over a published site, whose database cannot be reached any more."""
    site.run(("tools", "metrics"))
    return ["--uploads", site.config.uploads, *places(tmp_path), "--no-progress"]


def sets(reports: Path) -> list[str]:
    return sorted(entry.name for entry in reports.glob("2*"))


def test_it_says_what_it_would_do_and_does_it(call: Call, site: Site, past: list[object]) -> None:
    reports = site.config.reports
    planned = call("backfill", *past, *DAYS, "--dry-run", "tools", "metrics")
    assert (planned.code, planned.err) == (0, "")
    titles, *rows = (line.split("  ") for line in planned.out.splitlines())
    assert [title.strip() for title in titles if title] == ["day", "set", "archives to read", "bytes to read"]
    assert [row[0] for row in rows] == [f"2024-06-{day}" for day in range(20, 25)]
    # Those made after the first day, for all days together.
    assert [[word for word in row if word][2].strip() for row in rows] == ["4", "0", "0", "0", "0"]
    assert sets(reports) == [AS_OF.isoformat()]
    done = call("backfill", *past, *DAYS, "tools", "metrics")
    assert done.code == 0
    *_, last, summary = done.out.splitlines()
    assert last == f"2024-06-24: 7 jobs of 4 archives in {reports}/2024-06-24"
    assert summary == f"5 of 5 sets made in {reports}"
    assert sets(reports) == [*(f"2024-06-{day}" for day in range(20, 25)), AS_OF.isoformat()]
    assert str((reports / "latest").readlink()) == AS_OF.isoformat()
    assert not (reports / "2024-06-24" / "html").exists()
    assert not (site.config.work / "postgres").exists()
    assert not (site.config.work / "last_run.json").exists()
    rest = call("backfill", *past, "--from", "2024-06-20", "--to", "2024-06-30", "--every", "week", "tools", "--again")
    assert rest.out.splitlines()[-1] == f"2 of 2 sets made in {reports}"
    whole = call("backfill", *past, "--from", "2024-06-24", "--to", AS_OF, "--every", "week", "--dry-run")
    assert "there" in whole.out


def test_the_parts_make_all_sets_together(call: Call, site: Site, past: list[object]) -> None:
    for part, made in (("2/2", 3), ("1/2", 2)):
        answer = call("backfill", *past, *DAYS, "--part", part, "tools")
        assert answer.out.splitlines()[-1] == f"{made} of {made} sets made in {site.config.reports}"
    assert len(sets(site.config.reports)) == 6


def test_the_newest_set_and_those_that_are_there_stay(call: Call, site: Site, past: list[object]) -> None:
    answer = call("backfill", *past, "--from", AS_OF, "--to", AS_OF, "--again", "tools")
    assert (answer.code, answer.out.splitlines()[0]) == (0, f"{AS_OF}: stays as it is")
    shown = call("backfill", *past, "--from", AS_OF, "--to", AS_OF, "--again", "--dry-run", "tools")
    assert "the newest, which a run made" in shown.out


def test_it_ends_with_1_where_an_archive_is_in_quarantine(call: Call, site: Site, past: list[object]) -> None:
    tar = site.write("a", "4", [9])
    tar.write_bytes(tar.read_bytes()[:-9])
    assert call("backfill", *past, "--from", "2024-06-24", "--to", "2024-06-24", "tools").code == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (["--to", "2024-06-19"], "--to 2024-06-19 lies before --from 2024-06-20"),
        (["--to", f"{datetime.now(UTC):%Y}-12-31"], "is not over (UTC): that day is for grt-batch run"),
        (["--from", "1969-12-31"], "--from 1969-12-31 lies before 1970"),
        (["--part", "0/3"], "--part 0/3 is none like 1/4"),
        (["--part", "4/3"], "--part 4/3 is none like 1/4"),
        (["--part", "one"], "--part one is none like 1/4"),
        (["records"], "records: an export has no past days"),
        (["nothing"], "nothing"),
        (["--every", "year"], "year"),
    ],
)
def test_what_makes_no_backfill_is_named(call: Call, tmp_path: Path, changes: list[str], complaint: str) -> None:
    answer = call("backfill", *places(tmp_path), *DAYS, *changes)
    assert answer.code == 2
    assert complaint in answer.complaint


def test_report_pages_are_made_where_they_are_asked_for(call: Call, site: Site, past: list[object]) -> None:
    pytest.importorskip("plotly")
    assert call("backfill", *past, "--from", "2024-06-24", "--to", "2024-06-24", "--html", "tools").code == 0
    assert (site.config.reports / "2024-06-24" / "html" / "index.html").is_file()


def test_ranks_make_the_same(
    call: Call, site: Site, past: list[object], grt_batch: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    days = ["--from", "2024-06-20", "--to", "2024-06-22"]
    done = grt_batch("backfill", *past, *days, "--ranks", 3, "tools", "metrics")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"3 of 3 sets made in {site.config.reports}\n")

    def made() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in site.config.reports.glob("2024-06-2*/*.tsv")}

    of_ranks = made()
    assert len(of_ranks) > 6
    assert call("backfill", *past, *days, "--again", "tools", "metrics").code == 0
    assert made() == of_ranks
