"""The laws of exports, over every export that there is, and of one that is made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl
import pytest

from grt_batch.core.config import Config
from grt_batch.frames.ipc import pack_frames, unpack_frames
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import PART, PARTS, Export, Part
from grt_batch.modules.registry import discover
from grt_batch.schema.records import Job, Records
from tests.modules.test_laws import PartialOf, same


@pytest.mark.parametrize(
    "export", [module for module in discover().values() if isinstance(module, Export)], ids=lambda export: export.name
)
def test_parts_of_an_export_stand_in_the_order_of_the_jobs(
    export: Export, jobs: pl.Series, partial_of: PartialOf
) -> None:
    ids = jobs[:300].sort()
    one, other = partial_of(export, ids[:150]), partial_of(export, ids[150:])
    merged = export.merge([export.empty(), one, export.empty(), other])[PARTS]
    assert merged.schema == PART
    assert merged.equals(pl.concat([one[PARTS], other[PARTS]]))
    assert same(unpack_frames(pack_frames(one)), one)
    assert same(partial_of(export, ids[:150]), one), "the same jobs give the same bytes"
    assert one[PARTS]["name"].is_unique().all()


class Ids(Export):
    """Which jobs are there?"""

    name = "ids"

    def parts(self, records: Records) -> Iterator[Part]:
        ids = records[Job][Job.job_id.name].to_list()
        for name, some in (("even", [i for i in ids if i % 2 == 0]), ("odd", [i for i in ids if i % 2])):
            yield Part(name, len(some), 2 * len(some), 10, " ".join(map(str, some)).encode())


def of_ids(*ids: int) -> pl.DataFrame:
    frame = pl.DataFrame({Job.job_id.name: ids}, schema={Job.job_id.name: pl.Int64})
    return Ids().aggregate(Records({Job: frame}))[PARTS]


def test_the_partial_of_an_export_is_its_parts() -> None:
    assert of_ids(1, 2, 3).rows() == [("even", 1, 2, 10, b"2"), ("odd", 2, 4, 10, b"1 3")]
    assert of_ids(1).schema == PART


def test_parts_of_the_same_name_stay_apart_until_they_are_written() -> None:
    merged = Ids().merge([{PARTS: of_ids(1, 2)}, Ids().empty(), {PARTS: of_ids(3)}])[PARTS]
    assert merged.filter(name="odd")["data"].to_list() == [b"1", b"3"]


def test_an_export_runs_where_it_is_named_and_has_no_rows() -> None:
    export = Ids()
    assert export.opt_in and not export.looks_back
    assert export.rows(export.empty(), Ledger(date(2024, 6, 30), Config(), ())) == {}
