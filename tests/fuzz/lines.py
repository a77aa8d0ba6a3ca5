"""Members as the exporter writes them, and what can become of their lines."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from build import HEADERS, line
from strange import DATES, IDS, NUMBERS, OF_COLUMN, RAW, VALUES

from grt_batch.schema.members import Kind

METRICS = (
    ("core", "runtime_seconds", "7.5000000"), ("core", "start_epoch", "1719748810.0000000"),
    ("core", "end_epoch", "1719748820.0000000"), ("core", "galaxy_slots", "4.0000000"),
    ("core", "galaxy_memory_mb", "1024.0000000"), ("cgroup", "memory.peak", "1048576.0000000"),
    ("cgroup", "cpu.stat.usage_usec", "2500000.0000000"), ("cgroup", "memory.max_usage_in_bytes", "2097152.0000000"),
    ("cgroup", "cpuacct.usage", "2500000000.0000000"),
)  # fmt: skip


def records(first: int, jobs: int) -> dict[Kind, list[bytes]]:
    """The lines of good members, without their headers: those of some jobs, the ids from `first` on."""
    found: dict[Kind, list[bytes]] = {kind: [] for kind in Kind}
    for job in range(first, first + jobs):
        state = "ok" if job % 4 else "error"
        found[Kind.JOBS].append(line(job, f"tool{job % 3}", "1.0", state, f"2024-06-{1 + job % 30:02} 12:00:00.5"))
        found[Kind.METRIC_NUM] += [line(job, *metric) for metric in METRICS]
        found[Kind.METRIC_TXT].append(line(job, "env", "PATH", "/bin"))
        found[Kind.PARAMS] += [line(job, "p", '"\\"hg38\\""'), line(job, "input", 10 * job)]
        found[Kind.DATASETS] += [
            line(job, 10 * job, "bam", 5000 + job, "input1", "input"),
            line(job, 10 * job + 1, "txt", 70, "out", "output"),
        ]
    return found


Lines = list[bytes]
Damage = Callable[[Kind, Lines, random.Random], None]
"""Changes the lines of a member, header first."""


def put_in_a_column(kind: Kind, lines: Lines, randomly: random.Random) -> None:
    """A strange text takes the place of a good one; mostly one that pretends to be of its type."""
    at = randomly.randrange(1, len(lines))
    fields = lines[at].removesuffix(b"\n").split(b"\t")
    column = randomly.randrange(len(OF_COLUMN[kind]))
    pools = (OF_COLUMN[kind][column],) * 4 + (IDS, NUMBERS, DATES, VALUES)
    fields[column % len(fields)] = randomly.choice(randomly.choice(pools)).encode()
    lines[at] = b"\t".join(fields) + b"\n"


def put_anywhere(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """Strange bytes come between others, perhaps in the header."""
    at = randomly.randrange(len(lines))
    place = randomly.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:place] + randomly.choice(RAW) + lines[at][place:]


def change_columns(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """A column too many, too few, or none at all; perhaps in the header."""
    at = randomly.randrange(len(lines))
    fields = lines[at].removesuffix(b"\n").split(b"\t")
    place = randomly.randrange(len(fields))
    match randomly.randrange(4):
        case 0:
            fields.insert(place, fields[randomly.randrange(len(fields))])
        case 1:
            del fields[place]
        case 2:
            fields = []
        case 3:
            fields *= randomly.choice((2, 3, 30))
    lines[at] = b"\t".join(fields) + b"\n"


def join_lines(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """One to three rows stop in the middle, where a field is null, and the next one is written behind them."""
    at = randomly.randrange(1, len(lines))
    joined = b""
    for row in lines[at : at + randomly.randint(1, 3)]:
        fields = row.removesuffix(b"\n").split(b"\t")
        joined += b"".join(field + b"\t" for field in fields[: randomly.randrange(len(fields))])
    lines[at] = joined + lines[at]


def flip_bits(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """Up to eight bytes are others, perhaps newlines."""
    text = bytearray(b"".join(lines))
    for _ in range(randomly.randint(1, 8)):
        text[randomly.randrange(len(text))] ^= randomly.choice((1, 2, 8, 128, randomly.randint(1, 255)))
    lines[:] = [bytes(text)]


def cut_off(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """The member ends somewhere, perhaps before its first line does."""
    text = b"".join(lines)
    lines[:] = [text[: randomly.randrange(len(text))]]


def end_lines_as_windows_does(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """Carriage returns, in some lines or in all."""
    some = randomly.choice((1.0, 0.5))
    lines[:] = [row.replace(b"\n", b"\r\n") if randomly.random() <= some else row for row in lines]


def change_header(kind: Kind, lines: Lines, randomly: random.Random) -> None:
    """No header, two of them, that of another kind, one with other columns, or in another order."""
    names = HEADERS[kind].removesuffix(b"\n").split(b"\t")
    other = randomly.sample([*names, b"extra", b"\xff\0", b"", b"ID", b"1"], randomly.randint(1, len(names) + 4))
    headers = (
        b"", lines[0] * 2, HEADERS[randomly.choice(list(Kind))], b"\t".join(other) + b"\n", b"\t".join(names * 2) + b"\n",
        b"\t".join(randomly.sample(names, len(names))) + b"\n", b"\t".join(names * 20) + b"\n", b"\n", b"\xef\xbb\xbf" + lines[0],
        b" \t ".join(names) + b" \n", lines[0].upper(), b"\t".join([*names, *(b"c%d" % i for i in range(62))]) + b"\n",
    )  # fmt: skip
    lines[0] = randomly.choice(headers)


def mix_lines(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """Lines in any order, some twice, the header perhaps among them."""
    lines[:] = [randomly.choice(lines) for _ in lines]


def lengthen(kind: Kind, lines: Lines, randomly: random.Random) -> None:
    """A line of many bytes of the same kind."""
    at = randomly.randrange(1, len(lines))
    piece = randomly.choice((b"x", b"\t", b"1", b"-", b"\0", b"\xff", b"None\t", b'"', b"[", b"\\", b"1\t2\t"))
    size = randomly.choice((300, 70_000, 200_000))
    long = piece * (size // len(piece))
    fields = lines[at].removesuffix(b"\n").split(b"\t")
    fields[randomly.randrange(len(OF_COLUMN[kind])) % len(fields)] = long
    lines[at] = randomly.choice((long + b"\n", long, b"\t".join(fields) + b"\n"))


def replace_all(_: Kind, lines: Lines, randomly: random.Random) -> None:
    """No word of it is a record."""
    text = randomly.choice(
        (b"", b"\n", b"\n" * 3000, b"\t" * 3000, b"\0" * 3000, b"x", b"{}\n", b"\x1f\x8b\x08", randomly.randbytes(3000))
    )
    lines[:] = [text, b""]


DAMAGES: Mapping[Damage, int] = {
    put_in_a_column: 320,
    put_anywhere: 80,
    change_columns: 60,
    join_lines: 80,
    flip_bits: 60,
    cut_off: 30,
    end_lines_as_windows_does: 10,
    change_header: 60,
    mix_lines: 10,
    lengthen: 40,
    replace_all: 25,
}
"""How many archives are damaged in each way."""
