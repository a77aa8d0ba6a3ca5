"""Builds archives for the tests: good ones as the exporter writes them, and hostile ones byte by byte."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
from hypothesis import settings

from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import decode
from grt_batch.schema.members import Kind, layout_of
from grt_batch.uploads.archive import Block

EXPORTER_FOLDER = "home/hxr/arbeit/galaxy/reports/1501836597.08"
END_MARK = bytes(1024)
"""Two empty blocks end a tar."""

HEADERS = {
    Kind.JOBS: b"id\ttool_id\ttool_version\tstate\tcreate_time\n",
    Kind.METRIC_NUM: b"job_id\tplugin\tname\tvalue\n",
    Kind.METRIC_TXT: b"job_id\tplugin\tname\tvalue\n",
    Kind.PARAMS: b"job_id\tname\tvalue\n",
    Kind.DATASETS: b"job_id\tdataset_id\textension\tfile_size\tparam_name\ttype\n",
}


QUICK = "GRT_BATCH_TEST_QUICK"
"""The variable that conftest sets with --quick, before test files are read."""


def examples(count: int) -> settings:
    """Return settings for `count` examples, half of them with --quick, which are the same in every run.

    A first call may compile kernels, so no example has a deadline.
    """
    if os.environ.get(QUICK):
        count = max(count // 2, 1)
    return settings(max_examples=count, deadline=None, derandomize=True, database=None)


def line(*fields: object) -> bytes:
    """One line of a member."""
    return "\t".join(map(str, fields)).encode() + b"\n"


def member_name(kind: Kind) -> str:
    """A member's name as the exporter writes it: a path of its own machine."""
    return f"{EXPORTER_FOLDER}.{kind.value}.tsv"


def header(
    name: str, size: int = 0, *, flag: bytes = tarfile.REGTYPE, link: str = "", sparse_follows: bool = False
) -> bytes:
    """The 512 bytes before an entry's data, with a right checksum whatever they say."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, flag, link
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if sparse_follows:
        raw[482] = 1
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def entry(name: str, data: bytes = b"", *, flag: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """An entry of a tar: its header, and its data up to a whole block."""
    return header(name, len(data), flag=flag, link=link) + data + bytes(-len(data) % 512)


def member(kind: Kind, data: bytes) -> bytes:
    """An entry that holds records."""
    return entry(member_name(kind), data)


def pax(**fields: str) -> bytes:
    """A pax header for the next entry; a double underscore in a field's name stands for a point."""
    records = b""
    for name, value in fields.items():
        record = f" {name.replace('__', '.')}={value}\n".encode()
        size = len(record) + 1
        while size != len(record) + len(str(size)):
            size = len(record) + len(str(size))
        records += str(size).encode() + record
    return entry("pax", records, flag=tarfile.XHDTYPE)


def packed(*entries: bytes, end: bytes = END_MARK) -> bytes:
    """The bytes of a tar.gz."""
    return gzip.compress(b"".join(entries) + end, 6, mtime=0)


def write_archive(
    folder: Path, name: str, members: Mapping[Kind, bytes], *, entries: bytes = b"", **report: Any
) -> Path:
    """Write <name>.tar.gz and a <name>.json that matches it (but for what `report` says); returns the tar.gz."""
    folder.mkdir(parents=True, exist_ok=True)
    content = packed(*(member(kind, data) for kind, data in members.items()), entries)
    document = {
        "version": 3,
        "galaxy_version": "24.1",
        "generated": name,
        "report_hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "metrics": {"_times": []},
        "users": {"active": 1, "total": 2},
        "jobs": {},
    }
    (folder / f"{name}.json").write_text(json.dumps(document | report))
    tar = folder / f"{name}.tar.gz"
    tar.write_bytes(content)
    return tar


def decoded(kind: Kind, data: bytes, *, columns: bytes = b"") -> Decoded:
    """What a block of lines without its header decodes to; `columns` is a header line other than the usual one."""
    layout, _ = layout_of(kind, [(columns or HEADERS[kind]).rstrip(b"\n")])
    return decode(Block(layout, 0, data))


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame whose texts are plain: two dictionaries may hold other texts besides, and say the same."""
    return frame.with_columns(cs.enum().cast(pl.String))
