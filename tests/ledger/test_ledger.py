"""The ledger: counts that do not agree with an archive are seen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from build import HEADERS, examples, line, write_archive
from calling import AS_OF, Call
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.ledger.account import Account, Members
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State, archive_rows, json_text, miscount
from grt_batch.queries.ledger import doubtful
from grt_batch.schema.members import Kind
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive, scan
from tests.ledger.test_account import read

JOBS = [line(number, "tool", "1.0", "ok", "2024-06-01 10:00:00") for number in (1, 2, 3)]


JOINED = b"8358\t" + JOBS[0]


SHORT = line(9, "tool")


@pytest.mark.parametrize(
    ("lines", "counted", "what"),
    [
        (JOBS, {}, None),
        (JOBS, {"ok": 2, "error": 1}, None),
        (JOBS, {"ok": 2}, "counts 2 jobs, and the archive has 3"),
        (JOBS, {"ok": 3, "new": 1}, "counts 4 jobs, and the archive has 3"),
        ([], {"ok": 1}, "counts 1 job, and the archive has 0"),
        # A fragment and a rejected line may be counted or not, and may be several rows.
        ([*JOBS, JOINED, SHORT], {"ok": 4}, None),
        ([*JOBS, JOINED, SHORT], {"ok": 6}, None),
        ([*JOBS, JOINED, SHORT], {"ok": 14}, None),
        ([*JOBS, JOINED, SHORT], {"ok": 15}, "counts 15 jobs, and the archive has 4 and 2 rejected lines"),
        ([*JOBS, JOINED, SHORT], {"ok": 3}, "counts 3 jobs, and the archive has 4 and 2 rejected lines"),
    ],
)
def test_other_numbers_than_were_read_are_seen(
    lines: list[bytes], counted: dict[str, int], what: str | None, tmp_path: Path
) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(lines)}, jobs=counted)
    (archive,) = scan(tmp_path).archives
    account, _ = read(archive)
    assert miscount(archive, account) == (f"1.json {what}" if what else None)


def test_no_archive_of_the_sample_is_miscounted(sample: Path) -> None:
    archives = list(scan(sample).archives)
    assert all(archive.report and archive.report.jobs for archive in archives)
    assert [what for archive in archives if (what := miscount(archive, read(archive)[0]))] == []


def test_status_and_check_tell_of_it(config: Config, call: Call, tmp_path: Path) -> None:
    config = replace(config, uploads=tmp_path / "uploads")
    for name, counted in (("1", 3), ("2", 5)):
        write_archive(
            config.uploads / "a", name, {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(JOBS)}, jobs={"ok": counted}
        )
    places: list[object] = ["--work", config.work, "--database", config.database]
    options = ["--uploads", config.uploads, "--reports", config.reports, *places, "--as-of", AS_OF, "instances"]
    assert call("run", *options).code == 0
    what = "2.json counts 5 jobs, and the archive has 3"
    assert f"a/2: good: 3 jobs; {what}\n" in call("check", config.uploads).out
    assert "a/1: good: 3 jobs\n" in call("check", config.uploads).out
    assert call("status", *places).out.partition("miscounted:")[2].splitlines()[2].split() == ["a", "2", *what.split()]
    assert call("status", *places).out.partition("implausible:")[2].split()[0] == "none"
    write_archive(config.uploads / "a", "1", {Kind.JOBS: JOBS[0]}, jobs={"ok": 1}, generated=5_000_000_000)
    assert call("run", *options).code == 0
    said = "an impossible date in N.json"
    assert said in call("check", config.uploads).out
    told = call("status", *places).out.partition("implausible:")[2].splitlines()[2].split()
    assert told == ["a", "1", "the", "date", "in", "N.json"]
    # Who is published no more is not told of.
    write_archive(config.uploads / "a", "2", {Kind.JOBS: JOBS[0]}, jobs={"ok": 1})
    assert call("run", *options).code == 0
    assert doubtful(config)["miscounted"] == []


GOOD = Archive("a", "1", Path("1.tar.gz"), 5, (5, 0, 0), None)
ACCOUNT = Account("hash", 5, members={"jobs": Members(lines=9, accepted=7)})


@pytest.mark.parametrize(
    ("entry", "counts", "jobs"),
    [
        (ArchiveEntry(GOOD, State.PUBLISHED, None, ACCOUNT, superseded=2), True, 5),
        (ArchiveEntry(GOOD, State.INCOMPLETE, "its json is missing", ACCOUNT), True, 7),
        (ArchiveEntry(GOOD, State.INCOMPLETE, "its json is missing"), False, 0),
        (ArchiveEntry(GOOD, State.QUARANTINED, "broken", ACCOUNT), False, 0),
    ],
    ids=["published", "incomplete since", "incomplete", "quarantined"],
)
def test_what_is_not_in_the_tables_counts_for_nothing(entry: ArchiveEntry, counts: bool, jobs: int) -> None:
    assert (entry.counts, entry.jobs) == (counts, jobs)
    instance = InstanceEntry("a", InstanceMetadata(public=True), (entry,))
    ledger = Ledger(date(2024, 6, 30), Config(), (instance, InstanceEntry("b", InstanceMetadata(), ())))
    assert instance.published == ((entry,) if counts else ())
    assert (ledger.public, list(ledger.archives)) == (["a"], [entry])
    (row,) = archive_rows(ledger.instances).to_dicts()
    accepted = 7 if counts else 0
    assert (row["state"], row["reason"], row["jobs"]) == (entry.state.value, entry.reason, accepted)


@examples(100)
@given(values=st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(-(2**53), 2**53), min_size=2))
def test_equal_values_are_the_same_json(values: dict[str, int]) -> None:
    text = json_text(values)
    assert json_text(dict(reversed(values.items()))) == text
    assert json.loads(text) == values
