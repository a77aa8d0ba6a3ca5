"""The reference of the ready queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from grt_batch.queries.definitions import KINDS, Parameter, Query
from grt_batch.queries.definitions import read as read_queries
from grt_batch.queries.results import tables_of
from reference.markdown import ROOT, code, codes, grid, page

SQL = ROOT / "config" / "sql"


def queries() -> str:
    """Every ready query: what it answers, its parameters, the tables that it reads."""
    by_file: dict[Path, list[Query]] = {}
    for query in read_queries(SQL).values():
        by_file.setdefault(query.file, []).append(query)
    kinds = [(code(kind), wanted) for kind, (_, wanted) in KINDS.items()]
    parts = [part for file, found in by_file.items() for part in _queries(file, found)]
    return page(
        "Queries",
        "`grt-batch query NAME --param name=value` asks the database, `grt-batch query --list` shows what can be asked."
        " Where [gxadmin](https://github.com/galaxyproject/gxadmin) has a query of the same meaning, it has its name.",
        "**Versions.** A tool is shown over all its versions, with `*` in the column `tool_version` and an id without"
        " the version. `--param version=each` shows each version by itself, `--param version=2.2.1+galaxy1` the one;"
        " `--no-version` is the same as `--param version=*`.",
        "**Ids.** A table cuts the ids in the column `tool_id` to what tells them apart, `iuc/bwa_mem2`; `--full-ids`"
        " shows all of them. The other formats have them in full, unless `--short` leaves out the Tool Shed:"
        " `iuc/bwa_mem2/bwa_mem2`. Each of these can be given as the parameter `tool`.",
        "**Unknown is not zero.** A sum of nothing that was measured is null: empty in a table, TSV and CSV, `null` in"
        " JSON, and left out for InfluxDB. So is a number that follows from it. Only counts can be 0.",
        "**InfluxDB.** `--format influx` writes the line protocol, without a time, as Telegraf's `exec` reads it: the"
        " name of the query, its tags, its fields. Texts and dates are tags, unless the query names its tags; numbers"
        " and booleans are fields, and times in seconds since 1970. A row without any field is left out and counted on"
        " standard error.",
        "The files are those of [aiosql](https://nackjicholson.github.io/aiosql/): more can stand beside them, or in a"
        " folder of your own that is given with `--sql`. The comments above the SQL say what the query answers and,"
        " on a line for each parameter, its name, kind and default (`''` is empty; without one it must be given), and"
        " after two spaces or more what it is for. A line `tags: a, b` names the columns that are tags in InfluxDB:",
        "```sql\n-- name: my-query(instance, period)\n-- What do I ask?\n-- :instance text = *       the instance, or *"
        " for all together\n-- :period all|30d|7d       the period\nSELECT sum(jobs) AS jobs FROM grt.tool_usage WHERE"
        " instance_id = :instance AND tool_version = '*' AND period = :period;\n```",
        grid(("kind", "is"), [*kinds, (code("a|b|c"), "one of these")]),
        *parts,
    )


def _queries(file: Path, found: Sequence[Query]) -> Iterator[str]:
    yield f"## {file.name}"
    yield f"[config/sql/{file.name}](../config/sql/{file.name})"
    for query in found:
        yield f"### {query.name}"
        yield query.question
        yield "Reads: " + ", ".join(f"[{name}](tables.md#{name})" for name in tables_of(query))
        if query.tags:
            yield f"Tags: {codes(query.tags)}"
        if query.parameters:
            yield grid(("parameter", "kind", "default", "meaning"), map(_parameter, query.parameters))


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    default = "" if parameter.default is None else code(parameter.default or "''")
    return code(parameter.name), code(parameter.kind), default or "must be given", parameter.doc
