"""A corpus of damaged archives, always the same: made anew for each test, never stored."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import containers
import documents
import lines
from build import HEADERS, member, packed

from grt_batch.schema.members import Kind

GENERATED = 1_719_800_000
"""When the first of them was made, in Unix seconds; each other one a second later."""
JOBS = 6
JOBS_APART = 1000
"""No damage makes a job id of one archive that of another, but where it is meant to."""
DOCUMENTS = 200


@dataclass(frozen=True)
class Damaged:
    """An archive, and how it was damaged. `members` are the texts that its tar.gz holds, None where that is damaged."""

    name: str
    damage: str
    tar: bytes
    report: bytes
    members: dict[Kind, bytes] | None = field(default=None, repr=False)

    def write(self, folder: Path) -> Path:
        """Write N.json and N.tar.gz; returns the latter."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_bytes(self.report)
        tar = folder / f"{self.name}.tar.gz"
        tar.write_bytes(self.tar)
        return tar


def report_of(name: str, tar: bytes) -> dict[str, Any]:
    """The N.json that belongs to a tar.gz."""
    return {
        "version": 3,
        "galaxy_version": "24.1",
        "generated": name,
        "report_hash": f"sha256:{hashlib.sha256(tar).hexdigest()}",
        "metrics": {"_times": []},
        "users": {"active": 1, "total": 2},
        "jobs": {"ok": JOBS},
    }


def good(number: int = 0) -> Damaged:
    """The archive of this number, without damage."""
    members = {kind: HEADERS[kind] + b"".join(rows) for kind, rows in _rows(number).items()}
    tar = packed(*(member(kind, text) for kind, text in members.items()))
    name = str(GENERATED + number)
    return Damaged(name, "none", tar, json.dumps(report_of(name, tar)).encode(), members)


def _rows(number: int) -> dict[Kind, lines.Lines]:
    return lines.records(1 + number * JOBS_APART, JOBS)


def corpus(seed: int = 1) -> Iterator[Damaged]:
    """All damaged archives."""
    randomly = random.Random(seed)
    numbers = iter(range(1, 1_000_000))
    for change, count in lines.DAMAGES.items():
        for _ in range(count):
            yield _with_lines(next(numbers), change, randomly)
    for pack, count in containers.DAMAGES.items():
        for _ in range(count):
            yield _with_container(next(numbers), pack, randomly)
    for _ in range(DOCUMENTS):
        whole = good(next(numbers))
        [document] = documents.damaged(json.loads(whole.report), 1, randomly)
        yield Damaged(whole.name, "document", whole.tar, document, whole.members)


def _with_lines(number: int, change: lines.Damage, randomly: random.Random) -> Damaged:
    """One or two members whose lines are damaged; the others are good."""
    members = {kind: [HEADERS[kind], *rows] for kind, rows in _rows(number).items()}
    for kind in randomly.sample(list(Kind), randomly.choice((1, 1, 2))):
        change(kind, members[kind], randomly)
    texts = {kind: b"".join(rows) for kind, rows in members.items()}
    return _archive(number, change.__name__, packed(*(member(kind, text) for kind, text in texts.items())), texts)


def _with_container(number: int, pack: containers.Damage, randomly: random.Random) -> Damaged:
    entries = [member(kind, HEADERS[kind] + b"".join(rows)) for kind, rows in _rows(number).items()]
    return _archive(number, pack.__name__, pack(entries, randomly))


def _archive(number: int, damage: str, tar: bytes, members: dict[Kind, bytes] | None = None) -> Damaged:
    name = str(GENERATED + number)
    return Damaged(name, damage, tar, json.dumps(report_of(name, tar)).encode(), members)
