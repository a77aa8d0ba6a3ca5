"""Orders, outcomes, tasks and results survive the way: what is unpacked gives the results that the original gives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build import decoded, line

from grt_batch.columns.packing import pack as pack_columns
from grt_batch.core.config import Config
from grt_batch.core.config_values import FurtherTarget, Level, Recipient
from grt_batch.decode.columns import WANTED, Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.redaction import Redaction, redacted
from grt_batch.join.jobs import Joiner
from grt_batch.ledger.account import Account, Members
from grt_batch.modules.registry import discover
from grt_batch.pipeline.merge import MergedEntry, MergeOrder, MergeOutcome
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.pipeline.render import Rendering, RenderOrder, RenderOutcome
from grt_batch.pipeline.repeats import Rival
from grt_batch.pipeline.tasks import AggregateTask, DecodeTask, Task
from grt_batch.ranks import serialization
from grt_batch.ranks.messages import Message, Tag, unpack
from grt_batch.ranks.messages import RunSettings as Settings
from grt_batch.schema.members import Kind
from grt_batch.schema.parts import WHOLE, Group, Years
from grt_batch.schema.records import RECORDS, Job
from grt_batch.sinks.sink import PartText, Piece, TableText
from grt_batch.uploads.archive import ArchiveReader, Block
from grt_batch.uploads.scan import scan
from grt_batch.uploads.unpacking import Limits

BLOCK_BYTES = 20_000


def received(raw: bytes) -> Message:
    """What another rank gets."""
    return unpack(int(Tag.TASK), 7, bytearray(raw))


SINCE = date(2018, 1, 1)


ORDER = ReduceOrder(
    instance_id="9b29eccf-0dbe-5405-95a2-3518d80b6e84",
    archive="1501836597.08",
    tar="/uploads/é/1501836597.08.tar.gz",
    bytes=2**40,
    modules=("tools", "instances"),
    since=date(2017, 6, 1),
    claimed_sha256="c" * 64,
    key="k" * 40,
    rivals=(Rival("r" * 40), Rival("n" * 40, "s" * 40)),
    again=True,
)


CONFIG = Config(
    uploads=Path("/up loads"),
    work=Path("w"),
    database="postgresql://grt:hunter2@host/grt",
    quotas={"3": 10**12},
    warning_levels=(Level(2, 7, 0.1), Level(3, 3, 1 / 3)),
    max_archive_bytes=2**63 - 1,
    targets={"other": FurtherTarget("postgresql://grt:hunter2@other/grt")},
    notify_recipients=(Recipient("mailto://grt:hunter2@host"),),
    notify_owners="mailto://grt:hunter2@host",
)


def without_passwords(config: Config) -> Config:
    return replace(config, database=Config.database, targets={}, notify_recipients=(), notify_owners="")


@pytest.mark.parametrize(
    "order", [ORDER, ReduceOrder("3", "0", "0.tar.gz", 0, (), date(1970, 1, 1))], ids=["all", "least"]
)
@pytest.mark.parametrize("config", [CONFIG, Config()], ids=["all", "default"])
def test_an_order_brings_its_configuration_but_no_password(order: ReduceOrder, config: Config) -> None:
    settings = Settings("a run", "json", debug=True, profiles=Path(os.fsdecode(b"/w \xff/profiles")))
    packed = serialization.pack_lead(order, config, settings)
    assert b"hunter2" not in packed
    assert serialization.unpack_lead(received(packed)) == (order, without_passwords(config), settings)


def test_an_order_may_name_a_file_that_is_not_utf_8() -> None:
    order = replace(ORDER, tar=os.fsdecode(b"/uploads \xff/0.tar.gz"))
    config = replace(without_passwords(CONFIG), uploads=Path(os.fsdecode(b"/uploads \xff")))
    packed = serialization.pack_lead(order, config, Settings())
    assert serialization.unpack_lead(received(packed)) == (order, config, Settings())


ACCOUNT = Account(
    sha256="a" * 64,
    bytes=1,
    members={"jobs": Members(lines=5, accepted=4, salvaged=1, rejected=1, fragments=1, orphans=2)},
    reasons=[("jobs", "2 columns instead of 5", 1)],
    jobs=4,
    first_id=-3,
    last_id=2**62,
    last_day="2017-08-01",
)


@pytest.mark.parametrize(
    "account", [ACCOUNT, Account("b" * 64, 7, quarantine="its gzip is broken: ü")], ids=["good", "quarantined"]
)
def test_an_outcome_comes_back(account: Account) -> None:
    outcome = ReduceOutcome("3", "0", "k" * 40, account)
    assert serialization.unpack_outcome(received(serialization.pack_outcome(outcome))) == outcome


MERGED_ONE = MergedEntry("3", ("usage",), "partial", "p" * 40)


MERGE = MergeOrder("3", "tools", ("change", "usage"), ("p" * 40, "q" * 40), again=True)


RENDER = RenderOrder(
    "tools",
    (MERGED_ONE, replace(MERGED_ONE, instance_id="é")),
    date(2020, 1, 1),
    {"3": True, "é": False},
    ("tool_day",),
    Rendering("program", Group("é", ("é",)), frozenset({"known", "é"})),
)


@pytest.mark.parametrize("order", [MERGE, RENDER], ids=["merge", "render"])
def test_orders_of_all_kinds_are_understood(order: MergeOrder | RenderOrder) -> None:
    assert serialization.unpack_lead(received(serialization.pack_lead(order, Config(), Settings())))[0] == order


TEXTS = (
    TableText("tool", WHOLE, (PartText("f", None, (Piece("", (b"a\n", b"b\n"), (b"a\n", b"b\n")),)),)),
    TableText("empty", WHOLE, (PartText("f", None, (Piece("", (), ()),)),)),
    TableText("no parts", Group("é", ("é",)), ()),
    TableText(
        "other",
        Group("1 of 64", ("a", "é")),
        (
            PartText("null", Years(), None, Group("1 of 64", ("a", "é"))),
            PartText(
                "2024", Years(2024, 2025), (Piece("é", (b"=1\n",), (b"'=1\n",)), Piece("a", (b"2\n",), (b"2\n",)))
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    "outcome",
    [MergeOutcome(("p" * 40,)), MergeOutcome(), RenderOutcome("tools", TEXTS)],
    ids=["damaged", "merged", "rendered"],
)
def test_outcomes_of_all_kinds_come_back(outcome: MergeOutcome | RenderOutcome) -> None:
    assert serialization.unpack_outcome(received(serialization.pack_outcome(outcome))) == outcome


def test_a_text_that_is_the_same_for_database_and_report_is_sent_once() -> None:
    text = (bytes(1000),)
    parts = (PartText("f", None, (Piece("", text, text),)),)
    message = serialization.pack_outcome(RenderOutcome("tools", (TableText("tool", WHOLE, parts),)))
    assert len(message) < 2 * 1000
    (found,) = serialization.unpack_outcome(received(message)).texts[0].parts[0].pieces
    assert found.copy is found.report


def sent(task: Task) -> Task:
    """A task as a worker gets it."""
    index, place, found = serialization.unpack_task(received(serialization.pack_task(5, "3/0, jobs", task)))
    assert (index, place) == (5, "3/0, jobs")
    return found


def returned(task: Task, result: Any) -> Any:
    """A result as a controller gets it."""
    index, found = serialization.unpack_result(received(serialization.pack_result(6, task, result)))
    assert index == 6
    return found


def same(one: Decoded, other: Decoded) -> bool:
    """Whether all of two decoded blocks is the same; numpy has no == of whole arrays."""
    mine, others = one.columns, other.columns
    arrays = mine.keys() == others.keys() and all(
        column.dtype == others[name].dtype and np.array_equal(column, others[name]) for name, column in mine.items()
    )
    return arrays and replace(one, columns={}) == replace(other, columns={})


JOIN = line(70, "samtools/1.15", 71, "trimmomatic/0.38", "0.38", "deleted", "2018-03-01 15:03:43.801539")


BLOCKS = {
    "jobs": decoded(Kind.JOBS, line(1, "a", "1", "ok", "2020-01-01 00:00:00") + line(2, "None", "None", "é", "None")),
    "jobs with a joined line": decoded(Kind.JOBS, JOIN + line(1, "a", "1", "ok", "2020-01-01 00:00:00")),
    "jobs of three columns": decoded(Kind.JOBS, line(1, "a", "ok"), columns=b"id\ttool_id\tstate"),
    "no jobs": decoded(Kind.JOBS, line("no id", "a", "1", "ok", "2020-01-01 00:00:00")),
    "rejects that are not UTF-8": decoded(Kind.JOBS, b"\xff\t\x00\n" * 3 + b"1"),
    "metrics": decoded(Kind.METRIC_NUM, line(1, "core", "runtime_seconds", "4.0000000") * 2),
    "salvaged metrics": decoded(Kind.METRIC_NUM, line(1, "core", 2, "core", "galaxy_slots", "1.0")),
    "metrics of three columns": decoded(Kind.METRIC_NUM, line(1, "core", "4"), columns=b"job_id\tplugin\tvalue"),
    "texts": decoded(Kind.METRIC_TXT, line(1, "env", "HOME", "/")),
    "parameters": decoded(Kind.PARAMS, line(1, "dbkey", '"hg38"')),
    "datasets": decoded(Kind.DATASETS, line(1, 2, "bam", -1, "in", "input") + line(1, 2, "gff3", 3, "a\tb", "output")),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_decoded_block_comes_back(block: Decoded) -> None:
    task = DecodeTask(Block(block.layout, 0, b""), 1, ())
    found = returned(task, block)
    assert same(found, block)
    one, other = Joiner(), Joiner()
    one.add(block)
    other.add(found)
    assert one.join()[0].frame(Job).equals(other.join()[0].frame(Job))


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
@pytest.mark.parametrize("data", [b"", b"1", b"\n"], ids=["nothing", "a byte", "an empty line"])
def test_a_block_of_hardly_anything_comes_back(kind: Kind, data: bytes) -> None:
    block = decoded(kind, data)
    assert same(returned(DecodeTask(Block(block.layout, 0, data), 1, ()), block), block)


@pytest.fixture(scope="module")
def blocks(sample: Path) -> list[Block]:
    """All blocks of an archive of each instance of the sample, so that no shape of archives is missing."""

    def read() -> Iterator[Block]:
        for instance in scan(sample).instances:
            reader = ArchiveReader(instance.archives[0].tar, Limits(block_bytes=BLOCK_BYTES))
            yield from (item for item in reader.blocks() if isinstance(item, Block))

    return list(read())


def test_blocks_of_archives_decode_elsewhere_as_here(blocks: list[Block]) -> None:
    results = []
    for number, block in enumerate(blocks):
        task = DecodeTask(block, number, WANTED)
        found = sent(task)
        assert found == task
        result = returned(found, found.run())
        assert same(result, redacted(decode(block, WANTED), Redaction())), task.place
        results.append(result)
    assert {result.layout.kind for result in results} >= {Kind.JOBS, Kind.METRIC_NUM, Kind.DATASETS}
    assert any(result.salvaged for result in results)
    assert any(result.rejects for result in results)


def test_a_task_brings_what_is_to_be_redacted() -> None:
    layout = BLOCKS["parameters"].layout
    redaction = Redaction(("a@b[.]org", "x"), ("token",))
    task = DecodeTask(Block(layout, 0, line(1, "title", "a@b.org")), 1, WANTED, redaction)
    found = sent(task)
    assert found == task
    assert returned(found, found.run()).texts["param"] == [("title", "[redacted]", None)]


def test_what_comes_back_may_be_written_to(blocks: list[Block]) -> None:
    task = DecodeTask(blocks[0], 1, ())
    for column in returned(task, task.run()).columns.values():
        column[:1] = column[:1]


def test_jobs_aggregate_elsewhere_as_here(blocks: list[Block]) -> None:
    joiner = Joiner(WANTED)
    for block in blocks:
        joiner.add(decode(block, WANTED))
    records, _ = joiner.join()
    for part in (records, records.part(5, 6), records.part(3, 200)):
        task = AggregateTask(tuple(discover()), {kind: part.tables[RECORDS[kind]] for kind in RECORDS}, SINCE)
        found = sent(task)
        assert isinstance(found, AggregateTask)
        assert (found.modules, found.since) == (task.modules, task.since)
        own = {kind: table.own_texts() for kind, table in task.tables.items()}
        assert pack_columns(found.tables) == pack_columns(own)
        assert all(array.flags.aligned for table in found.tables.values() for array in table.arrays.values())
        partials = returned(found, found.run())
        assert partials.keys() == discover().keys()
        for name, partial in task.run().items():
            assert packed(partials[name]) == packed(partial)


def packed(partial: Any) -> Any:
    """What is counted as bytes, each column with its own texts; parts as they are."""
    if isinstance(partial, list):
        return partial
    return pack_columns({name: columns.own_texts() for name, columns in partial.items()})


def test_every_kind_of_task_has_a_codec() -> None:
    tasks = {kind.name for kind in (DecodeTask, AggregateTask)}
    assert set(serialization._CODECS) == tasks


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_columns_are_not_among_the_values(block: Decoded) -> None:
    raw = serialization.pack_result(0, DecodeTask(Block(block.layout, 0, b""), 1, ()), block)
    assert len(received(raw).buffers) == len(block.columns)
