"""Queries take their parameters; their files are found and read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Call
from places import ROOT

from grt_batch.core.errors import BadParameter, BadQueries, UnknownQuery
from grt_batch.queries import definitions as queries
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import Parameter, Query, read

FOLDER = ROOT / "config" / "sql"
QUERIES = read(FOLDER)


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
        ("version", "2.2.1+galaxy1", "2.2.1+galaxy1"),
        ("month", "2024-02", "2024-02"),
        ("month", "", None),
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
        ("tool", "a\0b"),
        ("version", "\udcff"),
        ("month", "2024-13"),
        ("month", "2024-1"),
        ("month", "2024-W01"),
        ("month", "２０２４-01"),  # noqa: RUF001
    ],
)
def test_a_parameter_of_another_kind_is_refused(kind: str, text: str) -> None:
    asked = Query("own", "?", (Parameter("it", kind, None, "it"),), "", Path("own.sql"))
    with pytest.raises(BadParameter) as raised:
        asked.values({"it": text})
    assert raised.value.query == "own"
    assert str(raised.value.what).startswith("it is ")


@pytest.mark.parametrize(
    ("part", "tool_id", "is_part"),
    [
        ("", "Cut1", True),
        ("cUT", "Cut1", True),
        ("É", "é", True),
        ("c.t", "Cut1", False),
        ("***:C", "Cut1", False),
        ("a+b(c)[d]{2}\\e^$|f #", "a+b(c)[d]{2}\\e^$|f #", True),
        ("iuc/fastq_dump", "toolshed/repos/iuc/sra_tools/fastq_dump", True),
        ("toolshed/iuc/fastq_dump", "toolshed/repos/iuc/sra_tools/fastq_dump", True),
        ("iuc/sra_tools/fastq_dump/2", "toolshed/repos/iuc/sra_tools/fastq_dump/2.1", True),
        ("repos/fastq_dump", "toolshed/repos/iuc/sra_tools/fastq_dump", False),
        ("sra/tools", "toolshed/repos/iuc/sra_tools/fastq_dump", False),
    ],
)
def test_a_tool_is_found_by_a_part_of_its_id(database: str, part: str, tool_id: str, is_part: bool) -> None:
    asked = Query(
        "own", "?", (Parameter("it", "tool", None, "it"),), f"SELECT $${tool_id}$$ ~* %(it)s", Path("own.sql")
    )
    assert answers.ask(database, asked, asked.values({"it": part})).rows == [(is_part,)]


def test_tags_are_no_part_of_the_question(own: Callable[[str], Path]) -> None:
    found = read(own("-- name: a()\n-- Why\n-- tags: b, c\n-- and how?\nSELECT 1\n-- name: d()\n-- Who?\nSELECT 1"))
    assert [(query.question, query.tags) for query in found.values()] == [("Why and how?", ("b", "c")), ("Who?", ())]


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
        ("-- name: a(x)\n-- Why?\n-- :x text = it\nSELECT :x", "':x text = it' is not of the form :name kind"),
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


def test_a_byte_order_mark_before_a_file_is_no_part_of_it(own: Callable[[str], Path]) -> None:
    assert list(read(own("\ufeff-- name: one()\n-- One?\nSELECT 1;\n"))) == ["one"]


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
