"""Advice as rows."""

from __future__ import annotations

import json
from dataclasses import replace

from evidence import BWA, evidence, needed, version

from grt_batch.advice.advice import Settled, advise
from grt_batch.advice.listing import as_json, as_tsv, differences, effect
from grt_batch.advice.rule import Memory, Rule

GROWING = tuple(needed(4.0 * 2**bit, 25, 2.0**bit) for bit in range(-3, 4))
ADVICES = advise(
    [
        replace(
            evidence(GROWING, given=36, cores=16, efficiency=0.25),
            versions=(version("9", 64, 20), version("8", 30, 155)),
        ),
        evidence([needed(1, 19)], "few\tjobs", given=None),
        evidence([needed(20, 20, killed=5)], "sort", given=16.125),
    ],
    Rule(),
)


def test_tsv_has_a_line_for_each_tool() -> None:
    names, *lines = (line.split("\t") for line in as_tsv(ADVICES).decode().splitlines())
    bwa, few, sort = (dict(zip(names, line, strict=True)) for line in lines)
    assert bwa == {
        "tool_id": BWA, "why_not": "", "servers": "3", "jobs": "175", "killed": "0", "peak_gib": "32",
        "mem_before": "36", "mem": "36.8", "mem_by_size": "0:12 4:18.4 8:36.8", "mem_by_version": "9:73.6",
        "cores_before": "16", "cores": "6",
        "killed_share_before": "0", "killed_share": "0", "gib_hours_before": "6300", "gib_hours": "2880",
        "worth_a_change": "true",
    }  # fmt: skip
    assert (few["tool_id"], few["why_not"], few["mem"], few["mem_before"]) == (r"few\tjobs", "too few jobs", "", "")
    assert (sort["mem_before"], sort["mem"], sort["killed"], sort["killed_share_before"]) == ("16.12", "27.6", "5", "1")


def test_json_says_the_same() -> None:
    bwa, few, _ = json.loads(as_json(ADVICES))
    assert bwa["mem_by_version"] == [["9", 73.6]]
    assert (bwa["mem_by_size"], bwa["cores"]) == ([[0, 12], [4, 18.4], [8, 36.8]], 6)
    assert (few["tool_id"], few["mem"], few["mem_by_size"]) == ("few\tjobs", None, [])


def test_the_largest_effect_comes_first() -> None:
    bwa, few, sort = ADVICES
    assert sort.memory
    changes = [
        ("sort", sort, Settled(sort.memory)),
        ("bwa", bwa, Settled(bwa.memory, 6)),
        ("few", few, Settled(None, 1)),
    ]
    titles, lines = differences(changes)
    assert [dict(zip(titles, line, strict=True)) for line in lines] == [
        {"tool": "bwa", "jobs": "175", "killed": "0", "mem (GiB)": "36 -> 12 to 73.6", "cores": "16 -> 6",
         "% killed by": "0.0 -> 0.0", "GiB hours": "6300 -> 2880", "saved": "3420"},
        {"tool": "sort", "jobs": "20", "killed": "5", "mem (GiB)": "16.12 -> 27.6", "cores": "",
         "% killed by": "100.0 -> 0.0", "GiB hours": "322.5 -> 552", "saved": "-229.5"},
        {"tool": "few", "jobs": "19", "killed": "0", "mem (GiB)": "?", "cores": "", "% killed by": "",
         "GiB hours": "", "saved": ""},
    ]  # fmt: skip
    assert effect(changes) == (6300 + 322.5, 2880 + 552)
    assert effect([("new", few, Settled(Memory(4)))]) == (0, 0)
