"""Writes the references from the code, so that they cannot say anything else than it does.

`python docs/generate.py` writes the files of FILES; with --check it only names those that are not current.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, EnumType
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec

import grt_batch
import grt_batch.modules as house
from grt_batch.aggregate import distributions, measures, sketch, statistics
from grt_batch.aggregate.measures import Count, Cube, Measure
from grt_batch.cli import cli
from grt_batch.core.config import ENVIRONMENT_PREFIX, Config, Level
from grt_batch.core.errors import GrtError, Quarantine, Stopped
from grt_batch.decode.decoder import FRAGMENT, salvage
from grt_batch.ledger import ledger
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules import base, helpers
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.pipeline.plan import mismatch
from grt_batch.queries.definitions import KINDS, Parameter, Query
from grt_batch.queries.definitions import read as read_queries
from grt_batch.queries.results import tables_of
from grt_batch.schema import records, visibility
from grt_batch.schema import tables as schema_tables
from grt_batch.schema.members import Kind, MemberType, layout_of
from grt_batch.schema.records import RECORDS, Field, Job, Record
from grt_batch.schema.tables import REJECT_COLUMNS, Column, Shown, Table

ROOT = Path(__file__).resolve().parent.parent
SQL = ROOT / "config" / "sql"
EXAMPLE = ROOT / "docs" / "examples" / "tool_wait.py"
_NOTE = "<!-- Written by docs/generate.py from the code: run `make docs`, do not edit. -->"


def commands() -> str:
    """Every command with its options."""
    top = click.Context(cli, info_name="grt-batch", **cli.context_settings)
    return _page(
        "Commands",
        "`python manager.py [OPTIONS] [MODULE]...` is the same as `grt-batch run [OPTIONS] [MODULE]...`. Every command"
        " has `--help`. The exit codes are in [messages.md](messages.md).",
        *_command(top),
    )


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"## {context.command_path}"
    yield f"```\n{usage}\n```"
    yield _one_line(command.help)
    options = (param.get_help_record(context) for param in command.params if isinstance(param, click.Option))
    rows = [(_code(record[0]), _one_line(record[1])) for record in options if record]
    if rows:
        yield _grid(("option", "meaning"), rows)
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _command(click.Context(child, info_name=name, parent=context))


def tables() -> str:
    """Every published table with its columns."""
    parts: list[str] = []
    for table, publisher in _published():
        parts += [f"## {table.name}", table.doc, _facts(table, publisher)]
        parts.append(_grid(("column", "type", "unit", "meaning"), [_column(column) for column in table.columns]))
    return _page(
        "Tables",
        "Each table is in the schema `grt` of the database and, where it says so, in a TSV file: UTF-8, with a header"
        " line, rows in the order of the key. Null is empty there; tab, newline, carriage return and backslash inside"
        " of a value are `\\t`, `\\n`, `\\r`, `\\\\`.",
        *parts,
    )


def _published() -> Iterator[tuple[Table, str]]:
    """Every table, and who publishes it."""
    yield ARCHIVE, "every run"
    yield RUN, "every run"
    for name, module in discover().items():
        opt_in = ", which is opt-in" if module.opt_in else ""
        yield from ((table, f"the module [{name}](modules/{name}.md){opt_in}") for table in module.tables)


def _facts(table: Table, publisher: str) -> str:
    nullable = f" (may be null: {_codes(table.nullable)})" if table.nullable else ""
    # The table of runs differs with every run; run.json says the same of the last one.
    tsv = "`run.json` in its place" if table is RUN else f"`<reports>/<as-of>/{table.name}.tsv`"
    if any(table in module.tables for module in discover().values() if isinstance(module, Export)):
        tsv = "none"
    public = f"{_first_sentence(type(table.visibility))}{_hidden(table)}"
    return f"- Key: {_codes(table.key)}{nullable}\n- Published by: {publisher}\n- TSV: {tsv}\n- Public: {public}"


def _hidden(table: Table) -> str:
    """What the public view leaves out of its columns."""
    changed = [column for column in table.columns if column.shown is not Shown.AS_IT_IS]
    return "".join(f" {_code(column.name)} is {column.shown.value}." for column in changed)


def _first_sentence(kind: type) -> str:
    """The docstring up to its first colon, semicolon or full stop."""
    return re.split("[.:;]", _one_line(kind.__doc__))[0] + "."


def _column(column: Column) -> tuple[str, ...]:
    decimals = f", {column.scale} decimals" if column.scale else ""
    return _code(column.name), column.type.value + decimals, column.unit, column.doc


def modules() -> str:
    """Every module: what it asks, and where that is answered."""
    rows = [
        (f"[{name}](modules/{name}.md)", "yes" if module.opt_in else "", _one_line(module.__doc__), _answers(module))
        for name, module in discover().items()
    ]
    return _page(
        "Modules",
        "A module asks a question. Its cubes count records, grouped by keys; its tables are computed from the cubes."
        " An export passes the records themselves on. A run without names of modules runs all but the opt-in ones.",
        _grid(("module", "opt-in", "question", "answered by"), rows),
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
    "Numbers from cubes": (sketch, statistics),
    "Helpers for `rows`": (base, helpers),
    "Tables and who may see them": (schema_tables, visibility),
    "What else a report is given": (ledger, records),
}
"""What else an author imports, by the files that define it."""


def _record(record: type[Record]) -> Iterator[str]:
    yield f"### {record.__name__}"
    yield _one_line(record.__doc__)
    shared = () if record is Job else Record.fields()
    rows = [
        (_code(f"{record.__name__}.{name}"), str(field.type), field.resolution, field.doc)
        for name, field in ((field.name, field) for field in record.fields())
        if field not in shared
    ]
    yield _grid(("field", "type", "unit", "meaning"), rows)


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
        return f"### `{name}`\n\n{inspect.getdoc(value)} {_codes(map(str, value))}."
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
    return tables or _code(f"<reports>/<as-of>/{module.name}/")


def module_page(name: str) -> str:
    """One module: its question, formulas, tables and cubes."""
    module = discover()[name]
    _, _, about = inspect.cleandoc(inspect.getmodule(type(module)).__doc__ or "").partition("\n\n")
    needs = ", ".join(need.__name__ for need in module.needs)
    facts = f"- Opt-in: {'yes' if module.opt_in else 'no'}\n- Needs: {needs}"
    kinds = {type(measure) for cube in module.cubes for measure in cube.measures}
    legend = [f"- **{kind.__name__}**: {_one_line(kind.__doc__)}" for kind in sorted(kinds, key=lambda k: k.__name__)]
    return _page(
        name,
        _one_line(module.__doc__),
        *([about] if about else []),
        facts,
        *(part for table in module.tables for part in _table_of(table)),
        *(part for cube in module.cubes for part in _cube(cube)),
        *(["## Measures", "\n".join(legend)] if legend else []),
    )


def _table_of(table: Table) -> Iterator[str]:
    yield f"## Table {table.name}"
    yield table.doc
    yield f"Key: {_codes(table.key)}"
    yield _grid(("column", "type", "unit", "meaning"), [_column(column) for column in table.columns])


def _cube(cube: Cube) -> Iterator[str]:
    yield f"## Cube {cube.name}"
    state = f", of jobs in state {cube.state}" if cube.state else ""
    yield f"Of {cube.of.__name__}{state}" + (", the last days alone." if cube.windowed else ".")
    yield _grid(("column", "role", "unit", "meaning"), [*map(_key, cube.keys), *_measures(cube)])


def _key(key: Field) -> tuple[str, ...]:
    return _code(key.name), "key", key.resolution, key.doc


def _measures(cube: Cube) -> Iterator[tuple[str, ...]]:
    for measure in cube.measures:
        of = _fields_of(measure)
        unit = "jobs" if isinstance(measure, Count) else ", ".join(dict.fromkeys(field.resolution for field in of))
        meaning = "; ".join(field.doc for field in of) or "all jobs"
        yield _codes(measure.schema()), type(measure).__name__, unit, meaning


def _fields_of(measure: Measure) -> list[Field]:
    """The fields of a job that a measure is made of."""
    values = (getattr(measure, attribute.name) for attribute in dataclasses.fields(measure))
    return [value for value in values if isinstance(value, Field)]


def queries() -> str:
    """Every ready query: what it answers, its parameters, the tables that it reads."""
    by_file: dict[Path, list[Query]] = {}
    for query in read_queries(SQL).values():
        by_file.setdefault(query.file, []).append(query)
    kinds = [(_code(kind), wanted) for kind, (_, wanted) in KINDS.items()]
    parts = [part for file, found in by_file.items() for part in _queries(file, found)]
    return _page(
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
        _grid(("kind", "is"), [*kinds, (_code("a|b|c"), "one of these")]),
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
            yield _grid(("parameter", "kind", "default", "meaning"), map(_parameter, query.parameters))


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    default = "" if parameter.default is None else _code(parameter.default or "''")
    return _code(parameter.name), _code(parameter.kind), default or "must be given", parameter.doc


def configuration() -> str:
    """Every key of the configuration."""
    parts: list[str] = []
    for section, keys in _sections().items():
        rows = [
            (_code(key.name), _code(_toml(default)), key.metadata["unit"], key.metadata["doc"], _code(_variable(key)))
            for key, default in keys
        ]
        parts += [f"## [{section}]", _grid(("key", "default", "unit", "meaning", "environment"), rows)]
    return _page(
        "Configuration",
        "The keys of `config/grt_batch.toml`. An option of the command line wins over the environment, the environment"
        " over the file, the file over the defaults. In the environment texts and folders stand as they are, anything"
        " else as in the file. A key or section that is not here is an error.",
        *parts,
    )


def default_file() -> str:
    """config/grt_batch.toml: every key with its default."""
    parts = [
        "# Every key with its default. Options win over the environment (GRT_BATCH_ and the key in capitals), that over"
        "\n# this file. Written by docs/generate.py; docs/configuration.md says the same."
    ]
    for section, keys in _sections().items():
        lines = [f"# {key.metadata['unit']}: {key.metadata['doc']}\n{key.name} = {_in_file(it)}" for key, it in keys]
        parts.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(parts) + "\n"


def _in_file(value: object) -> str:
    """A default as TOML, a long list with a line for each of its items."""
    text = _toml(value)
    if len(text) < 100 or not isinstance(value, tuple):
        return text
    return "\n".join(["[", *(f"    {_toml(item)}," for item in value), "]"])


def _sections() -> dict[str, list[tuple[dataclasses.Field[Any], Any]]]:
    """The keys of each section with their defaults, in the order of Config."""
    sections: dict[str, list[tuple[dataclasses.Field[Any], Any]]] = {}
    for key in dataclasses.fields(Config):
        sections.setdefault(key.metadata["section"], []).append((key, getattr(Config(), key.name)))
    return sections


def _variable(key: dataclasses.Field[Any]) -> str:
    return ENVIRONMENT_PREFIX + key.name.upper()


def _toml(value: object) -> str:
    """A default as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case Level():
            return _toml(msgspec.structs.astuple(value))
        case tuple() | list():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            return "{" + ", ".join(f"{_toml(str(name))} = {_toml(item)}" for name, item in value.items()) + "}"
        case str() if "\\" in value and "'" not in value:
            return f"'{value}'"
        case str() | Path():
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def messages() -> str:
    """Every error with its cause and remedy by exit code, and the reasons for which an archive or line is left out."""
    parts = [
        "## Exit codes 0 and 1",
        "0: all archives are in. 1: the tables are published, but some archive is in quarantine.",
    ]
    by_code: dict[int, list[type[GrtError]]] = {}
    for error in _errors(GrtError):
        by_code.setdefault(error.exit_code, []).append(error)
    for code in sorted(by_code):
        parts.append(f"## Exit code {code}")
        rows = [
            (error.__name__, _field_names(error.message), _one_line(error.__doc__), _field_names(error.remedy))
            for error in by_code[code]
        ]
        parts.append(_grid(("error", "what it says", "why it comes", "what to do"), rows))
    parts += [
        "## Exit codes from 128",
        f"{_one_line(Stopped.__doc__)} The exit code is 128 plus the number of the signal: 130 for Ctrl-C, 143 for"
        " SIGTERM. Nothing was published; computed results are kept.",
    ]
    parts += ["## Quarantine", _one_line(Quarantine.__doc__), "\n".join(f"- {_code(text)}" for text in _quarantines())]
    parts += [
        "## Rejected lines",
        f"`<reports>/rejects/<instance_id>/<archive>.tsv` has the columns {_codes(('archive', *REJECT_COLUMNS))};"
        " `line` counts from 1, the header included. The reasons, each with an example (⇥ is a tab):",
        _grid(("reason", "member", "line"), _rejects()),
    ]
    return _page("Messages", "Names in braces are replaced by their values.", *parts)


