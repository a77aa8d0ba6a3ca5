"""The laws of exports, over every export that there is, and of one that is made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from build import examples
from exporting import made
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import Export, Part
from grt_batch.modules.registry import discover
from grt_batch.schema.records import Job, Records


def some_jobs(first: int, count: int) -> Records:
    """Jobs of two tools, with a record of each kind."""
    jobs = [{"job_id": first + i, "tool_id": f"tool{i % 2}", "state": "ok"} for i in range(count)]
    others = {kind: [{"job_id": job["job_id"], "name": "n"} for job in jobs] for kind in ("params", "metrics")}
    return made(jobs, **others, datasets=[{"job_id": job["job_id"], "dataset_id": 5} for job in jobs])


@pytest.mark.parametrize(
    "export", [module for module in discover().values() if isinstance(module, Export)], ids=lambda export: export.name
)
def test_parts_of_an_export_stand_in_the_order_of_the_jobs(export: Export) -> None:
    one, other = (list(export.parts(some_jobs(first, 9))) for first in (0, 100))
    assert export.merge([export.empty(), one, export.empty(), other]) == [*one, *other]
    assert list(export.parts(some_jobs(0, 9))) == one, "the same jobs give the same bytes"
    assert len({part.name for part in one}) == len(one) > 1


@examples(50)
@given(parts=st.lists(st.builds(Part, st.text(), *[st.integers(0, 2**62)] * 3, st.binary()), max_size=5))
@example(parts=[Part("é/\n", 1, 2, 3, bytes(100_000)), Part("", 0, 0, 0, b"")])
def test_packed_parts_come_back_all_or_those_of_some_names(parts: list[Part]) -> None:
    export = Ids()
    raw = export.pack(parts)
    assert export.unpack(raw) == parts
    assert export.unpack(raw, {"", "é/\n"}) == [part for part in parts if part.name in ("", "é/\n")]


class Ids(Export):
    """Which jobs are there?"""

    name = "ids"

    def parts(self, records: Records) -> Iterator[Part]:
        ids = records[Job][Job.job_id.name].to_list()
        for name, some in (("even", [i for i in ids if i % 2 == 0]), ("odd", [i for i in ids if i % 2])):
            yield Part(name, len(some), 2 * len(some), 10, " ".join(map(str, some)).encode())


def test_an_export_runs_where_it_is_named_and_has_no_rows() -> None:
    export = Ids()
    assert export.opt_in and not export.looks_back
    assert export.rows(export.empty(), Ledger(date(2024, 6, 30), Config(), ())) == {}
