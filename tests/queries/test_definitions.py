"""Queries take their parameters, have their forms and change nothing; their files are found and read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import NOWHERE, Answer, Call, query
from places import ROOT

from grt_batch.core.errors import BadParameter, BadQueries, DatabaseRefused, NoTable, QueryFailed, UnknownQuery
from grt_batch.queries import definitions as queries
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import Parameter, Query, read

FOLDER = ROOT / "config" / "sql"
QUERIES = read(FOLDER)


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a folder with queries of one's own."""

    def write(text: str, name: str = "own.sql") -> Path:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_text(text, encoding="utf-8")
        return tmp_path / "own"

    return write


# Their parameters.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["tool-metrics"],
            "tool is missing: part of the tool's id. Its parameters are: tool, metric=all",
        ),
        (["tool-usage", "--param", "tol=x"], "cannot be asked: it has no parameter 'tol'"),
        (["tool-usage", "--param", "period=31d"], "period is all or 30d or 7d, not '31d'"),
        (["tool-usage", "--param", "limit=-1"], "limit is a whole number from 0, not '-1'"),
        (["tool-usage", "--param", "limit=1.5"], "limit is a whole number from 0"),
        (["tool-usage", "--param", "limit=²"], "limit is a whole number from 0"),
        (["tool-usage", "--param", f"limit={2**63}"], "limit is a whole number from 0"),
        (["tool-usage", "--param", f"limit={'9' * 5000}"], "limit is a whole number from 0"),
        (["tool-usage", "--param", "tool=\udcff"], "tool is any text, not '\\udcff'"),
        (["instances-with-tools", "--param", "tools= ,"], "tools is texts with commas between, not ' ,'"),
        (["tool-usage", "--param", "limit"], "--param 'limit' is not NAME=VALUE"),
        (["tool-usage", "--param", "limit=1", "--param", "limit=2"], "--param limit stands twice"),
        (["tool-usge"], "There is no query 'tool-usge'. grt-batch query --list shows those that there are."),
        (["--list", "nothing"], "There is no query 'nothing'"),
        (["tool-usage", "--format", "xml"], "'xml' is not one of"),
        ([], "name a query; grt-batch query --list shows them"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_wrong_question_ends_with_2_and_a_line(call: Call, arguments: list[str], said: str) -> None:
    answer = call("query", *arguments, "--database", NOWHERE)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.complaint


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "", ""),
        ("text", "a = 'b'", "a = 'b'"),
        ("list", "a, b ,,c d", ["a", "b", "c d"]),
        ("count", "007", 7),
        ("number", "-1.5e3", -1500.0),
        ("date", "2024-02-29", "2024-02-29"),
        ("a|b", "b", "b"),
    ],
)
def test_a_parameter_comes_to_the_database(database: str, kind: str, text: str, value: object) -> None:
    parameter = Parameter("it", kind, None, "it")
    asked = Query("own", "?", (parameter,), "SELECT %(it)s", Path("own.sql"))
    ((got,),) = answers.ask(database, asked, asked.values({"it": text})).rows
    assert (str(got) if kind == "date" else got) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text", "a\0b"),
        ("list", ""),
        ("list", "a\0b"),
        ("count", ""),
        ("number", "nan"),
        ("number", "inf"),
        ("number", ""),
        ("date", "2024-02-30"),
        ("a|b", "a|b"),
        ("a|b", ""),
    ],
)
def test_a_parameter_of_another_kind_is_refused(kind: str, text: str) -> None:
    asked = Query("own", "?", (Parameter("it", kind, None, "it"),), "", Path("own.sql"))
    with pytest.raises(BadParameter) as raised:
        asked.values({"it": text})
    assert raised.value.query == "own"
    assert str(raised.value.what).startswith("it is ")


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


def test_before_the_first_run_that_is_said(call: Call, database: str) -> None:
    answer = call("query", "tool-usage", "--database", database)
    assert (answer.code, answer.out) == (4, "")
    assert answer.complaint == str(NoTable(tables="tool_usage", query="tool-usage"))


@pytest.mark.parametrize("url", [NOWHERE, "postgresql://127.0.0.1:1/none", "no dsn"])
def test_an_unreachable_database_ends_with_4(call: Call, url: str) -> None:
    answer = call("query", "tool-usage", "--database", url)
    assert (answer.code, answer.out) == (DatabaseRefused.exit_code, "")
    assert answer.complaint.endswith(DatabaseRefused.remedy)