def _field_names(template: str) -> str:
    """A message or remedy as Markdown; what may look like a tag is escaped."""
    return template.replace("!r}", "}").replace("<", "\\<")


def _errors(parent: type[GrtError]) -> Iterator[type[GrtError]]:
    for child in parent.__subclasses__():
        if child.__module__ == parent.__module__:
            yield child
            yield from _errors(child)


def _quarantines() -> list[str]:
    """The reasons of all `raise Quarantine`, and of the two functions whose words become one."""
    found: list[str] = []
    for file in sorted(Path(grt_batch.__file__).parent.rglob("*.py")):
        found += _phrases(ast.parse(file.read_text(encoding="utf-8")), "Quarantine")
    for function in (layout_of, mismatch):
        found += _phrases(ast.parse(inspect.getsource(function)))
    return list(dict.fromkeys(found))


def _phrases(tree: ast.AST, error: str | None = None) -> Iterator[str]:
    """What the code raises as `error`; without an `error`, whatever it raises or returns."""
    for node in ast.walk(tree):
        raised = node.exc if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
        if raised and raised.args and error in (None, getattr(raised.func, "id", None)):
            yield from _phrase(raised.args[0])
        elif error is None and isinstance(node, ast.Return) and node.value:
            yield from _phrase(node.value)


