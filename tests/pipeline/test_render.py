"""Any rank makes the tables of a module out of what the store has, and of no more of the ledger than it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from grt_batch.core.errors import StoreDamaged
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.pipeline.render import Rendering, RenderOrder
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.parts import Group
from grt_batch.store.store import Store

NAMES = [name for name, module in discover().items() if not isinstance(module, Export)]


@pytest.mark.parametrize("name", [name for name in NAMES if not discover()[name].looks_at_archives])
def test_a_module_needs_no_more_than_a_rank_knows(
    made: tuple[Store, Ledger, dict[str, RenderOrder]], name: str
) -> None:
    store, ledger, orders = made
    elsewhere = orders[name].carry_out(ledger.config, store, run_here, lambda _: None)
    assert elsewhere == orders[name].render(ledger, store)
    assert any(text.bytes for text in elsewhere.texts)


def test_a_damaged_entry_is_dropped_and_the_run_ends(
    made: tuple[Store, Ledger, dict[str, RenderOrder]], tmp_path: Path
) -> None:
    _, ledger, orders = made
    store = Store(tmp_path)
    first = orders["tools"].merged[0]
    store.put(first.kind, first.key, b"")
    store.path(first.kind, first.key).write_bytes(b"damaged")
    with pytest.raises(StoreDamaged):
        orders["tools"].render(ledger, store)
    assert not store.has(first.kind, first.key)


def test_an_order_says_what_it_is_about() -> None:
    order = RenderOrder("tools", (), date(2020, 1, 1), {}, (), Rendering(""))
    assert order.place == "the tables of tools"
    assert replace(order, rendering=Rendering("", Group("a", ("a",)))).place == "the tables of tools for a"


@pytest.mark.parametrize("looking", [False, True])
def test_what_is_known_has_no_text(made: tuple[Store, Ledger, dict[str, RenderOrder]], *, looking: bool) -> None:
    store, ledger, orders = made
    names = [name for name in orders if name.startswith("instances of" if looking else "tools of")]
    assert len(names) == len(ledger.instances)
    for name in names:
        order = orders[name]
        whole = order.render(ledger, store)
        parts = [part for text in whole.texts for part in text.parts]
        assert all(part.pieces for part in parts)
        for one in parts:
            rendering = replace(order.rendering, known=frozenset({one.content}))
            found = replace(order, rendering=rendering).render(ledger, store)
            expected = [replace(part, pieces=None) if part.content == one.content else part for part in parts]
            assert [part for text in found.texts for part in text.parts] == expected
