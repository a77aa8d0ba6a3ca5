"""The reference of the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.schema.tables import Column, Shown, Table, Type
from reference.markdown import code, codes, grid, one_line, page


def tables() -> str:
    """Every published table with its columns."""
    parts: list[str] = []
    for table, publisher in _published():
        parts += [f"## {table.name}", table.doc, _facts(table, publisher)]
        parts.append(columns_of(table))
    return page(
        "Tables",
        "Each table is in the schema `grt` of the database and, where it says so, in a TSV file: UTF-8, with a header"
        " line, rows in the order of the key. Null is empty there; tab, newline, carriage return and backslash inside"
        " of a value are `\\t`, `\\n`, `\\r`, `\\\\`.",
        "Numbers are the same in the file and in the database: exact, or the nearest decimal number with so many"
        " significant digits. A percentile that this would move beyond the extremes of what was measured is written as"
        " the extreme. Whole numbers have no point, and none from 1e-6 up to 1e21 has an exponent.",
        *parts,
    )


def columns_of(table: Table) -> str:
    """The columns of a table: what they hold, and how it is written."""
    return grid(
        ("column", "type", "unit", "written", "meaning"),
        [
            (code(column.name), column.type.value, column.unit, _written(table, column), column.doc)
            for column in table.columns
        ],
    )


def _published() -> Iterator[tuple[Table, str]]:
    """Every table, and who publishes it."""
    yield ARCHIVE, "every run"
    yield RUN, "every run"
    yield DATASOURCE, "every run"
    for name, module in discover().items():
        opt_in = ", which is opt-in" if module.opt_in else ""
        yield from ((table, f"the module [{name}](modules/{name}.md){opt_in}") for table in module.tables)


def _facts(table: Table, publisher: str) -> str:
    nullable = f" (may be null: {codes(table.nullable)})" if table.nullable else ""
    # The table of runs differs with every run; run.json says the same of the last one.
    tsv = "`run.json` in its place" if table is RUN else f"`<reports>/<as-of>/{table.name}.tsv`"
    if table is DATASOURCE or any(
        table in module.tables for module in discover().values() if isinstance(module, Export)
    ):
        tsv = "none"
    public = f"{_first_sentence(type(table.visibility))}{_hidden(table)}"
    return f"- Key: {codes(table.key)}{nullable}\n- Published by: {publisher}\n- TSV: {tsv}\n- Public: {public}"


def _hidden(table: Table) -> str:
    """What the public view leaves out of its columns."""
    changed = [column for column in table.columns if column.shown is not Shown.AS_IT_IS]
    return "".join(f" {code(column.name)} is {column.shown.value}." for column in changed)


def _first_sentence(kind: type) -> str:
    """The docstring up to its first colon, semicolon or full stop."""
    return re.split("[.:;]", one_line(kind.__doc__))[0] + "."


_NUMBERS = (Type.BIGINT, Type.INTEGER, Type.DOUBLE, Type.NUMERIC)


def _written(table: Table, column: Column) -> str:
    """How the numbers of a column are written."""
    if column.type not in _NUMBERS:
        return ""
    if not column.rounding:
        return "exactly"
    if not column.within:
        return f"{column.rounding} digits"
    shown = set(column.within) <= set(table.schema)
    return f"{column.rounding} digits, between {' and '.join(map(code, column.within)) if shown else 'the extremes'}"
