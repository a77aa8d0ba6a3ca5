"""The third step of a reduction: merge the partials of each instance, and find those of exports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from grt_batch.core.errors import StoreDamaged
from grt_batch.modules.base import Module
from grt_batch.modules.export import ArchiveParts, Export, Part
from grt_batch.pipeline.context import DamagedEntries, RunContext
from grt_batch.pipeline.fingerprints import MergedKey
from grt_batch.pipeline.keys import PARTIAL, merged_keys
from grt_batch.pipeline.merge import MergedEntry, MergeInput, MergeOrder, counted_in, merges
from grt_batch.store.store import Store

Inputs = Mapping[str, Sequence[MergeInput]]
"""The archives that count, by instance, oldest first."""


def keys_merged(context: RunContext, module: Module, inputs: Inputs) -> list[MergedKey]:
    """Return the keys of a module's merged partials."""
    windowed = {cube.name for cube in module.cubes if cube.windowed}
    return [
        MergedKey(
            instance_id,
            not windowed.isdisjoint(cubes),
            merged_keys(instance_id, module, cubes, [archive.partial(module) for archive in archives])[-1],
        )
        for instance_id, cubes, archives in _merges(context, module, inputs)
    ]


def merge_instances(
    context: RunContext, wanted: Mapping[Module, Collection[str]], inputs: Inputs
) -> dict[str, Sequence[MergedEntry]]:
    """Merge the partials of each module over the archives of each of the instances `wanted`, and return where the store
    has the result.

    Raises DamagedEntries.
    """
    orders = [
        MergeOrder(
            instance_id,
            module.name,
            tuple(sorted(cubes)),
            tuple(archive.partial(module) for archive in archives),
            context.again,
            keep=context.request.beside is not None,
            modules_dir=context.config.modules_dir,
        )
        for module, instances in wanted.items()
        for instance_id, cubes, archives in _merges(context, module, inputs)
        if archives and instance_id in instances
    ]
    damaged = [key for outcome in context.carry_out(orders) for key in outcome.damaged]
    if damaged:
        raise DamagedEntries(damaged)
    return {module.name: [order.merged for order in orders if order.module == module.name] for module in wanted}


def export_parts(context: RunContext, export: Export, inputs: Inputs) -> list[ArchiveParts]:
    """Return the parts that an export has of all archives; they stay in the store until they are loaded."""
    keys = (
        (instance_id, archive.partial(export))
        for instance_id, archives in inputs.items()
        for archive in counted_in(context.store, export, archives)
    )
    return [
        ArchiveParts(instance_id, key, partial(_load_parts, export, context.store, key)) for instance_id, key in keys
    ]


def _merges(
    context: RunContext, module: Module, inputs: Inputs
) -> Iterator[tuple[str, frozenset[str], Sequence[MergeInput]]]:
    for instance_id, archives in inputs.items():
        for cubes, merged in merges(module, counted_in(context.store, module, archives), context.as_of):
            yield instance_id, cubes, merged


def _load_parts(export: Export, store: Store, key: str, names: Collection[str] | None = None) -> list[Part]:
    raw = store.get(PARTIAL, key)
    if raw is None:
        # Much may have been written already: this run ends, and the next one makes the entry again.
        store.drop(PARTIAL, key)
        raise StoreDamaged(store=store.root)
    parts: list[Part] = export.unpack(raw, names)
    return parts
