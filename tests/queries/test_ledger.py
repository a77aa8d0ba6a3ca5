"""What the ledger and the reject files say, as the commands `status` and `rejects` show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import query

from grt_batch.core.config import Config
from grt_batch.core.errors import NoLedger
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.queries.ledger import doubtful, ledger_of, rejects_of

REJECTS = {
    "a/1.tsv": ["1\tjobs\t2\t2 columns\t3\tx\\ty", "1\tjobs\t5\t2 columns\t3\tx\\ty", "1\tparams\t2\tno number\t1\té"],
    "a/2.tsv": ["2\tjobs\t7\t2 columns\t0\t"],
    "b/1.tsv": ["1\tjobs\t2\t2 columns\t1\tz"],
}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Reports with rejected lines of three archives."""
    for name, lines in REJECTS.items():
        file = tmp_path / "rejects" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in ["archive\tmember\tline\treason\tbytes\ttext", *lines]))
    known = ("instance_id\tarchive\tjobs", "a\t1\t5", "a\t2\t5", "b\t1\t5", "b\t2\t5")
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / f"{ARCHIVE.name}.tsv").write_text("".join(f"{line}\n" for line in known))
    return tmp_path


def test_rejects_are_counted_by_archive_member_and_reason(reports: Path) -> None:
    columns, rows = rejects_of(reports, None, None, lines=False)
    assert columns == ["instance", "archive", "member", "reason", "lines"]
    assert rows == [
        ["a", "1", "jobs", "2 columns", "2"],
        ["a", "1", "params", "no number", "1"],
        ["a", "2", "jobs", "2 columns", "1"],
        ["b", "1", "jobs", "2 columns", "1"],
    ]


@pytest.mark.parametrize(
    ("instance", "archive", "files"),
    [
        (None, None, ["a/1.tsv", "a/2.tsv", "b/1.tsv"]),
        ("a", None, ["a/1.tsv", "a/2.tsv"]),
        (None, "1", ["a/1.tsv", "b/1.tsv"]),
        ("b", "1", ["b/1.tsv"]),
        ("b", "2", []),
    ],
)
def test_lines_are_those_of_the_files(
    reports: Path, instance: str | None, archive: str | None, files: list[str]
) -> None:
    columns, rows = rejects_of(reports, instance, archive, lines=True)
    assert rows == [[file[0], *line.split("\t")] for file in files for line in REJECTS[file]]
    assert all(len(row) == len(columns) for row in rows)


def test_nothing_is_doubtful_where_nothing_was_published(tmp_path: Path) -> None:
    found = doubtful(Config(uploads=tmp_path / "uploads", work=tmp_path / "work"))
    assert found == {"miscounted": [], "implausible": []}
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_has_no_ledger(database: str) -> None:
    with pytest.raises(NoLedger):
        ledger_of(database)


def test_null_is_shown_as_nothing(database: str) -> None:
    """The tables have more columns than the ledger reads."""
    columns = {
        RUN.name: "run_id text, started timestamp, finished timestamp, ranks int, version text, modules text,"
        " archives bigint, jobs bigint",
        ARCHIVE.name: "instance_id text, archive text, state text, reason text, generated timestamp, bytes bigint,"
        " jobs bigint, superseded bigint, salvaged bigint, rejected bigint",
        "instance": "instance_id text, title text, public boolean, jobs bigint, last_generated timestamp",
    }
    tables = "".join(f"CREATE TABLE grt.{name} ({text});" for name, text in columns.items())
    query(database, f"CREATE SCHEMA grt; {tables} INSERT INTO grt.archive VALUES ('a', '1', 'incomplete'); COMMIT")
    parts = {title: (titles, rows) for title, titles, rows in ledger_of(database)}
    assert parts["not published"] == (["instance_id", "archive", "state", "reason"], [["a", "1", "incomplete", ""]])
    assert parts["archives"][1] == [["a", "incomplete", "1", "", "", "", "", ""]]
    assert parts["instances"][1] == parts["removed"][1] == parts["last runs"][1] == []
