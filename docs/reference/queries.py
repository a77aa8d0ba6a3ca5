"""The reference of the ready queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from grt_batch.queries.definitions import KINDS, Parameter, Query
from grt_batch.queries.definitions import read as read_queries
from grt_batch.queries.results import tables_of
from reference.markdown import ROOT, code, grid, page

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
        "The files are those of [aiosql](https://nackjicholson.github.io/aiosql/): more can stand beside them, or in a"
        " folder of your own that is given with `--sql`. The comments above the SQL say what the query answers and,"
        " on a line for each parameter, its name, kind and default (`''` is empty; without one it must be given), and"
        " after two spaces or more what it is for:",
        "```sql\n-- name: my-query(instance, period)\n-- What do I ask?\n-- :instance text = *       the instance, or *"
        " for all together\n-- :period all|30d|7d       the period\nSELECT sum(jobs) AS jobs FROM grt.tool_usage WHERE"
        " instance_id = :instance AND period = :period;\n```",
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
        if query.parameters:
            yield grid(("parameter", "kind", "default", "meaning"), map(_parameter, query.parameters))


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    default = "" if parameter.default is None else code(parameter.default or "''")
    return code(parameter.name), code(parameter.kind), default or "must be given", parameter.doc