def _phrase(text: ast.expr) -> Iterator[str]:
    """A text of the code, with the names of what is filled in."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        yield text.value
    elif isinstance(text, ast.JoinedStr):
        yield "".join(
            f"{{{_name(part.value)}}}" if isinstance(part, ast.FormattedValue) else str(getattr(part, "value", ""))
            for part in text.values
        )


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner):
            return _name(inner)
    return "…"


_GOOD = {
    MemberType.JOB_ID: b"12",
    MemberType.INTEGER: b"34",
    MemberType.TEXT: b"text",
    MemberType.FREE_TEXT: b"text",
    MemberType.NUMBER: b"4.0000000",
    MemberType.DATE: b"2020-01-31 12:00:00",
    MemberType.DIRECTION: b"input",
}


def _rejects() -> Iterator[tuple[str, ...]]:
    """Every reason for which the decoder rejects a line, with a line of which it says so."""
    found: dict[str, tuple[Kind, list[bytes]]] = {}
    for kind in Kind:
        layout, _ = layout_of(kind, [])
        good = [_GOOD[column.type] for column in layout.columns]
        typed = [at for at, text in enumerate(good) if text != _GOOD[MemberType.FREE_TEXT]]
        wrong = [[*good[:at], b"?", *good[at + 1 :]] for at in typed]
        # With a tab too much, no reading may be valid, or several of which none is better.
        for fields in [good[:-1], *wrong, [*wrong[0], b"?"], [*good[:-1], b"?", b"?"]]:
            record, reason = salvage(layout, fields)
            if record is None:
                found.setdefault(reason, (kind, fields))
    for reason, (kind, fields) in found.items():
        yield _code(reason), kind.value, _code("⇥".join(field.decode() for field in fields))
    yield _code(FRAGMENT), "any", "the piece before a joined record"


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _NOTE, *parts]) + "\n"


def _grid(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (titles, ["---"] * len(titles), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names))


def _code(text: str) -> str:
    return f"`{text}`"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


FILES: dict[str, Callable[[], str]] = {
    "config/grt_batch.toml": default_file,
    "docs/commands.md": commands,
    "docs/configuration.md": configuration,
    "docs/messages.md": messages,
    "docs/modules.md": modules,
    **{f"docs/modules/{name}.md": partial(module_page, name) for name in discover()},
    "docs/queries.md": queries,
    "docs/tables.md": tables,
}
"""What is generated, and the function whose text it is."""


def stale() -> list[str]:
    """The files that do not say what the code says now."""
    return [name for name, text in FILES.items() if _read(ROOT / name) != text()]


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file is not current.")
def main(check: bool) -> None:
    """Write the references."""
    if check:
        old = stale()
        for name in old:
            click.echo(f"{name} is not current: run make docs", err=True)
        sys.exit(1 if old else 0)
    for name, text in FILES.items():
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
