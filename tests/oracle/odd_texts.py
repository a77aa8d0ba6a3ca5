"""Lines that the exporter broke, and parameters in every shape."""

from __future__ import annotations

import json
from typing import Any

from writing import Archive

from grt_batch.schema.members import Kind

SHED = "shed.example.org/repos/owner/repository/tool/1.0"
REFERENCE: dict[str, Any] = {"src": "hda", "id": 5}
VALUES: tuple[object, ...] = (
    "text", "", "null", None, True, 7, 1e-05, [], {}, [1, "two", None], {"b": 1, "a": {"c": [2]}}, "[1", '"', "1.50",
    {"p": "inner"}, {"p": {"p": "null"}}, {"p": None}, {"p": 1, "q": 2}, [{"p": 1}], '{"a": 1}', {"n": 1.5}, "\0",
    [{"e": None}, {"e": ""}],
    "x" * 1025, "é" * 512, "é" * 513, "\U0001f600 é", "a\tb\nc\\d", REFERENCE, [REFERENCE], {"values": [REFERENCE]},
    {"values": []}, {"values": [7]}, [REFERENCE, 7], {"src": 1, "id": 2}, "/home/someone/x", {"b": ["/Users/someone"]},
    "some.one@example.org", "x" * 1010 + " some.one@example.org",
    {"c": {"sel": "a", "__current_case__": 1, "in": REFERENCE, "x": [7, "é"]}, "chromInfo": "/x", "e": {}, "n": None},
    [{"__index__": 0, "in": {"values": [REFERENCE]}, "w": "3"}, {"__index__": 1, "in": None, "w": "3"}, "z", [1]],
    {"t": '{"a": 1}', "r": str([REFERENCE]), "m@x.org": "some.one@example.org", "k" * 600: {"d": 1}},
    [[{"a": True}], [REFERENCE, {"values": [REFERENCE]}]], {"": {"a|b": {"__x": 1}, "null": "null"}}, str(REFERENCE),
)  # fmt: skip
BARE = ("bare text", "None", "null", '"null"', "1.50", "18446744073709551616", '"\\ud800"', "NaN", "[NaN]", "")


def add_lines(archive: Archive) -> None:
    """Lines that the exporter broke, and jobs that come again."""
    older = 900_000
    archive.add(Kind.JOBS, older, "measured", "2.0", "deleted", "2024-06-01 10:00:00")
    archive.add(Kind.JOBS, older + 1, "other", "2.0", "ok", "None")
    archive.add(Kind.METRIC_NUM, older + 1, "core", "runtime_seconds", "7.5000000")
    time = "2024-06-02 00:00:00"
    for fields in (
        (1, SHED, 2, 3, "joined", "1", "ok", time), (4, 5, "joined", "1", "ok", time), (6, "a", "tab", "1", "ok", time),
        (7, "few", "1", "ok"), ("x", "tool", "1", "ok", time), (8, "tool", "1", "ok", "2024-02-30 00:00:00"), (9,),
        (10, "tool", "1", "ok", "2024-02-29 00:00:00.5"), (), ("", "tool", "1", "ok", time),
    ):  # fmt: skip
        archive.add(Kind.JOBS, *fields)
    for fields in (
        (3, "core", 5, "core", "runtime_seconds", "3.0000000"), (5, "core", "a", "b", "1.0"), (5, "core", "x", "word"),
        (10, "core", "runtime_seconds", "1e1"), (10, "core", "galaxy_slots", ".5"), (10, "core", "y", ""),
    ):  # fmt: skip
        archive.add(Kind.METRIC_NUM, *fields)
    for fields in (
        (10, 1, "bam", 5, "a", "b", "c", "input"), (10, 1, "bam", 10, 2, "txt", 7, "x", "output"),
        (10, "one", "bam", 5, "x", "input"), (10, 3, "bam", 5, "x", "sideways"), (10, 4, "bam", "5.0", "x", "input"),
    ):  # fmt: skip
        archive.add(Kind.DATASETS, *fields)
    archive.add(Kind.PARAMS, 10, "name", "a", "tab")
    archive.add(Kind.PARAMS, 10, 5, "joined", '"\\"1\\""')
    archive.add(Kind.METRIC_TXT, 10, "env", "PATH", "/bin")


def add_params(archive: Archive) -> None:
    """Every value in every shape, more values than are kept, and values that name datasets."""
    for number in range(700, 1300):
        archive.job("many", "error" if number % 3 else "ok", params={"n": f"{number}", "m": "1"})
    for value in VALUES:
        once = json.dumps(value)
        shapes = (json.dumps({"p": value}), json.dumps(once), json.dumps(json.dumps({"p": once})), once)
        for shape in (*shapes, json.dumps(json.dumps({"p": value}))):
            archive.job("params", "ok", params={"p": shape})
        archive.job("params", "error", params={"p": once})
    for text in BARE:
        archive.job("params", "paused", params={"p": text, "q": text})
    for value in ("hunter2", "", None, {"deep": 1}):
        archive.job("params", params={"section|password": json.dumps(json.dumps(value))})
    job = archive.job("params", inputs=[1, 2], params={"input": f"{100 * archive.next_id + 1}", "other": "5"})
    archive.add(Kind.PARAMS, job, "other", "6")
    both = f"{100 * archive.next_id + 1}, {100 * archive.next_id + 2}"
    archive.job("params", inputs=[1, 2], params={"input": f'"[{both}]"'})
    archive.job("params", inputs=[1], params={"input": f"{100 * archive.next_id + 2}"})
    deep: object = {"leaf": 1, "b": [1]}
    for _ in range(18):
        deep = {"k": deep}
        archive.job("params", params={"deep": json.dumps(deep)})
    job = archive.job("params", params={"__page__": "1", "c": "{}", "chromInfo": "x"})
    repeat = [{"in": 7}, {"in": "8"}, {"in": 9}, {"in": REFERENCE}]
    archive.add(Kind.PARAMS, job, "c", json.dumps({"q": repeat, "in": "[7, 8]", "__page__": 2}))
    for identity, name in ((7, "c|q_0|in"), (8, "c|q_1|in2"), (7, "c|in1"), (8, "c|in2")):
        archive.add(Kind.DATASETS, job, identity, "bam", 1, name, "input")
