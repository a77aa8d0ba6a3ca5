"""The partials of each instance are merged, and those of exports are found."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.core.errors import StoreDamaged
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export, Part
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.context import DamagedEntries, RunContext
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.keys import MERGED, PARTIAL
from grt_batch.pipeline.merge import MergeInput
from grt_batch.pipeline.merge_all import export_parts, keys_merged, merge_instances
from grt_batch.pipeline.request import RunRequest
from grt_batch.schema.records import WINDOW_DAYS
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store

AS_OF = date(2024, 6, 30)
LONG_AGO = (AS_OF - timedelta(days=WINDOW_DAYS)).isoformat()
(METRICS,) = chosen(("metrics",))
(RECORDS,) = chosen(("records",))


def archive(key: str, last_day: str = "2024-06-30", *, final: bool = False) -> MergeInput:
    return MergeInput(key, "", date(2024, 6, 1), last_day, final)


INPUTS = {"a": [archive("one"), archive("two")], "b": [archive("three")]}


def put(context: RunContext, module: Module) -> None:
    for archives in INPUTS.values():
        for each in archives:
            context.store.put(PARTIAL, each.partial(module), module.pack(module.empty()))


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    config = Config(uploads=tmp_path / "uploads", work=tmp_path / "work")
    index = ArchiveIndex(config.work, config.uploads)
    made = RunContext(RunRequest(config, AS_OF), [METRICS], Store(tmp_path / "store"), index, SerialExecutor())
    put(made, METRICS)
    return made


def test_each_instance_has_all_cubes_of_a_module_once(context: RunContext) -> None:
    merged = merge_instances(context, {METRICS: "ab"}, INPUTS)["metrics"]
    for instance_id, kind in (("a", MERGED), ("b", PARTIAL)):
        entries = [entry for entry in merged if entry.instance_id == instance_id]
        assert {entry.kind for entry in entries} == {kind}
        assert sorted(name for entry in entries for name in entry.cubes) == sorted(cube.name for cube in METRICS.cubes)
        for entry in entries:
            cubes = entry.load(context.store, METRICS)
            assert cubes is not None
            assert set(cubes) == set(entry.cubes)


def test_an_archive_of_long_ago_is_in_no_window(context: RunContext) -> None:
    windowed = {cube.name for cube in METRICS.cubes if cube.windowed}
    merged = merge_instances(context, {METRICS: "b"}, {"b": [archive("three", LONG_AGO)]})["metrics"]
    assert windowed
    assert {name for entry in merged for name in entry.cubes} == {cube.name for cube in METRICS.cubes} - windowed


def test_missing_partials_are_named(context: RunContext) -> None:
    key = INPUTS["a"][1].partial(METRICS)
    context.store.drop(PARTIAL, key)
    with pytest.raises(DamagedEntries) as raised:
        merge_instances(context, {METRICS: "ab"}, INPUTS)
    assert set(raised.value.keys) == {key}


def test_the_keys_depend_on_the_archives_and_their_instances(context: RunContext) -> None:
    one, two = INPUTS["a"]
    inputs = [
        INPUTS,
        {"a": [one, two]},
        {"a": [two, one]},
        {"a": [one]},
        {"b": [one]},
        {"a": [archive("one", LONG_AGO)]},
    ]
    assert len({str(keys_merged(context, METRICS, some)) for some in inputs}) == len(inputs)
    # A removed archive whose numbers are lost does not count.
    lost = [one, archive("lost", final=True)]
    assert keys_merged(context, METRICS, {"a": lost}) == keys_merged(context, METRICS, {"a": [one]})


def test_only_the_instances_that_are_wanted_are_merged(context: RunContext) -> None:
    context.store.drop(PARTIAL, INPUTS["a"][1].partial(METRICS))
    merged = merge_instances(context, {METRICS: {"b"}}, INPUTS)["metrics"]
    assert {entry.instance_id for entry in merged} == {"b"}
    assert {found.windowed for found in keys_merged(context, METRICS, INPUTS)} == {False, True}


def test_the_parts_of_an_export_are_loaded_when_they_are_asked_for(context: RunContext) -> None:
    assert isinstance(RECORDS, Export)
    put(context, RECORDS)
    parts = [Part("jobs", 1, 2, 3, b"abc"), Part("params", 4, 5, 6, b"def")]
    key = INPUTS["b"][0].partial(RECORDS)
    context.store.put(PARTIAL, key, RECORDS.pack(parts))
    found = export_parts(context, RECORDS, INPUTS)
    assert [each.instance_id for each in found] == ["a", "a", "b"]
    assert list(found[0].load()) == []
    assert list(found[2].load()) == parts
    assert list(found[2].load(["params"])) == parts[1:]
    context.store.path(PARTIAL, key).write_bytes(b"damaged")
    with pytest.raises(StoreDamaged):
        found[2].load()
    assert not context.store.has(PARTIAL, key)
