"""The columns of a block of lines, by the kind of its member.

Kernels are imported where they are called, so that only a process that decodes waits for numba.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from grt_batch.decode.coded_leaves import Spans, coded_leaves
from grt_batch.decode.leaves import DATA
from grt_batch.decode.param_values import shortened, unwrap
from grt_batch.kernels.constants import KEY_BYTES, ODD, REFERENCES, TEXT
from grt_batch.schema.members import METRICS, MOST_COLUMNS, NONE_TEXT, Kind, Layout
from grt_batch.schema.records import ALL_VERSIONS, Dataset, Leaf, Metric, Param

Bytes = npt.NDArray[np.uint8]


Integers = npt.NDArray[np.int64]


_Read = TypeVar("_Read")


WANTED = (Param.kind, Leaf.kind, Dataset.kind, Metric.kind)
"""Kinds of records whose columns are decoded only on request; otherwise their job ids suffice."""


@dataclass(frozen=True)
class Reject:
    """A line, or a fragment of one, that is no record. `line` counts from 0 within its block."""

    line: int
    reason: str
    text: bytes
    fragment: bool = False


@dataclass(frozen=True)
class Decoded:
    """A decoded block. `accepted` of its `lines` are records, `salvaged` of them repaired; the others are in `rejects`.

    `replaced` counts bytes that are no UTF-8, and NULs. `redacted` counts records with a redacted value; `decode`
    itself redacts and shortens nothing. `left_out` counts leaves that were left out afterwards.

    `columns` by kind; n is the number of records, j the number of different jobs:
    jobs: id, create_time (µs or NULL), tool, state (codes into `texts`), line (from 0): int64[n];
    metric_num: id, records int64[j], values int64[j, len(METRICS)], seen (bits: which metrics) uint16[j]; if every
    metric is wanted also record_id, record_name (codes), record_value (NULL) in units of 10 ** -record_scale: int64[n];
    metric_txt: id; if every metric is wanted also name, text (codes): int64[n];
    params: id, line; if they are wanted also param (codes); if leaves are wanted also name (codes), leaves (how many):
    int64[n], and leaf (codes), those of one record after the other;
    datasets: id, size (bytes or NULL), dataset_id (NULL), file (codes): int64[n], output (0 or 1): uint8[n].
    `texts` holds the texts of the codes, None for null, `shortened` to KEY_BYTES except value and text:
    tool: (tool_id, tool_version); state: (state,); record_name, name: (plugin, name); text: (text,); param: (name,
    value, DATA if it names datasets), name: (name,), leaf: (name, value, DATA if it only names data); file: (extension,
    param_name).
    """

    layout: Layout
    lines: int
    accepted: int
    salvaged: int = 0
    replaced: int = 0
    redacted: int = 0
    left_out: int = 0
    rejects: tuple[Reject, ...] = ()
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    texts: Mapping[str, list[tuple[str | None, ...]]] = field(default_factory=dict)


def columns_of(layout: Layout, data: Bytes, sep: int, lines: int, wanted: Collection[str]) -> tuple[Decoded, Integers]:
    """Return the records of a block, and its odd lines: begin, end and number of each. `sep` separates fields."""
    match layout.kind:
        case Kind.JOBS:
            return _jobs(layout, data, sep, lines)
        case Kind.METRIC_NUM if min(_positions(layout, *_METRIC)) >= 0:
            decoded, odd = _metrics(layout, data, sep, lines)
            return (_with_every_metric(decoded, data, sep) if Metric.kind in wanted else decoded), odd
        case Kind.METRIC_TXT if Metric.kind in wanted:
            return _texts(layout, data, sep, lines, {"name": ("plugin", "name"), "text": ("value",)})
        case Kind.PARAMS if {Param.kind, Leaf.kind} & set(wanted):
            return _params(layout, data, sep, lines, wanted)
        case Kind.DATASETS:
            return _datasets(layout, data, sep, lines)
        case _:
            return _texts(layout, data, sep, lines, {})


def _positions(layout: Layout, *names: str) -> Integers:
    return np.array([layout.position(name) for name in names], np.int64)


def _places() -> Integers:
    """Return room for the start and end of each field of a line."""
    return np.empty((2, MOST_COLUMNS), np.int64)


def _buckets(lines: int) -> Integers:
    """Return an empty hash table for up to `lines` keys, at most half full."""
    return np.zeros(1 << max(4, (2 * lines).bit_length()), np.int64)


def _pieces(data: Bytes, found: Integers) -> list[str]:
    """Return the texts that `kernels.param_values` found. No line holds a newline, so one call decodes all of them."""
    from grt_batch.kernels import param_values

    out = np.empty(int((found[:, 2] - found[:, 1]).sum()) + len(found), np.uint8)
    return str(out[: param_values.pieces(data, found, out)].data, "utf-8").split("\n")[:-1]


def _column(data: Bytes, places: Integers, read: Callable[[str], _Read]) -> list[_Read]:
    """Apply `read` to the texts at `places`, int64[n, 2], the start and end of each."""
    texts = _pieces(data, np.insert(places, 0, TEXT, axis=1))
    known = {text: read(text) for text in set(texts)}
    return [known[text] for text in texts]


def _texts_at(data: Bytes, places: Integers, *read: Callable[[str], str | None]) -> list[tuple[str | None, ...]]:
    """Return the texts of codes. `places`, int64[codes, 4], holds the start and end of one or two texts each."""
    columns = [_column(data, places[:, 2 * i : 2 * i + 2], one) for i, one in enumerate(read)]
    return list(zip(*columns, strict=True))


def _text(raw: str) -> str | None:
    return None if raw == NONE_TEXT.decode() else raw


def _key(raw: str) -> str | None:
    text = _text(raw)
    return text and shortened(text, KEY_BYTES)


def _version(raw: str) -> str | None:
    return None if raw == ALL_VERSIONS else _key(raw)


def _jobs(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    from grt_batch.kernels import members

    at = _positions(layout, "id", "tool_id", "tool_version", "state", "create_time")
    out, odd = np.empty((5, lines), np.int64), np.empty((lines, 3), np.int64)
    firsts = np.zeros((2, lines, 4), np.int64)
    tables = np.stack([_buckets(lines), _buckets(lines)])
    n, strange, tools, states = members.decode_jobs(
        data, sep, len(layout.columns), at, tables, out, firsts, odd, _places()
    )
    columns = {name: out[i, :n].copy() for i, name in enumerate(("id", "create_time", "tool", "state", "line"))}
    texts = {
        "tool": _texts_at(data, firsts[0, :tools], _key, _version),
        "state": _texts_at(data, firsts[1, :states], _key),
    }
    if at[2] < 0:
        texts["tool"] = [(tool_id, None) for tool_id, _ in texts["tool"]]
    return Decoded(layout, lines, n, columns=columns, texts=texts), odd[:strange]


_METRIC = ("job_id", "plugin", "name", "value")


_NAMES = [f"{metric.plugin}\t{metric.name}".encode() for metric in METRICS]


_NAME_BYTES = np.frombuffer(b"".join(_NAMES), np.uint8)


_NAME_ENDS = np.cumsum([len(name) for name in _NAMES], dtype=np.int64)


_KNOWN = 64
"""How many different metrics of a block are remembered; a Galaxy has about thirty."""


_SCALES = np.array([metric.scale for metric in METRICS], np.int64)


def _metrics(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    from grt_batch.kernels import metrics

    at = _positions(layout, *_METRIC)
    odd = np.empty((lines, 3), np.int64)
    # Only the rows of jobs are written, of which there are fewer than lines.
    ids, counts, seen = np.empty(lines, np.int64), np.empty(lines, np.int64), np.empty(lines, np.uint16)
    values = np.empty((lines, len(METRICS)), np.int64)
    n, strange, jobs = metrics.decode_metrics(
        data,
        sep,
        len(layout.columns),
        at,
        _NAME_BYTES,
        _NAME_ENDS,
        _SCALES,
        _buckets(lines),
        ids,
        counts,
        values,
        seen,
        odd,
        _places(),
        np.zeros((_KNOWN, 4), np.int64),
    )
    columns: dict[str, npt.NDArray[Any]] = {
        "id": ids[:jobs].copy(),
        "records": counts[:jobs].copy(),
        "values": values[:jobs].copy(),
        "seen": seen[:jobs].copy(),
    }
    return Decoded(layout, lines, n, columns=columns), odd[:strange]


def _with_every_metric(decoded: Decoded, data: Bytes, sep: int) -> Decoded:
    """Add every record of a block of metrics by itself."""
    from grt_batch.kernels import metrics

    layout, lines = decoded.layout, decoded.lines
    out, odd = np.empty((4, lines), np.int64), np.empty((lines, 3), np.int64)
    table, firsts = _buckets(lines), np.zeros((lines, 4), np.int64)
    at = _positions(layout, *_METRIC)
    n, _, names = metrics.decode_metric_records(data, sep, len(layout.columns), at, table, out, firsts, odd, _places())
    records = {f"record_{name}": out[i, :n].copy() for i, name in enumerate(("id", "name", "value", "scale"))}
    texts = {"record_name": _texts_at(data, firsts[:names], _key, _key)}
    return replace(decoded, columns={**decoded.columns, **records}, texts=texts)


def _texts(
    layout: Layout, data: Bytes, sep: int, lines: int, pairs: Mapping[str, tuple[str, ...]]
) -> tuple[Decoded, Integers]:
    """Decode records of a job id and up to two codes, each for the texts of one or two columns."""
    decoded, odd, places = _coded(layout, data, sep, lines, pairs)
    read = {"name": (_key, _key), "text": (_text,)}
    texts = {name: _texts_at(data, places[name], *read[name]) for name in pairs}
    return replace(decoded, texts=texts), odd


def _params(layout: Layout, data: Bytes, sep: int, lines: int, wanted: Collection[str]) -> tuple[Decoded, Integers]:
    from grt_batch.kernels import param_values

    decoded, odd, where = _coded(layout, data, sep, lines, {"param": ("name", "value")})
    places, pairs = where["param"], decoded.columns["param"]
    found = np.empty((len(places), 3), np.int64)
    param_values.shapes(data, places, found)
    names = _column(data, places[:, :2], lambda name: _key(name) or "")
    values: list[str | None] = [*_pieces(data, found)]
    columns, texts = dict(decoded.columns), dict[str, list[tuple[str | None, ...]]]()
    if Leaf.kind in wanted:
        of_pairs = coded_leaves(data, places, found[:, 0], names, values)
        spans = Spans(of_pairs.begins[pairs], of_pairs.counts[pairs])
        known: dict[str, int] = {}
        columns["name"] = np.array([known.setdefault(name, len(known)) for name in names], np.int64)[pairs]
        columns |= {"leaves": spans.counts.astype(np.int32), "leaf": of_pairs.codes[spans.places()].astype(np.int32)}
        texts |= {"name": [(name,) for name in known], "leaf": of_pairs.texts}
    if Param.kind in wanted:
        data_or_not = [DATA if kind == REFERENCES else None for kind in found[:, 0].tolist()]
        strange = np.flatnonzero(found[:, 0] == ODD)
        for place, (start, end) in zip(strange.tolist(), places[strange, 2:].tolist(), strict=True):
            values[place], names_data = unwrap(names[place], bytes(data.data[start:end]))
            data_or_not[place] = DATA if names_data else None
        texts["param"] = list(zip(names, values, data_or_not, strict=True))
    else:
        del columns["param"]
    return replace(decoded, columns=columns, texts=texts), odd


def _coded(
    layout: Layout, data: Bytes, sep: int, lines: int, pairs: Mapping[str, tuple[str, ...]]
) -> tuple[Decoded, Integers, dict[str, Integers]]:
    from grt_batch.kernels import members

    at = np.full(5, -1, np.int64)
    at[0] = layout.position("job_id")
    for i, columns in enumerate(pairs.values()):
        at[1 + 2 * i : 1 + 2 * i + len(columns)] = _positions(layout, *columns)
    out, odd = np.empty((4, lines), np.int64), np.empty((lines, 3), np.int64)
    firsts = np.zeros((2, lines, 4), np.int64)
    tables = np.stack([_buckets(lines), _buckets(lines)])
    n, strange, *counts = members.decode_texts(
        data,
        sep,
        len(layout.columns),
        at,
        len(pairs),
        tables,
        out,
        firsts,
        odd,
        _places(),
        np.zeros(2, np.int64),
    )
    places = {name: firsts[i, : counts[i]] for i, name in enumerate(pairs)}
    found = {"id": out[0, :n].copy(), "line": out[3, :n].copy()}
    found |= {name: out[1 + i, :n].copy() for i, name in enumerate(pairs)}
    return Decoded(layout, lines, n, columns=found), odd[:strange], places


def _datasets(layout: Layout, data: Bytes, sep: int, lines: int) -> tuple[Decoded, Integers]:
    from grt_batch.kernels import members

    at = _positions(layout, "job_id", "dataset_id", "extension", "file_size", "param_name", "type")
    out, odd = np.empty((5, lines), np.int64), np.empty((lines, 3), np.int64)
    table, firsts = _buckets(lines), np.zeros((lines, 4), np.int64)
    n, strange, files = members.decode_datasets(data, sep, len(layout.columns), at, table, out, firsts, odd, _places())
    columns: dict[str, npt.NDArray[Any]] = {
        name: out[i, :n].copy() for i, name in enumerate(("id", "size", "output", "dataset_id", "file"))
    }
    columns["output"] = columns["output"].astype(np.uint8)
    texts = {"file": _texts_at(data, firsts[:files], _key, _key)}
    return Decoded(layout, lines, n, columns=columns, texts=texts), odd[:strange]
