"""One archive is read: its limits and its redaction, its reject file, and why it cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from build import HEADERS, line, member, write_archive
from odd_texts import add_lines, add_params
from writing import Archive

from grt_batch.columns.packing import pack
from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig
from grt_batch.core.timing import Clock
from grt_batch.ledger.account import Account
from grt_batch.pipeline.read import limits_of, read_archive, redaction_of
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job, Leaf, Param
from grt_batch.uploads.unpacking import Limits

GOOD = [line(i, "tool", "1", "ok", f"2024-06-{i:02} 10:00:00") for i in (1, 3, 2)]


def read(tar: Path, config: Config) -> tuple[Account, list[int] | None, bytes, list[int]]:
    """The account, the ids of the jobs, the reject file, and what was told of the progress."""
    told: list[int] = []
    account, records, rejects = read_archive(tar, config, (), run_here, Clock(), told.append)
    return account, None if records is None else records[Job]["job_id"].tolist(), rejects, told


def archive(folder: Path, *lines: bytes) -> Path:
    return write_archive(folder / "a", "1", {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(lines)})


def test_limits_and_redaction_are_those_of_the_configuration() -> None:
    config = Config(block_bytes=1, max_archive_bytes=2, max_ratio=3, max_line_bytes=4, redact_names=("secret",))
    assert limits_of(config) == Limits(1, 2, 3, 4)
    assert (redaction_of(config).patterns, redaction_of(config).names) == (config.redact_patterns, ("secret",))
    with pytest.raises(BadConfig):
        redaction_of(replace(config, redact_patterns=("(",)))


@pytest.mark.parametrize("block_bytes", [1, 50, 4 << 20])
def test_an_account_says_what_was_read_however_it_was_cut(tmp_path: Path, block_bytes: int) -> None:
    tar = archive(tmp_path, *GOOD, GOOD[0], line("broken"))
    account, ids, rejects, told = read(tar, Config(block_bytes=block_bytes))
    assert ids == [1, 2, 3]
    assert (account.jobs, account.repeated, account.first_id, account.last_id) == (3, 1, 1, 3)
    assert (account.last_day, account.bytes, account.quarantine) == ("2024-06-03", tar.stat().st_size, None)
    # The header is line 1.
    assert [row.split(b"\t")[:2] for row in rejects.splitlines()] == [[b"jobs", b"6"]]
    assert told == sorted(told)
    assert 0 < told[-1] <= account.bytes


def test_a_rejected_line_is_redacted_and_cut_off(tmp_path: Path) -> None:
    text = b"jane.doe@example.org\tand more"
    account, _, rejects, _ = read(archive(tmp_path, *GOOD, text + b"\n"), Config(reject_text_bytes=12))
    kind, _, _, size, shown = rejects.rstrip(b"\n").split(b"\t")
    assert (kind, int(size)) == (b"jobs", len(text))
    assert shown.startswith(b"[redacted]")
    assert account.members["jobs"].redacted == 1


def test_the_reject_file_tells_members_of_one_kind_apart(tmp_path: Path) -> None:
    again = member(Kind.JOBS, GOOD[1] + line("broken"))
    tar = write_archive(tmp_path / "a", "1", {Kind.JOBS: line("broken") + GOOD[0]}, entries=again * 2)
    _, ids, rejects, _ = read(tar, Config())
    assert ids == [1, 3]
    assert [row.split(b"\t")[:2] for row in rejects.splitlines()] == [
        [b"jobs", b"1"],
        [b"jobs 2", b"2"],
        [b"jobs 3", b"2"],
    ]


def test_an_account_counts_what_no_job_can_have(tmp_path: Path) -> None:
    jobs = [*GOOD, line(4, "tool", "1", "ok", "1970-01-01 00:00:00")]
    metrics = b"".join(line(job, "core", "galaxy_slots", slots) for job, slots in ((1, "0E-7"), (2, 1), (3, 10**6)))
    tar = write_archive(tmp_path / "a", "1", {Kind.JOBS: b"".join(jobs), Kind.METRIC_NUM: metrics})
    account, *_ = read(tar, Config())
    assert account.implausible == {"create_time": 1, "galaxy_slots": 2}
    assert account.impossible == "1 × create_time, 2 × galaxy_slots"
    assert Account.from_json(account.to_json()) == account


def test_what_galaxy_adds_by_itself_is_left_out_of_leaves_and_counted(tmp_path: Path) -> None:
    values = ('{"__current_case__": 0, "a": 1}', '{"chromInfo": {"x": 1, "y": 2}, "__page__": 1}')
    lines = b"".join(line(job, "p", value) for job, value in zip((1, 2, 9), (*values, values[0]), strict=True))
    members = {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(GOOD), Kind.PARAMS: HEADERS[Kind.PARAMS] + lines}
    tar = write_archive(tmp_path / "a", "1", members)
    for config, left_out, rows in ((Config(), 5, 1), (Config(left_out_params=("a", "[xy]")), 4, 2)):
        account, records, _ = read_archive(tar, config, (Leaf.kind, Param.kind), run_here, Clock(), lambda _: None)
        assert records is not None
        assert account.members["params"].left_out == account.total("left_out") == left_out
        assert (records[Leaf].height, records[Param].height) == (rows, 2)
    account, _, _ = read_archive(tar, Config(), (Param.kind,), run_here, Clock(), lambda _: None)
    assert account.total("left_out") == 0


def test_leaves_are_the_same_however_an_archive_is_cut(tmp_path: Path) -> None:
    archive = Archive()
    add_lines(archive)
    add_params(archive)
    archive.write(tmp_path / "one", "1", 1718000000)
    found = []
    for block_bytes in (1, 3000, 50_000, 4 << 20):
        config = Config(block_bytes=block_bytes)
        account, records, _ = read_archive(
            tmp_path / "one" / "1.tar.gz", config, (Leaf.kind,), run_here, Clock(), lambda _: None
        )
        assert records is not None
        found.append((account, pack({Leaf.kind: records[Leaf]})))
    assert found.count(found[0]) == len(found)


def test_too_many_rejected_lines_put_an_archive_in_quarantine(tmp_path: Path) -> None:
    account, ids, rejects, _ = read(archive(tmp_path, *[line("broken")] * 9), Config(max_reject_bytes=100))
    assert account.quarantine == "its rejected lines take more than 100 bytes"
    assert account.sha256
    assert (ids, rejects) == (None, b"")


def test_a_file_that_is_not_there_has_no_hash(tmp_path: Path) -> None:
    account, ids, _, _ = read(tmp_path / "1.tar.gz", Config())
    assert account.quarantine
    assert (account.sha256, account.bytes, ids) == ("", 0, None)
