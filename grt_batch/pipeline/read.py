"""Read one archive: decode and join all of its members."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from grt_batch.columns.columns import null_of
from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock, Stage
from grt_batch.core.wording import counted
from grt_batch.decode.columns import Decoded, Reject
from grt_batch.decode.redaction import Redaction
from grt_batch.join.jobs import Joiner
from grt_batch.ledger.account import Account
from grt_batch.pipeline.tasks import DecodeTask, RunTasks
from grt_batch.schema.escapes import escape
from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job, Records
from grt_batch.uploads.archive import ArchiveReader, Block, Header
from grt_batch.uploads.unpacking import Limits


def limits_of(config: Config) -> Limits:
    """Return the configured limits of reading."""
    return Limits(config.block_bytes, config.max_archive_bytes, config.max_ratio, config.max_line_bytes)


def redaction_of(config: Config) -> Redaction:
    """Return the configured redaction. Raises BadConfig."""
    redaction = Redaction(config.redact_patterns, config.redact_names)
    redaction.check()
    return redaction


def read_archive(
    tar: Path,
    config: Config,
    wanted: tuple[str, ...],
    run_tasks: RunTasks,
    clock: Clock,
    progress: Callable[[int], None],
) -> tuple[Account, Records | None, bytes]:
    """Decode and join all members of one tar.gz. Call `progress` with all bytes read so far.

    Return its account, its jobs and the `wanted` kinds of records, and its reject file.

    For an archive that cannot be read the account says why, and there are no records. Where the file itself cannot be
    read, the hash is empty.
    """
    reader = ArchiveReader(tar, limits_of(config), clock)
    redaction = redaction_of(config)
    joiner, rejects = Joiner(wanted), _RejectFile(config, redaction)
    waiting: deque[Block] = deque()
    numbers = itertools.count(1)

    def tasks() -> Iterator[DecodeTask]:
        stream = reader.blocks()
        while True:
            with clock.stage(Stage.GUNZIP):
                item = next(stream, None)
            if item is None:
                return
            if isinstance(item, Header):
                rejects.begin(item)
            else:
                progress(reader.bytes_read)
                waiting.append(item)
                yield DecodeTask(item, next(numbers), wanted, redaction, config.left_out_params)

    try:
        for decoded in run_tasks(tasks()):
            rejects.add(waiting.popleft(), decoded)
            joiner.add(decoded)
        with clock.stage(Stage.JOIN, reader.text_bytes):
            records, repeated = joiner.join()
    except Quarantine as error:
        sha256 = file_sha256(tar)
        size = tar.stat().st_size if sha256 else 0
        # The name of a member may be a path on the exporter's machine.
        reason = redaction.lines(pl.Series([error.reason])).item()
        return Account(sha256=sha256, bytes=size, quarantine=reason), None, b""
    for kind, redacted in rejects.redacted.items():
        joiner.members[kind].redacted += redacted
    jobs = records[Job]
    ids, days = jobs[Job.job_id.name], jobs[Job.day.name]
    # Null is the least integer.
    last_day = int(days.max(initial=null_of(days)))
    account = Account(
        sha256=reader.sha256,
        bytes=reader.bytes_read,
        text_bytes=reader.text_bytes,
        found=reader.found,
        passed_over=reader.passed_over,
        replaced=joiner.replaced,
        members={kind.value: members for kind, members in joiner.members.items() if members.lines},
        reasons=sorted((kind.value, reason, n) for (kind, reason), n in joiner.reasons.items()),
        implausible={name: count for name, count in sorted(joiner.implausible.items()) if count},
        jobs=jobs.height,
        repeated=repeated,
        first_id=int(ids[0]) if jobs.height else None,
        last_id=int(ids[-1]) if jobs.height else None,
        last_day=(date(1970, 1, 1) + timedelta(last_day)).isoformat() if last_day > null_of(days) else None,
    )
    return account, records, rejects.content()


class _RejectFile:
    """The reject file of one archive: member, line (from 1, with the header), reason, bytes, text.

    A member is named by its kind, and the second of a kind `jobs 2`: names in a tar may be equal.
    """

    def __init__(self, config: Config, redaction: Redaction) -> None:
        self._text_bytes = config.reject_text_bytes
        self._most, self._size = config.max_reject_bytes, 0
        self._redaction = redaction
        self.redacted: Counter[Kind] = Counter()
        self._lines: dict[tuple[Kind, int], int] = {}
        self._content: list[bytes] = []

    def begin(self, header: Header) -> None:
        self._lines[header.layout.kind, header.member] = 2 if header.has_header else 1

    def add(self, block: Block, decoded: Decoded) -> None:
        place = block.layout.kind, block.member
        if decoded.rejects:
            raw = pl.Series([reject.text.decode("utf-8", "replace") for reject in decoded.rejects])
            texts = self._redaction.lines(raw)
            self.redacted[block.layout.kind] += int((texts != raw).sum())
            first = self._lines[place]
            member = block.layout.kind.value + (f" {block.member + 1}" if block.member else "")
            lines = _reject_lines(member, first, decoded.rejects, texts, self._text_bytes)
            self._content.append(b"".join(lines))
            self._size += len(self._content[-1])
            if 0 < self._most < self._size:
                raise Quarantine(f"its rejected lines take more than {counted(self._most, 'byte')}")
        self._lines[place] += decoded.lines

    def content(self) -> bytes:
        return b"".join(self._content)


def _reject_lines(
    member: str, first: int, rejects: Iterable[Reject], texts: Iterable[str], text_bytes: int
) -> Iterator[bytes]:
    for reject, whole in zip(rejects, texts, strict=True):
        text = escape(whole.encode()[:text_bytes].decode("utf-8", "replace"))
        fields = (member, str(first + reject.line), reject.reason, str(len(reject.text)), text)
        yield ("\t".join(fields) + "\n").encode()
