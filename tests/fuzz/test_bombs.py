"""Small files that would be large: none of them takes more memory than the largest lines need, or more than seconds."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from build import END_MARK, HEADERS, entry, header, line, member, packed
from places import ROOT

from grt_batch.schema.members import Kind

MIB = 1 << 20
SIZE = 10 * MIB
MOST_MEMORY = 400 * MIB
JOBS = HEADERS[Kind.JOBS] + line(1, "Cut1", "1.0", "ok", "2024-06-02 19:18:30")
GOOD = member(Kind.JOBS, JOBS)
PIECES = {
    "letters": b"x",
    "tabs": b"\t",
    "digits": b"9",
    "none": b"None\t",
    "quotes": b'"',
    "brackets": b"[",
    "backslashes": b"\\\\",
    "objects": b'{"p":',
}


def long_text(piece: bytes) -> bytes:
    return piece * (SIZE // len(piece))


def bombs() -> dict[str, bytes]:
    """Archives of 10 MiB and more of the same, some kB each; of lines and of what stands around them."""
    found: dict[str, bytes] = {}
    for name, piece in PIECES.items():
        text = long_text(piece)
        found[f"line of {name}"] = packed(member(Kind.JOBS, JOBS + text))
        found[f"metric of {name}"] = packed(
            GOOD, member(Kind.METRIC_NUM, HEADERS[Kind.METRIC_NUM] + b"1\tcore\tx\t" + text)
        )
        found[f"value of {name}"] = packed(GOOD, member(Kind.PARAMS, HEADERS[Kind.PARAMS] + b"1\tp\t" + text + b"\n"))
        found[f"header of {name}"] = packed(GOOD, member(Kind.PARAMS, b"job_id\t" + text + b"\n1\ta\tb\n"))
    found |= {
        "line of nul": packed(member(Kind.JOBS, JOBS + long_text(b"\0"))),
        "value of no utf-8": packed(GOOD, member(Kind.PARAMS, b"1\tp\t" + long_text(b"\xff"))),
        "list": packed(GOOD, member(Kind.PARAMS, b"1\tp\t[" + long_text(b"1,") + b"1]\n")),
        "tool": packed(member(Kind.JOBS, JOBS + line(2, "x" * SIZE, "1.0", "ok", "None"))),
        "list of secrets": packed(GOOD, member(Kind.PARAMS, b'1\tp\t["' + b'password","' * 100_000 + b'x"]\n')),
        "newlines": packed(member(Kind.JOBS, JOBS + long_text(b"\n"))),
        "metrics without a column": packed(GOOD, member(Kind.METRIC_NUM, long_text(b"\n"))),
        "datasets without a column": packed(GOOD, member(Kind.DATASETS, b"\n" + long_text(b"1\n"))),
        "params": packed(GOOD, member(Kind.PARAMS, long_text(b"1\t\t\n"))),
        "zeros": packed(entry("zeros", bytes(60 * MIB)), GOOD),
        "zeros behind the end": packed(GOOD, end=END_MARK + bytes(60 * MIB)),
        "far too many zeros": packed(entry("zeros", bytes(300 * MIB)), GOOD),
        "entries": packed(*(header(f"{i}.txt") for i in range(60_000)), GOOD),
        "members": packed(GOOD, member(Kind.PARAMS, b"1\ta\tb\n") * 2000),
        "gzip in gzip": gzip.compress(gzip.compress(bytes(60 * MIB))),
        "gzip members": gzip.compress(b"") * 30_000 + packed(GOOD),
        "digits of inputs": packed(
            GOOD,
            member(Kind.DATASETS, b"".join(line(1, i, "bam", 5, f"{i}x" + "1" * 400, "input") for i in range(5000))),
            member(Kind.PARAMS, line(1, "input", 5)),
        ),
        "inputs of one id": packed(
            GOOD,
            member(Kind.DATASETS, b"".join(line(1, 5, "bam", 5, f"p{i}", "input") for i in range(3000))),
            member(Kind.PARAMS, b"".join(line(1, f"p{i}", 5) for i in range(3000))),
        ),
    }
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process with little memory said of the bombs."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, content in bombs().items():
        (folder / f"{name}.tar.gz").write_bytes(content)
    script = Path(__file__).with_name("reading.py")
    here = {"PYTHONPATH": f"{script.parent}:{ROOT}/tests/support", "PATH": "", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-B", str(script), str(folder), str(MOST_MEMORY)]
    done = subprocess.run(
        command, env=here, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_bomb_takes_no_more_memory_than_long_lines_need(told: dict[str, Any]) -> None:
    before = 0
    for name, outcome in told["outcomes"].items():
        assert outcome["peak"] < MOST_MEMORY, f"{name}, after {before / MIB:.0f} MiB: {outcome}"
        before = outcome["peak"]


def test_a_bomb_is_accounted_for_or_in_quarantine(told: dict[str, Any]) -> None:
    assert len(told["outcomes"]) > 40
    for name, outcome in told["outcomes"].items():
        assert outcome["accounted"], name
        assert outcome["rejected"] == outcome["in the reject file"], name
        assert outcome["quarantine"] or outcome["lines"], name
    quarantined = {name for name, outcome in told["outcomes"].items() if outcome["quarantine"]}
    assert quarantined >= {"far too many zeros", "entries", "newlines", "gzip in gzip"}
    assert not quarantined & {name for name in told["outcomes"] if name.startswith(("line", "metric of", "value"))}


def test_who_reads_archives_writes_nothing(told: dict[str, Any]) -> None:
    assert told["deeds"] == []
