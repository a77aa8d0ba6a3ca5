"""Computes the tables of the default modules with DuckDB: unpack, `duckdb_way.sql`, TSV files, COPY into PostgreSQL;
two threads.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contest import THREADS
from bench.publication import COPIES, REPORTS, columns_of, our_tables, publish
from bench.unfolding import unfolded
from bench.unpacking import Member, unpack
from bench.way import run
from grt_batch.schema.tables import Table, Type
from grt_batch.uploads.scan import Uploads, scan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLES = (
    "tool", "tool_day", "tool_usage", "tool_metric", "tool_histogram", "tool_input", "tool_extension", "tool_change",
    "param", "param_value", "instance_month", "instance_users", "instance_status",
)  # fmt: skip
"""All of ours but `instance`, which repeats metadata.json, and the ledger."""

_KINDS = ("jobs", "short_jobs", "metric_num", "datasets", "params")
_SHORT_JOBS = 3
"""Columns of the jobs in the first real archives."""
_FORMS = {
    Type.TEXT: r"replace(replace(replace(replace({0}, '\', '\\'), chr(9), '\t'), chr(10), '\n'), chr(13), '\r') AS {0}",
    Type.TIMESTAMP: "strftime({0}, '%Y-%m-%d %H:%M:%S.%f') AS {0}",
}
_INPUT = """
    CREATE TABLE files (file INTEGER, instance_id TEXT, filename TEXT);
    CREATE TABLE archives (file INTEGER, instance_id TEXT, generated DECIMAL(20, 7), bytes BIGINT, active BIGINT,
                           total BIGINT);
"""


_LEAVES = "STRUCT(name VARCHAR, value VARCHAR, names_data BOOLEAN)[]"


def _leaves(name: str | None, text: str | None) -> list[dict[str, object]]:
    return [dict(zip(("name", "value", "names_data"), leaf, strict=True)) for leaf in unfolded(name, text)]


def compute(uploads: Path, target: Path, url: str, as_of: date) -> None:
    """Write the TSV reports below `target`, and the tables into the schema `duckdb_way` of the database."""
    import duckdb

    found = scan(uploads)
    members = unpack(found, target / "members")
    with duckdb.connect(config={"threads": THREADS}) as link:
        link.create_function("erfc", math.erfc, ["DOUBLE"], "DOUBLE")
        link.create_function("unfolded", _leaves, ["VARCHAR", "VARCHAR"], _LEAVES, null_handling="special")
        link.execute("SET VARIABLE as_of = ?", [as_of])
        _load(link, found, members, target)
        link.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
        for name in TABLES:
            link.execute(f"CREATE OR REPLACE TEMPORARY TABLE ready AS {_rows(link, our_tables()[name])}")
            for form in (REPORTS, COPIES):
                file = form.file(target, name)
                file.parent.mkdir(exist_ok=True)
                link.execute(
                    f"COPY ready TO '{file}' (FORMAT csv, DELIMITER '\t', HEADER {form.header},"
                    f" NULLSTR '{form.null}', QUOTE '', ESCAPE '')"
                )
    publish(url, "duckdb_way", target, TABLES)


def _load(link: DuckDBPyConnection, uploads: Uploads, members: list[Member], target: Path) -> None:
    """Create the tables `files` and `archives`, and a list of files for each kind of member, for the SQL."""
    link.execute(_INPUT)
    # DuckDB does not read a list without any file.
    empty = target / "empty.tsv"
    empty.touch()
    paths: dict[str, list[str]] = {kind: [str(empty)] for kind in _KINDS}
    for member in members:
        kind = "short_jobs" if member.kind == "jobs" and member.columns == _SHORT_JOBS else member.kind
        paths[kind].append(str(member.path))
        row = [member.place, member.archive.instance_id, str(member.path)]
        link.execute("INSERT INTO files VALUES (?, ?, ?)", row)
    for kind, files in paths.items():
        link.execute(f"SET VARIABLE {kind} = ?", [files])
    for place, archive in enumerate(uploads.archives):
        assert archive.report is not None
        users = archive.report.users_active, archive.report.users_total
        row = [place, archive.instance_id, archive.report.generated, archive.bytes, *users]
        link.execute("INSERT INTO archives VALUES (?, ?, ?, ?, ?, ?)", row)


def _rows(link: DuckDBPyConnection, table: Table) -> str:
    """Return the SELECT of a table in its columns and order, with texts and times as in a TSV file."""
    names = {name for name, *_ in link.execute(f"DESCRIBE {table.name}").fetchall()}
    columns = (_FORMS.get(column.type, "{0}").format(f'"{column.name}"') for column in columns_of(table, names))
    return f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {', '.join(table.key)}"


if __name__ == "__main__":
    run(compute)
