"""The command that runs the ready queries."""

from __future__ import annotations

import pytest
from calling import NOWHERE, Call
from places import ROOT

from grt_batch.core.errors import BadDatabaseUrl, DatabaseUnreadable, NoTable, UnknownQuery
from grt_batch.queries.definitions import read

QUERIES = read(ROOT / "config" / "sql")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["tool-metrics"],
            "tool is missing: part of the tool's id. Its parameters are: tool, version=*, metric=all",
        ),
        (["tool-usage", "--param", "tol=x"], "it has no parameter 'tol'"),
        (["tool-usage", "--param", "period=31d"], "period is all or 30d or 7d, not '31d'"),
        (["tool-usage", "--param", "limit=-1"], "limit is a whole number from 0, not '-1'"),
        (["tool-usage", "--param", "limit=1.5"], "limit is a whole number from 0"),
        (["tool-usage", "--param", "limit=²"], "limit is a whole number from 0"),
        (["tool-usage", "--param", f"limit={2**63}"], "limit is a whole number from 0"),
        (["tool-usage", "--param", f"limit={'9' * 5000}"], "limit is a whole number from 0"),
        (
            ["tool-usage", "--param", "tool=\udcff"],
            "tool is any part of the id of a tool",
        ),
        (["instances-with-tools", "--param", "tools= ,"], "tools is texts separated by commas, not ' ,'"),
        (["tool-usage", "--param", "limit"], "--param 'limit' is not NAME=VALUE"),
        (["tool-usage", "--param", "limit=1", "--param", "limit=2"], "--param limit is given twice"),
        (["tool-usge"], "There is no query 'tool-usge'. Did you mean tool-usage or "),
        (["tool_usge"], "There is no query 'tool_usge'. Did you mean tool-usage or "),
        (["xyz"], str(UnknownQuery(name="xyz"))),
        (["--list", "nothing"], "There is no query 'nothing'."),
        (["tool-usage", "--format", "xml"], "'xml' is not one of"),
        (["tool-usage", "--full-ids", "--short"], "--full-ids and --short exclude each other"),
        (["tool-usage", "--no-version", "--param", "version=each"], "--param version is given twice"),
        (["total-jobs", "--no-version"], "it has no parameter 'version'"),
        (["tools-usage-per-month", "--param", "endmonth=2024"], "endmonth is a month as YYYY-MM, or empty, not '2024'"),
        ([], "it needs the name of a query"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_wrong_question_ends_with_2_and_a_line(call: Call, arguments: list[str], said: str) -> None:
    answer = call("query", *arguments, "--database", NOWHERE)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.complaint


def test_a_name_may_have_underscores(call: Call) -> None:
    assert call("query", "--list", "tool_usage") == call("query", "--list", "tool-usage")


def test_the_list_says_all(call: Call) -> None:
    answer = call("query", "--list")
    assert (answer.code, answer.err) == (0, "")
    for found in QUERIES.values():
        assert f"{found.name}: {found.question}\n" in answer.out
    one = call("query", "--list", "instances-with-tools").out.splitlines()
    assert [line.split(maxsplit=2) for line in one[1:]] == [
        ["tools", "list", "ids or short names, separated by commas"],
        ["period=all", "all|30d|7d", "all jobs, or those of the last 30 or 7 days"],
    ]


def test_before_the_first_run_that_is_said(call: Call, database: str) -> None:
    answer = call("query", "tool-usage", "--database", database)
    assert (answer.code, answer.out) == (4, "")
    assert answer.complaint == str(NoTable(tables="tool_usage", query="tool-usage"))


@pytest.mark.parametrize("url", [NOWHERE, "postgresql://127.0.0.1:1/none", "no dsn"])
def test_an_unreachable_database_ends_with_4(call: Call, url: str) -> None:
    answer = call("query", "tool-usage", "--database", url)
    assert (answer.code, answer.out) == (4, "")
    assert answer.complaint.endswith((BadDatabaseUrl if url == "no dsn" else DatabaseUnreadable).remedy)
