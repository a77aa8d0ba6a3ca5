"""The history of an instance: what each archive reports, and what it reports again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from sample_archives import Archive, jobs_by_id, read

from grt_batch.sample import write_sample


def test_newest_archive_is_of_the_day_asked_for(tmp_path: Path) -> None:
    write_sample(tmp_path, jobs=50, instances=2, archives=2, until=date(2023, 3, 1))
    newest = max(float(archive.report["generated"]) for archive in read(tmp_path))
    assert datetime.fromtimestamp(newest, UTC).date() == date(2023, 3, 1)


def test_reports_again_with_states_moved_on(archives: list[Archive], in_small_chunks: list[Archive]) -> None:
    for sample in (archives, in_small_chunks):
        largest = max(sample, key=lambda archive: archive.packed.stat().st_size).instance_id
        earlier, newest = [archive for archive in sample if archive.instance_id == largest][-2:]
        before, after = jobs_by_id(earlier), jobs_by_id(newest)
        twice = before.keys() & after.keys()
        assert 0.15 < len(twice) / len(after) < 0.25
        assert min(map(int, twice)) > min(map(int, before))
        assert max(map(int, twice)) == max(map(int, before))
        moved = Counter((before[job][3], after[job][3]) for job in twice if before[job][3] != after[job][3])
        assert moved["running", "ok"] > 0
        assert {state for state, _ in moved} <= {"new", "queued", "running"}
        for job in twice:
            assert before[job][:2] == after[job][:2]
            assert before[job][4] == after[job][4]


def test_chunks_leave_no_gap_and_no_double(in_small_chunks: list[Archive]) -> None:
    reported: dict[str, set[str]] = {}
    for archive in in_small_chunks:
        ids = [field for fields in archive.members["jobs"] for field in fields if field.isdigit()]
        assert len(set(ids)) == len(ids) == sum(archive.report["jobs"].values())
        reported.setdefault(archive.instance_id, set()).update(ids)
    for found in reported.values():
        missing = set(range(1, max(map(int, found)) + 1)) - set(map(int, found))
        assert all(number % 50 == 0 for number in missing)
