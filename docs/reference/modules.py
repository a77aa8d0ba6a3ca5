"""The references of the modules, and of everything that the author of a report imports."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterable, Iterator
from enum import Enum, EnumType
from itertools import pairwise
from types import ModuleType

import grt_batch.modules as house
from grt_batch.aggregate import binned, distributions, measures, sketch, statistics
from grt_batch.aggregate.measures import Count, Cube, Measure
from grt_batch.ledger import ledger
from grt_batch.modules import base, helpers
from grt_batch.modules.base import Module
from grt_batch.modules.registry import discover
from grt_batch.schema import figures, records, visibility
from grt_batch.schema import tables as schema_tables
from grt_batch.schema.records import RECORDS, Field, Job, Record
from grt_batch.schema.tables import Table
from reference.markdown import ROOT, code, codes, grid, one_line, page
from reference.tables import columns_of

EXAMPLE = ROOT / "docs" / "examples" / "tool_wait.py"


def modules() -> str:
    """Every module: what it asks, and where that is answered."""
    rows = [
        (f"[{name}](modules/{name}.md)", "yes" if module.opt_in else "", one_line(module.__doc__), _answers(module))
        for name, module in discover().items()
    ]
    return page(
        "Modules",
        "A module asks a question. Its cubes count records, grouped by keys; its tables are computed from the cubes."
        " An export passes the records themselves on. A run without names of modules runs all but the opt-in ones.",
        grid(("module", "opt-in", "question", "answered by"), rows),
        "`html` stands beside them: the [report pages](pages.md), which are made of the tables unless a run says"
        " `--no-html`. So does `documents`, which is opt-in: it makes [documents](documents.md) for OpenSearch and"
        " Elasticsearch of them.",
        "## Write a report",
        "README has a first report, and [below](#a-second-report) is a second one. `grt-batch try FILE.py N.tar.gz`"
        " shows the rows that a report makes of one archive. It then works in `grt_batch/modules/reports/`, or without"
        " any change of the program in a folder of your own: `grt-batch run --modules-dir FOLDER`, or the key"
        " `modules_dir` of the [configuration](configuration.md). Every `.py` file of that folder is a report; its"
        " module and tables must have names that no other one has. All of what follows is imported from"
        " `grt_batch.modules`.",
        _described("Module", Module),
        "## Fields of the records",
        "A report names a field by its class: `Job.runtime`, `Param.value`. The fields of the job are in every record."
        " An integer in `1e-7 s` counts ten-millionths of a second, so that sums are exact; `Job.runtime.in_units`"
        " makes numbers of seconds of it. Null is what was not measured; a null text counts as the empty one.",
        *(part for record in RECORDS.values() for part in _record(record)),
        *(part for title, about in _AUTHOR.items() for part in (f"## {title}", *_names_of(about))),
        "## A second report",
        f"[examples/{EXAMPLE.name}](examples/{EXAMPLE.name}) has a window, percentiles and a value that is derived from"
        " two sums:",
        f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```",
    )


_AUTHOR = {
    "Cubes and measures": (measures, distributions),
    "Numbers from cubes": (sketch, binned, statistics),
    "Helpers for `rows`": (base, helpers),
    "Tables and who may see them": (schema_tables, figures, visibility),
    "What else a report is given": (ledger, records),
}
"""What else an author imports, by the files that define it."""


def _record(record: type[Record]) -> Iterator[str]:
    yield f"### {record.__name__}"
    yield one_line(record.__doc__)
    shared = () if record is Job else Record.fields()
    rows = [
        (code(f"{record.__name__}.{name}"), str(field.type), field.resolution, field.doc)
        for name, field in ((field.name, field) for field in record.fields())
        if field not in shared
    ]
    yield grid(("field", "type", "unit", "meaning"), rows)


def _names_of(files: Iterable[ModuleType]) -> Iterator[str]:
    """The description of what `grt_batch.modules` has from these files, in their order."""
    for file in files:
        docs = _constants(file)
        for name, value in vars(file).items():
            defined = name in docs or getattr(value, "__module__", None) == file.__name__
            if name in house.__all__ and defined and not (isinstance(value, type) and issubclass(value, _APART)):
                yield _described(name, value, docs.get(name, ""))


_APART = (Record, Module)
"""What has a section of its own."""


def _constants(file: ModuleType) -> dict[str, str]:
    """The docstrings below the constants of a file."""
    nodes = ast.parse(inspect.getsource(file)).body
    return {
        node.targets[0].id: doc.value.value
        for node, doc in pairwise(nodes)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }


def _described(name: str, value: object, doc: str = "") -> str:
    """A heading with the name and its parameters, and the docstring."""
    if isinstance(value, EnumType):
        return f"### `{name}`\n\n{inspect.getdoc(value)} {codes(map(str, value))}."
    if doc:
        return f"### `{name}`\n\n{inspect.cleandoc(doc)}"
    parameters = inspect.signature(value).parameters.values() if callable(value) and value is not Module else ()
    shown = f"({', '.join(map(_shown, parameters))})" if parameters or inspect.isfunction(value) else ""
    return f"### `{name}{shown}`\n\n{inspect.getdoc(value)}"


def _shown(parameter: inspect.Parameter) -> str:
    match parameter.default:
        case inspect.Parameter.empty:
            return parameter.name
        case type(__name__=default):
            return f"{parameter.name}={default}"
        case Enum() as default:
            return f"{parameter.name}={default}"
        case tuple((Field(), *_)):
            return f"{parameter.name}=…"
        case default:
            return f"{parameter.name}={default!r}"


def _answers(module: Module) -> str:
    tables = ", ".join(f"[{table.name}](tables.md#{table.name})" for table in module.tables)
    return tables or code(f"<reports>/<as-of>/{module.name}/")


def module_page(name: str) -> str:
    """One module: its question, formulas, tables and cubes."""
    module = discover()[name]
    _, _, about = inspect.cleandoc(inspect.getmodule(type(module)).__doc__ or "").partition("\n\n")
    needs = ", ".join(need.__name__ for need in module.needs)
    facts = f"- Opt-in: {'yes' if module.opt_in else 'no'}\n- Needs: {needs}"
    kinds = {type(measure) for cube in module.cubes for measure in cube.measures}
    legend = [f"- **{kind.__name__}**: {one_line(kind.__doc__)}" for kind in sorted(kinds, key=lambda k: k.__name__)]
    return page(
        name,
        one_line(module.__doc__),
        *([about] if about else []),
        facts,
        *(part for table in module.tables for part in _table_of(table)),
        *(part for cube in module.cubes for part in _cube(cube)),
        *(["## Measures", "\n".join(legend)] if legend else []),
    )


def _table_of(table: Table) -> Iterator[str]:
    yield f"## Table {table.name}"
    yield table.doc
    yield f"Key: {codes(table.key)}"
    yield columns_of(table)


def _cube(cube: Cube) -> Iterator[str]:
    yield f"## Cube {cube.name}"
    state = f", of jobs in state {cube.state}" if cube.state else ""
    yield f"Of {cube.of.__name__}{state}" + (", the last days alone." if cube.windowed else ".")
    yield grid(("column", "role", "unit", "meaning"), [*map(_key, cube.keys), *_measures(cube)])


def _key(key: Field) -> tuple[str, ...]:
    return code(key.name), "key", key.resolution, key.doc


def _measures(cube: Cube) -> Iterator[tuple[str, ...]]:
    for measure in cube.measures:
        of = _fields_of(measure)
        unit = "jobs" if isinstance(measure, Count) else ", ".join(dict.fromkeys(field.resolution for field in of))
        meaning = "; ".join(field.doc for field in of) or "all jobs"
        yield codes(measure.schema()), type(measure).__name__, unit, meaning


def _fields_of(measure: Measure) -> list[Field]:
    """The fields of a job that a measure is made of."""
    values = (getattr(measure, attribute.name) for attribute in dataclasses.fields(measure))
    return [value for value in values if isinstance(value, Field)]
