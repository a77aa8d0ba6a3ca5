"""The account of one archive: what became of every line."""

from __future__ import annotations

import builtins
from dataclasses import asdict, dataclass, field, fields

import orjson

from grt_batch.schema.members import Kind


@dataclass
class Members:
    """The lines of the members of one kind: lines = accepted + rejected.

    `salvaged` are among the accepted. `fragments`, pieces of salvaged lines, count apart. `redacted` are records and
    rejected lines in which something was redacted; records of which only the job ids are decoded never count.
    `left_out` are leaves of parameters that have the name of something that Galaxy adds by itself.
    """

    lines: int = 0
    accepted: int = 0
    salvaged: int = 0
    rejected: int = 0
    fragments: int = 0
    orphans: int = 0
    redacted: int = 0
    left_out: int = 0

    def add(self, other: Members) -> None:
        """Add the counts of another block of the same member."""
        for count in fields(self):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))


@dataclass(frozen=True)
class Account:
    """Everything that was read of one tar.gz, accounted for: a pure function of its bytes.

    `found` are the members of a known kind, `passed_over` the other entries of the tar;
    `implausible` counts the jobs with such a measurement, by its name;
    `jobs` are different jobs, `repeated` the job lines that a later line of the same archive replaced;
    `first_id` and `last_id` span the job ids, `last_day` is the last day on which one was created, None without any;
    `quarantine` is the reason, None for a good archive.
    """

    sha256: str
    bytes: int
    text_bytes: int = 0
    found: int = 0
    passed_over: int = 0
    replaced: int = 0
    members: dict[str, Members] = field(default_factory=dict)
    reasons: list[tuple[str, str, int]] = field(default_factory=list)
    implausible: dict[str, int] = field(default_factory=dict)
    jobs: int = 0
    repeated: int = 0
    first_id: int | None = None
    last_id: int | None = None
    last_day: str | None = None
    quarantine: str | None = None

    def accepted(self, *kinds: Kind) -> int:
        """Return the number of accepted records of these kinds."""
        return sum(self.members[kind.value].accepted for kind in kinds if kind.value in self.members)

    def total(self, count: str) -> int:
        """Return the sum of one of the counts of `Members` over all members."""
        return sum(getattr(members, count) for members in self.members.values())

    @property
    def impossible(self) -> str:
        """Return in words which measurements no job can have, "" for none."""
        return ", ".join(f"{count} × {name}" for name, count in self.implausible.items())

    def to_json(self) -> builtins.bytes:
        """Return the account as it is stored."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, raw: builtins.bytes) -> Account:
        """The opposite of `to_json`; what another version wrote beside these fields is passed over."""
        found = orjson.loads(raw)
        values = {known.name: found[known.name] for known in fields(cls) if known.name in found}
        values["members"] = {kind: Members(**counts) for kind, counts in values["members"].items()}
        values["reasons"] = [tuple(reason) for reason in values["reasons"]]
        return cls(**values)
