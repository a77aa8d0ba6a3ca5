"""Queries change nothing, and their results have their forms."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from calling import Answer, Call, query

from grt_batch.core.errors import QueryFailed
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import Query

# Forms.

ODD = """
-- name: odd()
-- Values of all types, with what may stand in a text.
SELECT
    E'a\\tb,"c"\\n\\\\\\r' AS text, E'\\x1b[31mé' AS colour, NULL::text AS nothing, '' AS empty, true AS truth,
    1234567890.10::numeric AS exact, 10::numeric(4, 2) AS whole, 9223372036854775808 AS large, 1.0 / 3 AS third,
    (2::float8 / 3) AS two_thirds, 1e6::float8 / 3 AS many, 'NaN'::float8 AS no_number, 'NaN'::numeric AS none_either,
    date '2024-02-29' AS day, timestamp '2024-02-29 01:02:03.5' AS moment, '{"a": [1, null]}'::jsonb AS document,
    ARRAY[1.5, 2] AS several;
"""


@pytest.fixture
def odd(own: Callable[[str], Path], database: str, call: Call) -> Callable[[str], Answer]:
    def asked(form: str) -> Answer:
        answer = call("query", "odd", "--sql", own(ODD), "--database", database, "--format", form)
        assert (answer.code, answer.err) == (0, "")
        return answer

    return asked


TEXTS = [
    'a\tb,"c"\n\\\r', "\x1b[31mé", "", "", "true", "1234567890.1", "10", "9223372036854775808",
    "0.33333333333333333333", "0.6666666666666666", "333333.3333333333", "nan", "NaN", "2024-02-29",
    "2024-02-29 01:02:03.500000", '{"a":[1,null]}', "[1.5,2]",
]  # fmt: skip


def test_csv_is_as_rfc_4180_has_it(odd: Callable[[str], Answer]) -> None:
    out = odd("csv").out
    assert out.count("\r\n") == 2
    assert out.endswith("\r\n")
    assert '"a\tb,""c""\n\\\r",' in out
    titles, row = csv.reader(io.StringIO(out, newline=""))
    assert titles[:3] == ["text", "colour", "nothing"]
    assert row == TEXTS


def test_tsv_is_as_the_reports_have_it(odd: Callable[[str], Answer]) -> None:
    out = odd("tsv").out
    titles, row = out.removesuffix("\n").split("\n")
    assert titles.split("\t")[:3] == ["text", "colour", "nothing"]
    assert row.split("\t") == ['a\\tb,"c"\\n\\\\\\r', *TEXTS[1:]]


def test_json_has_numbers_with_all_their_digits(odd: Callable[[str], Answer]) -> None:
    out = odd("json").out
    assert '"exact": 1234567890.1,' in out
    assert '"third": 0.33333333333333333333,' in out
    ((row),) = json.loads(out)
    assert row["text"] == TEXTS[0]
    assert (row["nothing"], row["empty"], row["truth"]) == (None, "", True)
    assert (row["whole"], row["large"], row["no_number"], row["none_either"]) == (10, 2**63, None, None)
    assert (row["day"], row["moment"]) == ("2024-02-29", "2024-02-29T01:02:03.500000")
    assert (row["document"], row["several"]) == ({"a": [1, None]}, [1.5, 2])


def test_a_table_is_rounded_and_does_nothing_to_the_terminal(odd: Callable[[str], Answer]) -> None:
    titles, row = odd("table").out.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", titles)]
    cells = [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
    assert cells[:8] == ['a\\tb,"c"\\n\\\\\\r', "\\x1b[31mé", "", "", "true", "1234567890", "10", TEXTS[7]]
    assert cells[8:] == ["0.3333", "0.6667", "333333", "nan", "NaN", *TEXTS[13:14], "2024-02-29 01:02:03", *TEXTS[15:]]


def test_a_long_text_is_shortened_in_a_table_alone(call: Call, own: Callable[[str], Path], database: str) -> None:
    arguments = ["query", "own", "--sql", own("-- name: own()\n-- Long.\nSELECT repeat('é', 101) AS a")]
    assert call(*arguments, "--database", database).out == f"a\n{'é' * 99}…\n"
    assert call(*arguments, "--database", database, "--format", "tsv").out == f"a\n{'é' * 101}\n"


@pytest.mark.parametrize(
    ("form", "out"),
    [("table", "no rows (a, b)\n"), ("tsv", "a\tb\n"), ("csv", "a,b\r\n"), ("json", "[]\n")],
)
def test_no_rows_are_said_to_be_none(
    call: Call, own: Callable[[str], Path], database: str, form: str, out: str
) -> None:
    folder = own("-- name: none()\n-- Nothing.\nSELECT 1 AS a, 2 AS b WHERE false")
    assert call("query", "none", "--sql", folder, "--database", database, "--format", form) == Answer(0, out, "")


# The ids of tools.

BWA = "toolshed.g2.bx.psu.edu/repos/iuc/bwa_mem2/bwa_mem2"
SRA = "toolshed.g2.bx.psu.edu/repos/iuc/sra_tools/" + "x" * 100
TOOLS = f"""
-- name: tools()
-- Which tools?
SELECT * FROM (VALUES ('{BWA}/1', '1', 1), ('{BWA}/2', '2', 2), ('{SRA}', NULL, 3), ('Cut1', '1', 4), (NULL, '', 5))
AS t (tool_id, tool_version, jobs);
"""


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["iuc/bwa_mem2", "iuc/bwa_mem2", f"iuc/{SRA[-100:]}", "Cut1", ""]),
        (["--full-ids"], [f"{BWA}/1", f"{BWA}/2", SRA, "Cut1", ""]),
        (["--short"], ["iuc/bwa_mem2/bwa_mem2/1", "iuc/bwa_mem2/bwa_mem2/2", SRA[29:], "Cut1", ""]),
    ],
)
def test_a_table_cuts_ids_unless_they_are_wanted_in_full(
    call: Call, own: Callable[[str], Path], database: str, options: list[str], ids: list[str]
) -> None:
    lines = call("query", "tools", "--sql", own(TOOLS), "--database", database, *options).out.splitlines()
    assert lines[0].split() == ["tool_id", "tool_version", "jobs"]
    assert [line[: lines[0].index("tool_version")].strip() for line in lines[1:]] == ids


@pytest.mark.parametrize("form", ["tsv", "csv", "json", "influx"])
def test_other_formats_have_ids_in_full(call: Call, own: Callable[[str], Path], database: str, form: str) -> None:
    asked = ["query", "tools", "--sql", own(TOOLS), "--database", database, "--format", form]
    full = call(*asked)
    assert full.out.count("toolshed.g2.bx.psu.edu/repos/") == 3
    assert call(*asked, "--full-ids") == full
    assert call(*asked, "--short").out == full.out.replace("toolshed.g2.bx.psu.edu/repos/", "")


def test_an_id_alone_is_told_apart_by_its_version(call: Call, own: Callable[[str], Path], database: str) -> None:
    sql = f"-- name: own()\n-- Which?\nSELECT * FROM (VALUES ('{BWA}/1'), ('{BWA}/2'), ('{BWA}/2')) AS t (tool_id)"
    out = call("query", "own", "--sql", own(sql), "--database", database).out
    assert out.split() == ["tool_id", "iuc/bwa_mem2/1", "iuc/bwa_mem2/2", "iuc/bwa_mem2/2"]


# The database.


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM grt.tool RETURNING tool_id",
        "WITH gone AS (DELETE FROM grt.tool RETURNING *) SELECT * FROM gone",
        "CREATE TABLE mine AS SELECT 1",
    ],
)
def test_a_query_changes_nothing(call: Call, own: Callable[[str], Path], database: str, sql: str) -> None:
    query(database, "CREATE SCHEMA grt; CREATE TABLE grt.tool AS SELECT 'a' AS tool_id")
    answer = call("query", "own", "--sql", own(f"-- name: own()\n-- Break it.\n{sql};"), "--database", database)
    assert (answer.code, answer.out) == (4, "")
    assert "read-only transaction" in answer.complaint
    assert query(database, "SELECT count(*) FROM grt.tool") == [(1,)]


def test_a_query_sees_the_tables_of_one_run(database: str) -> None:
    sql = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    assert answers.ask(database, Query("own", "?", (), sql, Path()), {}).rows == [("repeatable read", "on")]


@pytest.mark.parametrize("sql", ["SELECT nothing", "SELEC 1", "SET work_mem = '1MB'", "SELECT 1 / 0"])
def test_wrong_sql_ends_with_4_and_a_line(call: Call, own: Callable[[str], Path], database: str, sql: str) -> None:
    answer = call("query", "own", "--sql", own(f"-- name: own()\n-- Wrong.\n{sql}"), "--database", database)
    assert (answer.code, answer.out) == (4, "")
    assert " own: " in answer.complaint


def test_the_limits_of_the_user_hold_for_queries(database: str) -> None:
    query(database, "CREATE SCHEMA own; CREATE TABLE own.mine AS SELECT 7 AS n")
    url = psycopg2.extensions.make_dsn(database, options="-c search_path=own")
    assert answers.ask(url, Query("own", "?", (), "SELECT n FROM mine", Path()), {}).rows == [(7,)]
    url = psycopg2.extensions.make_dsn(database, options="-c statement_timeout=500")
    with pytest.raises(QueryFailed, match="statement timeout") as raised:
        answers.ask(url, Query("own", "?", (), "SELECT count(*) FROM generate_series(1, 1e10)", Path()), {})
    assert raised.value.exit_code == 4


def test_the_error_names_what_the_database_said(database: str) -> None:
    with pytest.raises(QueryFailed) as raised:
        answers.ask(database, Query("own", "?", (), "SELECT 1 / 0", Path()), {})
    assert raised.value.query == "own"
    assert "division by zero" in str(raised.value.what)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (Decimal("10.00"), "10"),
        (Decimal("100"), "100"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.1"),
        (1e16, "10000000000000000"),
        (1.5e-6, "0.0000015"),
        (1e21, "1e+21"),
        (2.0, "2"),
        (-0.0, "0"),
        (-0.5, "-0.5"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1), "2024-02-29 01:00:00.000000"),
        ({"a": [Decimal("1.50"), None]}, '{"a":[1.5,null]}'),
        ("a\tb", "a\tb"),
    ],
    ids=repr,
)
def test_a_cell_has_all_digits(value: Any, text: str) -> None:
    assert answers.cell_text(value) == text


def test_the_tables_of_a_query_are_named_once() -> None:
    sql = "SELECT grt.tool.name FROM grt.tool JOIN grt.tool_usage USING (tool_id), grt_public.instance, mygrt.other"
    assert answers.tables_of(Query("own", "?", (), sql, Path())) == ["tool", "tool_usage"]