def test_the_error_names_what_the_database_said(database: str) -> None:
    with pytest.raises(QueryFailed) as raised:
        answers.ask(database, Query("own", "?", (), "SELECT 1 / 0", Path()), {})
    assert raised.value.query == "own"
    assert "division by zero" in str(raised.value.what)


# The files.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no *.sql file"),
        ("-- name: a()\n-- Why?\n", "empty sql"),
        ("-- name: a b()\n-- Why?\nSELECT 1", "invalid query name"),
        ("-- name: a()\nSELECT 1", "a: no comment says what it answers"),
        ("-- name: a(x)\n-- Why?\nSELECT :x", "a: its comments describe the parameters [], but its SQL has ['x']"),
        ("-- name: a()\n-- Why?\n-- :x text  it\nSELECT 1", "describe the parameters ['x'], but its SQL has []"),
        ("-- name: a(x)\n-- Why?\n-- :x text  it\n-- :x text  it\nSELECT :x", "describe the parameters ['x', 'x']"),
        ("-- name: a(x)\n-- Why?\n-- :x text = it\nSELECT :x", "':x text = it' is not of the form :name kind = default"),
        (
            "-- name: a(x)\n-- Why?\n-- :x txt  it\nSELECT :x",
            "'txt' is not a kind of parameter",
        ),
        ("-- name: a(x)\n-- Why?\n-- :x count = b  it\nSELECT :x", "the default of x is not a whole number from 0"),
        ("-- name: a()\n-- Why?\nSELECT 1 % 2", "a: write a percent sign as %%"),
        ("-- name: a()\n-- Why?\nSELECT 1\n-- name: a()\n-- Why?\nSELECT 2", "cannot override"),
    ],
)
def test_a_wrong_file_ends_with_2_and_a_line(call: Call, own: Callable[[str], Path], text: str, said: str) -> None:
    answer = call("query", "--list", "--sql", own(text))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.complaint


def test_a_file_that_is_no_text_is_named(own: Callable[[str], Path]) -> None:
    (own("") / "own.sql").write_bytes(b"\xff")
    with pytest.raises(BadQueries) as raised:
        read(own("", "other.sql"))
    assert raised.value.file.name == "own.sql"


def test_a_name_stands_once(own: Callable[[str, str], Path]) -> None:
    text = "-- name: a()\n-- Why?\nSELECT 1"
    own(text, "one.sql")
    with pytest.raises(BadQueries) as raised:
        read(own(text, "two.sql"))
    assert raised.value.file.name == "two.sql"
    assert "one.sql" in str(raised.value.what)


def test_a_percent_sign_and_a_name_that_ends_with_cursor_are_kept(own: Callable[[str], Path], database: str) -> None:
    found = read(own("-- name: a-cursor()\n-- Why?\nSELECT 7 %% 4 AS rest"))
    assert list(found) == ["a-cursor"]
    assert answers.ask(database, found["a-cursor"], {}).rows == [(3,)]


def test_an_unknown_query_is_no_other() -> None:
    with pytest.raises(UnknownQuery):
        queries.find_query(QUERIES, "tool")


def test_the_files_are_beside_the_configuration_or_came_with_the_program(
    call: Call, own: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`call` has us in a folder without a configuration."""
    assert queries.queries_folder(None) == FOLDER
    (tmp_path / "grt_batch.toml").touch()
    assert queries.queries_folder(tmp_path / "grt_batch.toml") == FOLDER
    own("-- name: mine()\n-- Why?\nSELECT 1").rename(tmp_path / "sql")
    assert queries.queries_folder(tmp_path / "grt_batch.toml") == tmp_path / "sql"
    assert call("query", "--list", "--config", tmp_path / "grt_batch.toml").out == "mine: Why?\n"
    assert queries.queries_folder(tmp_path / "grt_batch.toml", FOLDER) == FOLDER
    (tmp_path / "config").mkdir()
    for name in ("sql", "grt_batch.toml"):
        (tmp_path / name).rename(tmp_path / "config" / name)
    monkeypatch.chdir(tmp_path)
    assert queries.queries_folder(None) == Path("config/sql")
