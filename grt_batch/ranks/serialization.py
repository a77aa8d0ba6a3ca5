"""Orders, outcomes, tasks and results as messages, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import Struct

from grt_batch.core.config import Config
from grt_batch.decode.columns import Decoded
from grt_batch.modules.base import Counted
from grt_batch.modules.export import Part
from grt_batch.pipeline.merge import MergeOrder, MergeOutcome
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.pipeline.render import RenderOrder, RenderOutcome
from grt_batch.pipeline.tasks import AggregateTask, DecodeTask, Partials, Task
from grt_batch.ranks.messages import Large, Message, RunSettings, pack
from grt_batch.schema.parts import Group
from grt_batch.sinks.sink import PartText, Piece, TableText

LeadOrder = ReduceOrder | MergeOrder | RenderOrder


Outcome = ReduceOutcome | MergeOutcome | RenderOutcome


class Lead(Struct, frozen=True):
    """The role of a controller. The order itself follows, of the type called `kind`; `tar` is its archive."""

    settings: RunSettings
    config: Config
    kind: str
    tar: Path | None = None


class TaskHeader(Struct, frozen=True):
    """A task's number among those of its controller, its subject, for error messages, and the name of its kind."""

    index: int
    place: str
    name: str


class ResultHeader(Struct, frozen=True):
    """The number and the kind of the task that a result belongs to."""

    index: int
    name: str


_ORDERS: dict[str, type[LeadOrder]] = {kind.__name__: kind for kind in (ReduceOrder, MergeOrder, RenderOrder)}


def pack_lead(order: Any, config: Config, settings: RunSettings) -> bytes:
    """Pack an order with the configuration, so that no rank reads that by itself. Only the coordinator uses the
    database and tells anybody of anything, so those addresses, which may hold passwords, stay there."""
    tar = None
    if isinstance(order, ReduceOrder):
        # Its name may hold any bytes, which a text may not.
        tar, order = Path(order.tar) if order.tar else None, replace(order, tar="")
    known = replace(config, database=Config.database, targets={}, notify_recipients=(), notify_owners="")
    return pack(Lead(settings, known, type(order).__name__, tar), order)


def unpack_lead(message: Message) -> tuple[LeadOrder, Config, RunSettings]:
    """Unpack what `pack_lead` packed."""
    lead = message.read(Lead)
    order = message.read(_ORDERS[lead.kind], 1)
    if isinstance(order, ReduceOrder) and lead.tar:
        order = replace(order, tar=os.fspath(lead.tar))
    return order, lead.config, lead.settings


def pack_outcome(outcome: Outcome) -> bytes:
    """Pack the outcome of an order."""
    name = type(outcome).__name__
    if not isinstance(outcome, RenderOutcome):
        return pack(name, outcome)
    return pack(name, (outcome.module, [_packed_text(text) for text in outcome.texts]))


def unpack_outcome(message: Message) -> Any:
    """Unpack what `pack_outcome` packed."""
    return _OUTCOMES[message.read(str)](message)


_PackedPieces = list[tuple[str, list[Large], list[Large] | None]] | None


_PackedText = tuple[str, Group, list[tuple[PartText, _PackedPieces]]]


def _packed_text(text: TableText) -> _PackedText:
    return text.table, text.group, [(replace(part, pieces=None), _packed_pieces(part.pieces)) for part in text.parts]


def _packed_pieces(pieces: Sequence[Piece] | None) -> _PackedPieces:
    if pieces is None:
        return None
    # The same text for both is sent once.
    return [
        (piece.instance_id, _larges(piece.copy), None if piece.report is piece.copy else _larges(piece.report))
        for piece in pieces
    ]


def _rendered(message: Message) -> RenderOutcome:
    module, texts = message.read(tuple[str, list[_PackedText]], 1)
    made = (
        TableText(table, group, tuple(replace(part, pieces=_pieces(packed)) for part, packed in parts))
        for table, group, parts in texts
    )
    return RenderOutcome(module, tuple(made))


def _pieces(packed: _PackedPieces) -> tuple[Piece, ...] | None:
    if packed is None:
        return None
    pieces = []
    for instance_id, copy, report in packed:
        shown = _bytes(copy)
        pieces.append(Piece(instance_id, shown, shown if report is None else _bytes(report)))
    return tuple(pieces)


def _larges(parts: tuple[bytes, ...]) -> list[Large]:
    return [Large(part) for part in parts]


def _bytes(parts: list[Large]) -> tuple[bytes, ...]:
    return tuple(bytes(part.data) for part in parts)


_OUTCOMES: dict[str, Callable[[Message], Outcome]] = {
    ReduceOutcome.__name__: lambda message: message.read(ReduceOutcome, 1),
    MergeOutcome.__name__: lambda message: message.read(MergeOutcome, 1),
    RenderOutcome.__name__: _rendered,
}


def pack_task(index: int, place: str, task: Task) -> bytes:
    """Pack a task, its number among those of its controller, and its subject."""
    return pack(TaskHeader(index, place, task.name), *_CODECS[task.name].pack_task(task))


def unpack_task(message: Message) -> tuple[int, str, Task]:
    """Unpack what `pack_task` packed."""
    header = message.read(TaskHeader)
    return header.index, header.place, _CODECS[header.name].unpack_task(message)


def pack_result(index: int, task: Task, result: Any) -> bytes:
    """Pack the result of a task."""
    return pack(ResultHeader(index, task.name), _CODECS[task.name].pack_result(result))


def unpack_result(message: Message) -> tuple[int, Any]:
    """Unpack what `pack_result` packed."""
    header = message.read(ResultHeader)
    return header.index, _CODECS[header.name].unpack_result(message)


@dataclass(frozen=True)
class _Codec:
    """How the task of a kind and its result become values of a message, from the second one on, and back."""

    pack_task: Callable[[Any], tuple[Any, ...]]
    unpack_task: Callable[[Message], Task]
    pack_result: Callable[[Any], Any]
    unpack_result: Callable[[Message], Any]


def _pack_decode(task: DecodeTask) -> tuple[Any, ...]:
    return replace(task, block=replace(task.block, data=memoryview(b""))), Large(task.block.data)


def _unpack_decode(message: Message) -> DecodeTask:
    task = message.read(DecodeTask, 1)
    return replace(task, block=replace(task.block, data=memoryview(message.read(Large, 2).data).toreadonly()))


def _pack_aggregate(task: AggregateTask) -> tuple[Any, ...]:
    # The jobs of a task are a part of an archive's, and so are their texts.
    return (replace(task, tables={kind: table.own_texts() for kind, table in task.tables.items()}),)


def _pack_partials(partials: Partials) -> Any:
    """Return the partials of reports and those of exports."""
    parts = {name: partial for name, partial in partials.items() if isinstance(partial, list)}
    return {name: partial for name, partial in partials.items() if name not in parts}, parts


def _unpack_partials(message: Message) -> Partials:
    reports, exports = message.read(tuple[dict[str, Counted], dict[str, list[Part]]], 1)
    return {**reports, **exports}


_CODECS = {
    DecodeTask.name: _Codec(
        _pack_decode, _unpack_decode, lambda decoded: decoded, lambda message: message.read(Decoded, 1)
    ),
    AggregateTask.name: _Codec(
        _pack_aggregate, lambda message: message.read(AggregateTask, 1), _pack_partials, _unpack_partials
    ),
}
