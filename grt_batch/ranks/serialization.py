"""Orders, outcomes, tasks and results as messages, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from grt_batch.core.config import Config, Level
from grt_batch.decode.columns import Decoded, Reject
from grt_batch.decode.redaction import Redaction
from grt_batch.frames.ipc import pack_frame, pack_frames, unpack_frame, unpack_frames
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Partial
from grt_batch.pipeline.merge import MergedEntry, MergeOrder, MergeOutcome
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.pipeline.render import RenderOrder, RenderOutcome, Text
from grt_batch.pipeline.tasks import AggregateTask, DecodeTask, Task
from grt_batch.ranks.messages import Buffer, Message, pack
from grt_batch.schema.members import Kind, Layout, MemberColumn, MemberType
from grt_batch.uploads.archive import Block


def pack_lead(order: Any, config: Config, run_id: str) -> bytes:
    """The coordinator's order; the configuration goes along, so that no rank reads it by itself."""
    # A path may hold any bytes, which JSON may not. The database is the coordinator's alone, and so is its password.
    values = {key: _packed_path(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
    values["database"] = ""
    header = asdict(order) | ({"tar": _packed_path(order.tar)} if isinstance(order, ReduceOrder) else {})
    return pack({"name": type(order).__name__, "order": header, "config": values, "run_id": run_id})


def _packed_path(path: str | Path) -> str:
    return os.fsencode(path).hex()


def _unpacked_path(text: str) -> str:
    return os.fsdecode(bytes.fromhex(text))


def unpack_lead(message: Message) -> tuple[LeadOrder, Config, str]:
    """The opposite of `pack_lead`."""
    order, values = dict(message.header["order"]), dict(message.header["config"])
    for spec in fields(Config):
        if isinstance(spec.default, Path):
            values[spec.name] = Path(_unpacked_path(values[spec.name]))
    values |= {name: tuple(values[name]) for name in ("redact_patterns", "redact_names")}
    values["warning_levels"] = tuple(Level(**level) for level in values["warning_levels"])
    return _ORDERS[message.header["name"]](order), Config(**values), message.header["run_id"]


def _reduce_order(order: dict[str, Any]) -> ReduceOrder:
    tar, since = _unpacked_path(order["tar"]), date.fromisoformat(order["since"])
    return ReduceOrder(**order | {"modules": tuple(order["modules"]), "tar": tar, "since": since})


def _merge_order(order: dict[str, Any]) -> MergeOrder:
    return MergeOrder(**order | {"cubes": tuple(order["cubes"]), "keys": tuple(order["keys"])})


def _render_order(order: dict[str, Any]) -> RenderOrder:
    merged = tuple(MergedEntry(**each | {"cubes": tuple(each["cubes"])}) for each in order["merged"])
    return RenderOrder(**order | {"merged": merged, "as_of": date.fromisoformat(order["as_of"])})


LeadOrder = ReduceOrder | MergeOrder | RenderOrder


_ORDERS: dict[str, Callable[[dict[str, Any]], LeadOrder]] = {
    ReduceOrder.__name__: _reduce_order,
    MergeOrder.__name__: _merge_order,
    RenderOrder.__name__: _render_order,
}


def pack_end(profiles: Path | None) -> bytes:
    """The end of the run; `profiles` is the folder of its profile, None where there is none."""
    return pack({"profiles": _packed_path(profiles) if profiles else ""})


def unpack_end(message: Message) -> Path | None:
    """The opposite of `pack_end`."""
    path = message.header.get("profiles")
    return Path(_unpacked_path(path)) if path else None


def pack_outcome(outcome: ReduceOutcome | MergeOutcome | RenderOutcome) -> bytes:
    """What came of an order."""
    name = type(outcome).__name__
    if isinstance(outcome, RenderOutcome):
        # The same text for both is sent once.
        texts = [(text.table, text.copy, () if text.report is text.copy else text.report) for text in outcome.texts]
        sizes = [(table, len(copy), len(report)) for table, copy, report in texts]
        header: dict[str, Any] = {"module": outcome.module, "texts": sizes}
        buffers: list[Buffer] = [part for _, copy, report in texts for part in (*copy, *report)]
    elif isinstance(outcome, MergeOutcome):
        header, buffers = {"damaged": outcome.damaged}, []
    else:
        header = {"instance_id": outcome.instance_id, "archive": outcome.archive, "key": outcome.key}
        buffers = [outcome.account.to_json()]
    return pack({"name": name, "outcome": header}, buffers)


def unpack_outcome(message: Message) -> Any:
    """The opposite of `pack_outcome`."""
    return _OUTCOMES[message.header["name"]](dict(message.header["outcome"]), message.buffers)


def _reduce_outcome(header: dict[str, Any], buffers: Sequence[memoryview]) -> ReduceOutcome:
    return ReduceOutcome(**header, account=Account.from_json(bytes(buffers[0])))


def _merge_outcome(header: dict[str, Any], _: Sequence[memoryview]) -> MergeOutcome:
    return MergeOutcome(**header | {"damaged": tuple(header["damaged"])})


def _render_outcome(header: dict[str, Any], buffers: Sequence[memoryview]) -> RenderOutcome:
    parts = iter(buffers)
    texts = []
    for table, copies, reports in header["texts"]:
        copy = tuple(bytes(next(parts)) for _ in range(copies))
        texts.append(Text(table, copy, tuple(bytes(next(parts)) for _ in range(reports)) or copy))
    return RenderOutcome(header["module"], tuple(texts))


_OUTCOMES: dict[str, Callable[[dict[str, Any], Sequence[memoryview]], Any]] = {
    ReduceOutcome.__name__: _reduce_outcome,
    MergeOutcome.__name__: _merge_outcome,
    RenderOutcome.__name__: _render_outcome,
}


def pack_task(index: int, place: str, task: Task) -> bytes:
    """A task, its number among those of its controller, and what it is about, for the error that it may end in."""
    codec = _CODECS[task.name]
    header, buffers = codec.pack_task(task)
    return pack({"index": index, "place": place, "name": task.name, "task": header}, buffers)


def unpack_task(message: Message) -> tuple[int, str, Task]:
    """The opposite of `pack_task`."""
    header = message.header
    task: Task = _CODECS[header["name"]].unpack_task(header["task"], message.buffers)
    return header["index"], header["place"], task


def pack_result(index: int, task: Task, result: Any) -> bytes:
    """What came of a task."""
    header, buffers = _CODECS[task.name].pack_result(result)
    return pack({"index": index, "name": task.name, "result": header}, buffers)


def unpack_result(message: Message) -> tuple[int, Any]:
    """The opposite of `pack_result`."""
    header = message.header
    return header["index"], _CODECS[header["name"]].unpack_result(header["result"], message.buffers)


@dataclass(frozen=True)
class _Codec:
    """How a kind of task and its result become a header and buffers, and back."""

    pack_task: Callable[[Any], tuple[Any, Sequence[Buffer]]]
    unpack_task: Callable[[Any, Sequence[memoryview]], Task]
    pack_result: Callable[[Any], tuple[Any, Sequence[Buffer]]]
    unpack_result: Callable[[Any, Sequence[memoryview]], Any]


def _pack_layout(layout: Layout) -> list[Any]:
    return [layout.kind.value, [[column.name, column.type.name] for column in layout.columns]]


def _unpack_layout(header: list[Any]) -> Layout:
    kind, columns = header
    return Layout(Kind(kind), tuple(MemberColumn(name, MemberType[kind_]) for name, kind_ in columns))


def _pack_decode(task: DecodeTask) -> tuple[Any, Sequence[Buffer]]:
    redaction = [task.redaction.patterns, task.redaction.names]
    return [_pack_layout(task.block.layout), task.block.member, task.number, task.wanted, redaction], [task.block.data]


def _unpack_decode(header: Any, buffers: Sequence[memoryview]) -> DecodeTask:
    layout, member, number, wanted, redaction = header
    block = Block(_unpack_layout(layout), member, bytes(buffers[0]))
    return DecodeTask(block, number, tuple(wanted), Redaction(*map(tuple, redaction)))


def _pack_decoded(decoded: Decoded) -> tuple[Any, Sequence[Buffer]]:
    columns = {name: np.ascontiguousarray(column) for name, column in decoded.columns.items()}
    header = {
        "layout": _pack_layout(decoded.layout),
        "counts": [decoded.lines, decoded.accepted, decoded.salvaged, decoded.replaced, decoded.redacted],
        "rejects": [[reject.line, reject.reason, reject.fragment] for reject in decoded.rejects],
        "texts": decoded.texts,
        "columns": [[name, column.dtype.str, column.shape] for name, column in columns.items()],
    }
    arrays = [memoryview(column.reshape(-1).view(np.uint8).data) for column in columns.values()]
    return header, [*arrays, *(reject.text for reject in decoded.rejects)]


def _unpack_decoded(header: Any, buffers: Sequence[memoryview]) -> Decoded:
    arrays = len(header["columns"])
    lines, accepted, salvaged, replaced, redacted = header["counts"]
    return Decoded(
        layout=_unpack_layout(header["layout"]),
        lines=lines,
        accepted=accepted,
        salvaged=salvaged,
        replaced=replaced,
        redacted=redacted,
        rejects=tuple(
            Reject(line, reason, bytes(text), fragment)
            for (line, reason, fragment), text in zip(header["rejects"], buffers[arrays:], strict=True)
        ),
        columns={
            name: np.frombuffer(buffer, dtype).reshape(shape)
            for (name, dtype, shape), buffer in zip(header["columns"], buffers[:arrays], strict=True)
        },
        texts={name: [tuple(text) for text in texts] for name, texts in header["texts"].items()},
    )


def _pack_aggregate(task: AggregateTask) -> tuple[Any, Sequence[Buffer]]:
    frames = [pack_frame(frame, compression="uncompressed") for frame in task.frames.values()]
    return [task.modules, task.since, list(task.frames)], frames


def _unpack_aggregate(header: Any, buffers: Sequence[memoryview]) -> AggregateTask:
    modules, since, kinds = header
    frames = {kind: unpack_frame(bytes(buffer)) for kind, buffer in zip(kinds, buffers, strict=True)}
    return AggregateTask(tuple(modules), frames, date.fromisoformat(since))


def _pack_partials(partials: Mapping[str, Partial]) -> tuple[Any, Sequence[Buffer]]:
    return list(partials), [pack_frames(partial) for partial in partials.values()]


def _unpack_partials(header: Any, buffers: Sequence[memoryview]) -> dict[str, Partial]:
    return {name: unpack_frames(bytes(buffer)) for name, buffer in zip(header, buffers, strict=True)}


_CODECS = {
    DecodeTask.name: _Codec(_pack_decode, _unpack_decode, _pack_decoded, _unpack_decoded),
    AggregateTask.name: _Codec(_pack_aggregate, _unpack_aggregate, _pack_partials, _unpack_partials),
}
