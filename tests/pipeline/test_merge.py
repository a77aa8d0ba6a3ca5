"""Partials are merged in batches, on from where an earlier merge ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from by_hand import same

from grt_batch.columns.packing import unpack
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Module
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import MERGED, PARTIAL
from grt_batch.pipeline.merge import MergeOrder
from grt_batch.pipeline.render import RenderOrder
from grt_batch.pipeline.tasks import run_here
from grt_batch.store.store import Store

TOOLS = discover()["tools"]
CUBES = tuple(sorted(cube.name for cube in TOOLS.cubes))


def merged(store: Store, order: MergeOrder) -> Any:
    """What comes of an order, and what it left."""
    outcome = order.carry_out(Config(), store, run_here, lambda _: None)
    return outcome.damaged, order.merged.load(store, TOOLS)


@pytest.fixture
def partials(made: tuple[Store, Ledger, dict[str, RenderOrder]], tmp_path: Path) -> Iterator[tuple[Store, list[str]]]:
    """A store with the partials of some archives in the module tools, and their keys."""
    whole, _, _ = made
    store = Store(tmp_path)
    keys = []
    for entry in whole.entries():
        raw = whole.get(PARTIAL, entry.key) if entry.kind == PARTIAL else None
        if raw is not None and set(unpack(raw)) == set(CUBES):
            store.put(PARTIAL, entry.key, raw)
            keys.append(entry.key)
    assert len(keys) >= 3
    yield store, sorted(keys)


def test_a_merge_goes_on_where_the_one_before_ended(partials: tuple[Store, list[str]]) -> None:
    store, keys = partials
    whole = merged(store, MergeOrder("a", "tools", CUBES, tuple(keys)))
    assert whole[0] == ()
    for entry in list(store.entries()):
        if entry.kind == MERGED:
            store.drop(MERGED, entry.key)
    merged(store, MergeOrder("a", "tools", CUBES, tuple(keys[:2])))
    # It can only go on from there.
    store.drop(PARTIAL, keys[0])
    damaged, found = merged(store, MergeOrder("a", "tools", CUBES, tuple(keys)))
    assert damaged == ()
    assert same(TOOLS, found, whole[1])
    assert [entry.kind for entry in store.entries()].count(MERGED) == 1, "the shorter one is of no more use"
    assert merged(store, MergeOrder("a", "tools", CUBES, tuple(keys), again=True))[0] == (keys[0],)


def test_an_instance_keeps_its_merge_while_another_one_with_the_same_archives_grows(
    partials: tuple[Store, list[str]],
) -> None:
    store, keys = partials
    same_archives = MergeOrder("a", "tools", CUBES, tuple(keys[:2]))
    merged(store, same_archives)
    merged(store, MergeOrder("b", "tools", CUBES, tuple(keys[:2])))
    merged(store, MergeOrder("b", "tools", CUBES, tuple(keys[:3])))
    assert same_archives.merged.load(store, TOOLS) is not None


def test_how_many_partials_are_in_memory_makes_no_difference(
    partials: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, keys = partials
    whole = merged(store, MergeOrder("a", "tools", CUBES, tuple(keys)))
    two = store.size(PARTIAL, keys[0]) + store.size(PARTIAL, keys[1])
    read: list[int] = []
    merge = Module.merge
    monkeypatch.setattr(Module, "merge", lambda self, parts: [read.append(len(parts)), merge(self, parts)][1])
    for most, first in ((1, 1), (two, 2), (two - 1, 1)):
        monkeypatch.setattr("grt_batch.pipeline.merge._MERGED_AT_ONCE", most)
        read.clear()
        found = merged(store, MergeOrder("a", "tools", CUBES, tuple(keys), again=True))
        # What was merged so far is one of them.
        assert read[0] == 1 + first
        assert sum(read) == len(read) + len(keys)
        assert same(TOOLS, found[1], whole[1])


@pytest.mark.parametrize("count", [1, 3])
def test_damaged_partials_are_named_and_dropped(partials: tuple[Store, list[str]], count: int) -> None:
    store, keys = partials
    store.path(PARTIAL, keys[0]).write_bytes(b"damaged")
    assert merged(store, MergeOrder("a", "tools", CUBES, tuple(keys[:count])))[0] == (keys[0],)
    assert not store.has(PARTIAL, keys[0])


def test_an_order_says_what_it_is_about() -> None:
    assert MergeOrder("a", "tools", (), ()).place == "a, tools"
