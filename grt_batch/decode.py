"""Bytes → columns: a block of lines becomes records, and every line that is none is salvaged or rejected.

Salvage follows the ways in which the exporter broke lines. A line with too many columns is read again:

- its last columns are a whole record: what stands before is a row that stopped in the middle (the joined line);
- else a tab stands inside a text: exactly one way to put the tab back must give columns of the right types.

Any other line with a wrong number of columns, or a column of a wrong type, is rejected with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from grt_batch import kernels
from grt_batch.archive import Block
from grt_batch.records import METRICS, Kind, Layout, Type, layout_of

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

_TAB = 9
_NEVER_IN_UTF8 = 0xFF
"""Stands between the columns of a block that was put right, since a salvaged text may hold a tab."""

FRAGMENT = "fragment before a joined record"


@dataclass(frozen=True)
class Reject:
    """A line, or the fragment of one, that is no record. `line` counts from 0 within its block."""

    line: int
    reason: str
    text: bytes
    fragment: bool = False


@dataclass(frozen=True)
class Decoded:
    """A decoded block. Of its `lines`, `accepted` are records (of which `salvaged` were put right); the others are
    among `rejects`. `replaced` counts the bytes and NULs that are no text.

    `columns` by kind; n is the number of records, j that of different jobs:
    jobs: id, create_time (µs or NULL), tool, state: int64[n], codes into `texts`;
    metric_num: id int64[j], values int64[j, len(METRICS)], seen uint8[j, len(METRICS)];
    datasets: id, size (bytes or NULL), output (0 or 1): int64[n].
    """

    layout: Layout
    lines: int
    accepted: int
    salvaged: int = 0
    replaced: int = 0
    rejects: tuple[Reject, ...] = ()
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    texts: Mapping[str, list[tuple[str | None, ...]]] = field(default_factory=dict)


def decode(block: Block) -> Decoded:
    """Decode one block; see the module for what becomes of broken lines."""
    data, replaced = _as_text(block.data)
    lines = int(np.count_nonzero(data == 10)) + (1 if data.size and data[-1] != 10 else 0)
    decoded, odd = _KERNELS[block.layout.kind](block.layout, data, _TAB, lines)
    salvaged = 0
    rejects: tuple[Reject, ...] = ()
    if len(odd):
        mended, salvaged, rejects = _mend(block.layout, data, odd)
        decoded, odd = _KERNELS[block.layout.kind](block.layout, mended, _NEVER_IN_UTF8, lines)
        if len(odd):
            raise AssertionError(f"a salvaged line of {block.layout.kind.value} is no record: {odd[0]}")
    return Decoded(
        layout=block.layout,
        lines=lines,
        accepted=decoded.accepted,
        salvaged=salvaged,
        replaced=replaced,
        rejects=rejects,
        columns=decoded.columns,
        texts=decoded.texts,
    )


def _as_text(raw: bytes) -> tuple[Bytes, int]:
    """The bytes of a block with what is not UTF-8, and NUL, replaced by U+FFFD, and how often that was done."""
    data = np.frombuffer(raw, np.uint8)
    if not data.size or (data.view(np.int8).min() >= 0 and data.min() > 0):
        return data, 0
    try:
        text = raw.decode("utf-8")
        replaced = 0
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        replaced = text.count("\ufffd") - raw.count("\ufffd".encode())
    nuls = text.count("\0")
    if not replaced and not nuls:
        return data, 0
    return np.frombuffer(text.replace("\0", "\ufffd").encode(), np.uint8), replaced + nuls


def _mend(layout: Layout, data: Bytes, odd: Integers) -> tuple[Bytes, int, tuple[Reject, ...]]:
    """The block without its odd lines but with the records salvaged from them, in the order of the lines."""
    pieces: list[bytes] = []
    rejects: list[Reject] = []
    separator = bytes([_NEVER_IN_UTF8])
    salvaged, begin = 0, 0
    for start, stop, line in odd.tolist():
        pieces.append(data[begin:start].tobytes().replace(b"\t", separator))
        begin = stop + 1
        raw = data[start:stop].tobytes()
        fields = raw.split(b"\t")
        record, reason = salvage(layout, fields)
        if record is None:
            rejects.append(Reject(line, reason, raw))
            continue
        salvaged += 1
        pieces.append(separator.join(record) + b"\n")
        if record == fields[-len(record) :]:
            rejects.append(Reject(line, FRAGMENT, b"\t".join(fields[: -len(record)]), fragment=True))
    pieces.append(data[begin:].tobytes().replace(b"\t", separator))
    return np.frombuffer(b"".join(pieces), np.uint8), salvaged, tuple(rejects)


def salvage(layout: Layout, fields: Sequence[bytes]) -> tuple[list[bytes] | None, str]:
    """The record in the fields of a broken line, or None and why there is none."""
    width = len(layout.columns)
    if len(fields) < width:
        return None, f"{len(fields)} columns instead of {width}"
    wrong = _wrong_column(layout, fields[-width:])
    if len(fields) == width:
        return None, f"{wrong} is no {_type_of(layout, wrong)}" if wrong else "unreadable"
    if wrong is None:
        return list(fields[-width:]), ""
    extra = len(fields) - width + 1
    readings: list[list[bytes]] = []
    for at, column in enumerate(layout.columns):
        if column.type is Type.FREE_TEXT:
            reading = [*fields[:at], b"\t".join(fields[at : at + extra]), *fields[at + extra :]]
            if _wrong_column(layout, reading) is None:
                readings.append(reading)
    if len(readings) == 1:
        return readings[0], ""
    found = "more than one reading is" if readings else "no reading is"
    return None, f"{len(fields)} columns instead of {width}, and {found} valid"


def _type_of(layout: Layout, name: str) -> str:
    return layout.columns[layout.position(name)].type.value


def _wrong_column(layout: Layout, fields: Sequence[bytes]) -> str | None:
    """The name of the first column whose text is not of its type, None for a valid record.

    The kernels are asked, so that both always agree.
    """
    for column, text in zip(layout.columns, fields, strict=True):
        data = np.frombuffer(text, np.uint8)
        none = text == b"None"
        match column.type:
            case Type.JOB_ID:
                good = kernels._integer(data, 0, data.size)[0] == 1
            case Type.INTEGER:
                good = none or kernels._integer(data, 0, data.size)[0] != 0
            case Type.NUMBER:
                good = none or kernels._number(data, 0, data.size, 0)[0] != 0
            case Type.DATE:
                good = none or kernels._date(data, 0, data.size)[0] != 0
            case Type.DIRECTION:
                good = text in (b"input", b"output")
            case _:
                good = True
        if not good:
            return column.name
    return None


def _positions(layout: Layout, *names: str) -> Integers:
    return np.array([layout.position(name) for name in names], np.int64)


def _buckets(lines: int) -> Integers:
    """An empty hash table for up to `lines` keys, half full at most."""
    return np.zeros(1 << max(4, (2 * lines).bit_length()), np.int64)


def _texts(data: Bytes, firsts: Integers, count: int, width: int) -> list[tuple[str | None, ...]]:
    """The texts that the codes 0 .. count - 1 stand for; None for null."""

    def text(start: int, end: int) -> str | None:
        raw = data[start:end].tobytes()
        return None if raw == b"None" else raw.decode("utf-8")

    return [
        tuple(text(*pair) for pair in zip(row[::2], row[1::2], strict=True))
        for row in firsts[:count, : 2 * width].tolist()
    ]


def _decode_jobs(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    at = _positions(layout, "id", "tool_id", "tool_version", "state", "create_time")
    out, odd = np.empty((4, lines), np.int64), np.empty((lines, 3), np.int64)
    firsts = np.zeros((2, lines, 4), np.int64)
    tables = np.stack([_buckets(lines), _buckets(lines)])
    n, strange, tools, states = kernels.decode_jobs(data, sep, len(layout.columns), at, tables, out, firsts, odd)
    columns = {name: out[i, :n].copy() for i, name in enumerate(("id", "create_time", "tool", "state"))}
    texts = {"tool": _texts(data, firsts[0], tools, 2), "state": _texts(data, firsts[1], states, 1)}
    if at[2] < 0:
        texts["tool"] = [(tool_id, None) for tool_id, _ in texts["tool"]]
    return Decoded(layout, lines, n, columns=columns, texts=texts), odd[:strange]


_NAMES = [f"{metric.plugin}\t{metric.name}".encode() for metric in METRICS]
_NAME_BYTES = np.frombuffer(b"".join(_NAMES), np.uint8)
_NAME_ENDS = np.cumsum([len(name) for name in _NAMES], dtype=np.int64)
_SCALES = np.array([metric.scale for metric in METRICS], np.int64)


def _decode_metrics(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    at = _positions(layout, "job_id", "plugin", "name", "value")
    if (at < 0).any():
        return _count_records(layout, data, sep, lines)
    odd = np.empty((lines, 3), np.int64)
    ids, values = np.empty(lines, np.int64), np.empty((lines, len(METRICS)), np.int64)
    seen = np.zeros((lines, len(METRICS)), np.uint8)
    n, strange, jobs = kernels.decode_metrics(
        data,
        sep,
        len(layout.columns),
        at,
        _NAME_BYTES,
        _NAME_ENDS,
        _SCALES,
        _buckets(lines),
        ids,
        values,
        seen,
        odd,
    )
    columns: dict[str, npt.NDArray[Any]] = {
        "id": ids[:jobs].copy(),
        "values": values[:jobs].copy(),
        "seen": seen[:jobs].copy(),
    }
    return Decoded(layout, lines, n, columns=columns), odd[:strange]


def _decode_datasets(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    at = _positions(layout, "job_id", "dataset_id", "file_size", "type")
    out, odd = np.empty((3, lines), np.int64), np.empty((lines, 3), np.int64)
    n, strange = kernels.decode_datasets(data, sep, len(layout.columns), at, out, odd)
    columns = {name: out[i, :n].copy() for i, name in enumerate(("id", "size", "output"))}
    return Decoded(layout, lines, n, columns=columns), odd[:strange]


def _count_records(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    odd = np.empty((lines, 3), np.int64)
    n, strange = kernels.count_records(data, sep, len(layout.columns), _positions(layout, "job_id"), odd)
    return Decoded(layout, lines, n), odd[:strange]


_KERNELS = {
    Kind.JOBS: _decode_jobs,
    Kind.METRIC_NUM: _decode_metrics,
    Kind.METRIC_TXT: _count_records,
    Kind.PARAMS: _count_records,
    Kind.DATASETS: _decode_datasets,
}


def warm() -> None:
    """Compile all kernels, which numba keeps on disk: no rank of a run need do it then."""
    lines = {
        Kind.JOBS: b"1\ttool\t1.0\tok\t2020-01-01 00:00:00\n",
        Kind.METRIC_NUM: b"1\tcore\truntime_seconds\t1.0\n",
        Kind.METRIC_TXT: b"1\tcore\tname\tvalue\n",
        Kind.PARAMS: b"1\tname\tvalue\n",
        Kind.DATASETS: b"1\t1\tbam\t1\tinput1\tinput\n",
    }
    for kind, line in lines.items():
        # The second line is broken: what salvages is compiled too.
        decode(Block(layout_of(kind, [line])[0], 0, line + b"1\t" + line))
    one = np.ones(1, np.int64)
    kernels.add_sizes(one - 1, one, one, np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64), np.zeros(1, np.uint8))
