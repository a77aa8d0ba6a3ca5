"""Documents say what the tables say, of each instance, tool and version, and have ids that stay."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from small_sets import TABLES, write_rows

from grt_batch.documents.documents import MOST_PARAMS, MOST_VALUES, document_id, documents
from grt_batch.documents.mapping import columns_of
from grt_batch.documents.set_rows import HISTOGRAM, METRIC, PARAM, USAGE, VALUE, SetRows
from grt_batch.pages.report_tables import ReportTables
from grt_batch.sample import UNTIL
from grt_batch.sinks.public_views import Threshold

Key = tuple[str, str, str]


def read(folder: Path) -> dict[Key, dict[str, Any]]:
    """The documents in the files of a folder, by what they are about."""
    lines = [line for file in sorted(folder.glob("*.ndjson")) for line in file.read_text().splitlines()]
    found = [json.loads(line, parse_int=float) for line in lines[1::2]]
    assert [json.loads(line) for line in lines[::2]] == [
        {"index": {"_index": "grt-tools", "_id": "|".join(key_of(document))}} for document in found
    ]
    assert len(lines) == 2 * len(found)
    return {key_of(document): document for document in found}


def key_of(document: dict[str, Any]) -> Key:
    return document["instance_id"], document["tool_id"], document["tool_version"]


def same(name: str, value: Any) -> Any:
    """A value of a table, as a document has it."""
    if name in ("first_job", "last_job"):
        return f"{value.replace(' ', 'T')}Z"
    return float(value) if type(value) is int else value


def expected(tables: ReportTables) -> dict[Key, dict[str, Any]]:
    """What documents must say, put together row by row."""
    documents: dict[Key, dict[str, Any]] = {}

    def rows(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        found = tables.rows(name, columns=TABLES[name].schema.names()).to_dicts()
        columns = [column.name for column in columns_of(TABLES[name])]
        return [(row, {it: same(it, row[it]) for it in columns if row[it] is not None}) for row in found]

    for row, said in rows(USAGE):
        document = documents.setdefault((row["instance_id"], row["tool_id"], row["tool_version"]), {"usage": {}})
        document["usage"][row["period"]] = said
    for row, said in rows(METRIC):
        document = documents[row["instance_id"], row["tool_id"], row["tool_version"]]
        document.setdefault("metrics", {}).setdefault(row["metric"], {})[row["period"]] = said
    for row, said in rows(HISTOGRAM):
        document = documents[row["instance_id"], row["tool_id"], row["tool_version"]]
        document.setdefault("histograms", {}).setdefault(row["metric"], []).append(said)
    values = defaultdict(list)
    for row, said in rows(VALUE):
        values[row["tool_id"], row["tool_version"], row["name"]].append(said)
    for row, said in rows(PARAM):
        theirs = sorted(values[row["tool_id"], row["tool_version"], row["name"]], key=lambda it: -it["jobs"])
        if theirs:
            document = documents["*", row["tool_id"], row["tool_version"]]
            document.setdefault("params", []).append({**said, "values": theirs[:MOST_VALUES]})
    for document in documents.values():
        if "params" in document:
            document["params"] = sorted(document["params"], key=lambda it: -it["jobs"])[:MOST_PARAMS]
    return documents


@pytest.mark.parametrize("private", [False, True])
def test_they_say_what_the_tables_say(report_set: Path, made: Path, made_private: Path, private: bool) -> None:
    tables = ReportTables(report_set, TABLES.values(), Threshold(), private=private)
    found = read(made_private if private else made)
    right = expected(tables)
    assert list(found) == sorted(right)
    for key, document in found.items():
        said = {name: document[name] for name in ("usage", "metrics", "histograms", "params") if name in document}
        assert said == right[key]
    assert any("params" in document for document in found.values())


def test_a_private_instance_is_seen_in_all_together_only(made: Path, made_private: Path) -> None:
    public, private = ({key[0] for key in read(folder)} for folder in (made, made_private))
    assert "*" in public < private


def test_what_a_document_is_about(tmp_path: Path) -> None:
    write_rows(tmp_path, "instance", {"instance_id": "x", "public": True})
    shed = "toolshed.g2.bx.psu.edu/repos/iuc/bwa_mem2/bwa_mem2"
    tools = ((shed, "*"), (f"{shed}/2.2", "2.2"), ("Cut1", ""))
    usage = {"instance_id": "x", "period": "all", "jobs": 1}
    write_rows(tmp_path, USAGE, *({**usage, "tool_id": tool, "tool_version": version} for tool, version in tools))
    with SetRows(tmp_path, TABLES.values(), Threshold()) as rows:
        found = [(json.loads(action), json.loads(document)) for action, document in documents(rows, UNTIL)]
    assert [action["index"]["_id"] for action, _ in found] == ["x|Cut1|", f"x|{shed}|*", f"x|{shed}/2.2|2.2"]
    parts = {"shed": "toolshed.g2.bx.psu.edu", "owner": "iuc", "repository": "bwa_mem2", "name": "bwa_mem2"}
    head = {"instance_id": "x", "as_of": UNTIL.isoformat()}
    assert [document for _, document in found] == [
        {**head, "tool_id": tool, "tool_version": version, "tool": of, **about, "usage": {"all": {"jobs": 1}}}
        for tool, version, of, about in (
            ("Cut1", "", "Cut1", {"name": "Cut1"}),
            (shed, "*", shed, parts),
            (f"{shed}/2.2", "2.2", shed, parts),
        )
    ]


def test_ids_are_short_and_never_the_same() -> None:
    odd = [("x", "a|b", "c"), ("x", "a", "b|c"), ("x", "a" * 600, ""), ("x", "é" * 255, ""), ("x", "a\nb", "c")]
    ids = [document_id(*key) for key in odd]
    assert all(it.startswith("sha256:") and len(it) == 71 for it in ids)
    assert len(set(ids)) == len(odd)
    assert document_id("*", "é" * 254, "") == f"*|{'é' * 254}|"


def test_a_set_without_usage_has_none(tmp_path: Path) -> None:
    with SetRows(tmp_path, TABLES.values(), Threshold()) as rows:
        assert list(documents(rows, UNTIL)) == []
