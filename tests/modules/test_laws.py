"""The laws of modules, over every module that there is: a new one is tested before its author writes a test."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from by_hand import same
from hypothesis import given, settings
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import INSTANCE, Counted, Module, concat_instances
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.schema.tables import render
from grt_batch.uploads.metadata import InstanceMetadata

MODULES = [module for module in discover().values() if not isinstance(module, Export)]
"""Those that count. What an export makes depends on where the jobs are cut; its own test says what stays the same."""
Ids = npt.NDArray[np.int64]
PartialOf = Callable[[Module, Ids], Counted]


every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


@every_module
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 6000), max_size=4), data=st.data())
def test_any_cut_in_any_order_gives_the_same(
    module: Module, jobs: Ids, partial_of: PartialOf, cuts: list[int], data: st.DataObject
) -> None:
    places = [0, *sorted(min(cut, len(jobs)) for cut in cuts), len(jobs)]
    parts = [jobs[begin:end] for begin, end in pairwise(places)]
    order = data.draw(st.permutations(range(len(parts))))
    merged = module.merge([partial_of(module, parts[i]) for i in order])
    assert same(module, merged, partial_of(module, jobs))


@every_module
def test_merge_is_associative_and_commutative(module: Module, jobs: Ids, partial_of: PartialOf) -> None:
    a, b, c = (partial_of(module, jobs[begin : begin + 700]) for begin in (0, 700, 1400))
    assert same(module, module.merge([module.merge([a, b]), c]), module.merge([a, module.merge([b, c])]))
    assert same(module, module.merge([a, b]), module.merge([b, a]))


@every_module
@pytest.mark.parametrize("batches", [(5,), (1, 4), (2, 1, 2), (1, 1, 1, 1, 1)])
def test_archives_gathered_in_any_batches_give_the_same(
    module: Module, jobs: Ids, partial_of: PartialOf, batches: tuple[int, ...]
) -> None:
    archives = [module.gathered([partial_of(module, jobs[begin : begin + 300])]) for begin in range(0, 1500, 300)]
    whole, found = module.gathered(archives), module.empty()
    for count in batches:
        found = module.gathered([found, *archives[:count]])
        del archives[:count]
    assert same(module, found, whole)
    assert same(module, module.gathered([whole]), whole)


@every_module
def test_empty_is_the_identity(module: Module, jobs: Ids, partial_of: PartialOf) -> None:
    partial = partial_of(module, jobs[:500])
    assert same(module, module.merge([module.empty(), partial]), partial)
    assert same(module, module.merge([partial, module.empty()]), partial)
    assert same(module, partial_of(module, jobs[:0]), module.empty())
    assert same(module, module.merge([module.empty(), module.empty()]), module.empty())


@every_module
def test_the_rows_and_the_texts_of_a_cube_are_in_order(module: Module, jobs: Ids, partial_of: PartialOf) -> None:
    parts = [partial_of(module, jobs[begin : begin + 300]) for begin in (0, 300)]
    for partial in (module.empty(), *parts, module.merge(parts)):
        for cube in module.cubes:
            assert all(partial[cube.name].texts[name].names.is_sorted() for name in cube.texts)
            frame = cube.frame(partial[cube.name])
            assert frame.equals(frame.sort(cube.key_names))


@every_module
def test_a_partial_survives_the_store(module: Module, jobs: Ids, partial_of: PartialOf) -> None:
    partial = partial_of(module, jobs[:500])
    assert same(module, module.unpack(module.pack(partial)), partial)
    first = module.cubes[0].name
    assert module.unpack(module.pack(partial), [first]).keys() == {first}


@every_module
def test_one_job_a_block_gives_the_same(module: Module, jobs: Ids, partial_of: PartialOf) -> None:
    few = jobs[: random.Random(1).randint(40, 60)]
    assert same(
        module,
        module.merge([partial_of(module, part) for part in (few[i : i + 1] for i in range(len(few)))]),
        partial_of(module, few),
    )


AS_OF = date(2024, 5, 10)
"""In the middle of what the sample's largest instance did, so that tools change."""
LENIENT = Config(change_min_jobs=1, change_p_value=1.0, change_min_rate=0, change_runtime_percent=1)
"""With so few jobs no change of a tool would be worth reporting."""


def rows_of_each(module: Module, partials: Mapping[str, Counted]) -> dict[str, dict[str, list[bytes]]]:
    """The lines of each table that has rows of single instances, by instance."""
    entries = tuple(InstanceEntry(instance_id, InstanceMetadata(), ()) for instance_id in partials)
    frames = module.all_rows(concat_instances(module.cubes, partials), Ledger(AS_OF, LENIENT, entries))
    found: dict[str, dict[str, list[bytes]]] = {instance_id: {} for instance_id in partials}
    for table in module.tables:
        if table.key[0] == INSTANCE:
            frame = table.frame(frames[table.name])
            for line in b"".join(render(table, frame)).splitlines():
                own = found.get(line.partition(b"\t")[0].decode())
                if own is not None:
                    own.setdefault(table.name, []).append(line)
    return found


@every_module
def test_the_rows_of_an_instance_are_the_same_alone_and_among_others(
    module: Module, jobs: Ids, partial_of: PartialOf
) -> None:
    """To the last digit, also where an instance has a single row, of which polars may compute otherwise."""
    ends = [*range(1, 16), 400, len(jobs)]
    partials = {f"{end:04}": partial_of(module, jobs[begin:end]) for begin, end in pairwise((0, *ends))}
    among = rows_of_each(module, partials)
    for instance_id, partial in partials.items():
        assert rows_of_each(module, {instance_id: partial})[instance_id] == among[instance_id]
    assert any(among.values()) == any(table.key[0] == INSTANCE for table in module.tables)


@pytest.mark.parametrize("module", discover().values(), ids=lambda module: module.name)
def test_a_module_says_what_it_is(module: Module) -> None:
    assert (module.__doc__ or "").strip().endswith("?"), "the docstring of a module is the question that it answers"
    assert module.tables or isinstance(module, Export)
    assert " at 0x" not in repr(module.cubes), "keys of the store hold what is declared"
    for table in module.tables:
        assert set(table.key) <= {column.name for column in table.columns}
        assert table.doc
        assert all(column.doc for column in table.columns)
