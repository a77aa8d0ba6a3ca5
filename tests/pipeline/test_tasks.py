"""A task says what it is about, and gives the same wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from build import HEADERS, line

from grt_batch.core.timing import Clock, Stage
from grt_batch.decode.columns import WANTED
from grt_batch.decode.redaction import Redaction
from grt_batch.join.jobs import Joiner
from grt_batch.modules.base import Module, wanted_by
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.tasks import AggregateTask, DecodeTask, partials_of, run_here, timed
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import Job, Leaf, Records
from grt_batch.uploads.archive import Block

SINCE = date(2024, 6, 1)


def decode_task(*ids: int) -> DecodeTask:
    data = b"".join(line(i, f"tool{i}", "1", "ok", "2024-06-02 10:00:00") for i in ids)
    return DecodeTask(Block(layout_of(Kind.JOBS, [HEADERS[Kind.JOBS].rstrip(b"\n")])[0], 0, data), 3, WANTED)


def records_of(*ids: int, wanted: Sequence[Module] = ()) -> Records:
    joiner = Joiner(wanted_by(wanted))
    joiner.add(decode_task(*ids).run())
    return replace(joiner.join()[0], since=SINCE)


def test_a_task_says_what_it_is_about_and_how_much_it_is() -> None:
    task = decode_task(1, 2)
    assert (task.place, task.bytes) == ("jobs, block 3", len(task.block.data))
    jobs = records_of(4, 9, 7)[Job]
    part = AggregateTask(("tools",), {Job.kind: jobs}, SINCE)
    assert part.place == "the jobs from 4 to 9"
    assert part.bytes == sum(column.nbytes for column in jobs.arrays.values())


def test_tasks_run_one_after_another_and_their_bytes_are_counted() -> None:
    clock, tasks = Clock(), [decode_task(1, 2), decode_task(3)]
    assert [decoded.lines for decoded in run_here(iter(tasks), clock)] == [2, 1]
    assert clock.snapshot()["bytes"][Stage.DECODE.value] == sum(task.bytes for task in tasks)
    assert timed(tasks[1], clock).lines == 1


def test_leaves_are_left_out_before_they_are_redacted() -> None:
    layout, _ = layout_of(Kind.PARAMS, [HEADERS[Kind.PARAMS].rstrip(b"\n")])
    block = Block(layout, 0, line(1, "p", '{"__mail__": "a@b.org", "x": "a@b.org"}') + line(2, "__p", "a@b.org"))
    redaction = Redaction((r"[a-z]@[a-z.]+",))
    task = DecodeTask(block, 1, (Leaf.kind,), redaction, ("__*",))
    found = task.run()
    assert found.texts["leaf"] == [("p|x", "[redacted]", None)]
    assert (found.left_out, found.redacted) == (2, 1)
    whole = DecodeTask(block, 1, (Leaf.kind,), redaction).run()
    assert (whole.left_out, whole.redacted) == (0, 2)


def test_partials_come_in_the_order_of_the_modules_exports_among_them() -> None:
    modules = chosen(("lake", "tools", "records"))
    found = partials_of(modules, records_of(1, 2, wanted=modules))
    assert list(found) == [module.name for module in modules]
    assert found["tools"].keys() == {cube.name for module in modules for cube in module.cubes}
    assert [part.name for part in found["records"]] == ["job"]


def test_a_task_finds_its_modules_by_their_names() -> None:
    records = records_of(1, 2)
    (module,) = chosen(("tools",))
    found = AggregateTask((module.name,), {Job.kind: records[Job]}, SINCE).run()
    assert module.pack(found["tools"]) == module.pack(partials_of([module], records)["tools"])
