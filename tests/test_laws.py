"""The laws of modules, over every module that there is: a new one is tested before its author writes a test."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grt_batch.config import Config
from grt_batch.joined import Job, Records
from grt_batch.module import Module, Partial, discover
from grt_batch.partials import pack_partial, unpack_partial
from grt_batch.pipeline import Clock, read_archive, run_here
from grt_batch.uploads import scan

MODULES = list(discover().values())


def partial_of(module: Module, jobs: pl.DataFrame) -> Partial:
    return module.aggregate(Records({Job: jobs}))


@pytest.fixture(scope="module")
def jobs(sample: Path) -> pl.DataFrame:
    """Joined jobs of all metadata versions, in no order at all."""
    frames = []
    for archive in scan(sample).archives:
        _, frame, _ = read_archive(archive.tar, Config(), run_here, Clock(), lambda _: None)
        assert frame is not None
        frames.append(frame.with_columns(pl.col("tool_id", "tool_version", "state").cast(pl.String)))
    return pl.concat(frames).sample(fraction=1.0, shuffle=True, seed=1)


def same(one: Partial, other: Partial) -> bool:
    return one.keys() == other.keys() and all(
        one[name].schema == other[name].schema and one[name].equals(other[name]) for name in one
    )


every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


@every_module
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 6000), max_size=4), data=st.data())
def test_any_cut_in_any_order_gives_the_same(
    module: Module, jobs: pl.DataFrame, cuts: list[int], data: st.DataObject
) -> None:
    places = [0, *sorted(min(cut, jobs.height) for cut in cuts), jobs.height]
    parts = [jobs[begin:end] for begin, end in pairwise(places)]
    order = data.draw(st.permutations(range(len(parts))))
    merged = module.merge([partial_of(module, parts[i]) for i in order])
    assert same(merged, partial_of(module, jobs))


@every_module
def test_merge_is_associative_and_commutative(module: Module, jobs: pl.DataFrame) -> None:
    a, b, c = (partial_of(module, jobs[begin : begin + 700]) for begin in (0, 700, 1400))
    assert same(module.merge([module.merge([a, b]), c]), module.merge([a, module.merge([b, c])]))
    assert same(module.merge([a, b]), module.merge([b, a]))


@every_module
def test_empty_is_the_identity(module: Module, jobs: pl.DataFrame) -> None:
    partial = partial_of(module, jobs[:500])
    assert same(module.merge([module.empty(), partial]), partial)
    assert same(module.merge([partial, module.empty()]), partial)
    assert same(partial_of(module, jobs[:0]), module.empty())
    assert same(module.merge([module.empty(), module.empty()]), module.empty())


@every_module
def test_a_partial_survives_the_store(module: Module, jobs: pl.DataFrame) -> None:
    partial = partial_of(module, jobs[:500])
    assert same(unpack_partial(pack_partial(partial)), partial)


@every_module
def test_one_job_a_block_gives_the_same(module: Module, jobs: pl.DataFrame) -> None:
    few = jobs[: random.Random(1).randint(40, 60)]
    assert same(module.merge([partial_of(module, part) for part in few.iter_slices(1)]), partial_of(module, few))


@every_module
def test_a_module_says_what_it_is(module: Module) -> None:
    assert (module.__doc__ or "").strip().endswith("?"), "the docstring of a module is the question that it answers"
    assert module.version >= 1
    assert module.tables
    for table in module.tables:
        assert set(table.key) <= {column.name for column in table.columns}
        assert table.doc
        assert all(column.doc for column in table.columns)
