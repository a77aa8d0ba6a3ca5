"""The ready queries: named SQL in files that aiosql reads.

The comments above the SQL of a query say what it answers and describe each parameter on a line:

    -- :period all|30d|7d = 30d        the last 30 or 7 days

The line gives the name, the kind (one of KINDS, or the allowed values), an optional default ('' is empty), and, after
two spaces or more, the purpose. Another line may name the columns that are tags in InfluxDB:

    -- tags: tool_id, tool_version
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from grt_batch.core.config_file import DEFAULT_FILE, chosen_file
from grt_batch.core.errors import BadParameter, BadQueries, UnknownQuery
from grt_batch.core.share import SHARE

_FOLDER = Path("sql")


_PARAMETER = re.compile(r":(?P<name>\w+) +(?P<kind>\S+)(?: += +(?P<default>\S+))? {2,}(?P<doc>\S.*)")


_TAGS = "tags:"


_EMPTY = "''"


_LARGEST = 2**63 - 1
"""The largest bigint."""


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError(text)
    text.encode()  # An argument that is not UTF-8 holds lone surrogates, which cannot be sent.
    return text


def _part_of_tool_id(text: str) -> str:
    """Return the pattern of the ids that have this part, for PostgreSQL's ~*.

    Between two slashes a name may be left out, so that the short ids of tables are found: iuc/fastq_dump names
    iuc/sra_tools/fastq_dump.
    """
    return "/([^/]*/)?".join(map(re.escape, _text(text).split("/")))


def _month(text: str) -> str | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{4}-[0-9]{2}", text):
        raise ValueError(text)
    date.fromisoformat(f"{text}-01")
    return text


def _list(text: str) -> list[str]:
    parts = [part.strip() for part in _text(text).split(",") if part.strip()]
    if not parts:
        raise ValueError(text)
    return parts


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(text)
    return float(text)


KINDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "text": (_text, "any text"),
    "tool": (_part_of_tool_id, "any part of the id of a tool, in full or as a table shows it"),
    "version": (_text, "* for all versions together, each for each by itself, or one version"),
    "list": (_list, "texts separated by commas"),
    "count": (_count, "a whole number from 0"),
    "number": (_number, "a number"),
    "date": (date.fromisoformat, "a date as YYYY-MM-DD"),
    "month": (_month, "a month as YYYY-MM, or empty"),
}
"""The kinds of parameters: a function that parses a value or raises ValueError, and a description of valid values."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query. `kind` is one of KINDS, or values separated by |; without a `default` it is required."""

    name: str
    kind: str
    default: str | None
    doc: str

    def value(self, text: str) -> Any:
        """Parse `text` into the value that the database receives. Raise ValueError if it is not of this kind."""
        if self.kind in KINDS:
            return KINDS[self.kind][0](text)
        if text not in self.kind.split("|"):
            raise ValueError(text)
        return text

    @property
    def wanted(self) -> str:
        """A description of valid values."""
        return KINDS[self.kind][1] if self.kind in KINDS else " or ".join(self.kind.split("|"))

    def __str__(self) -> str:
        return self.name if self.default is None else f"{self.name}={self.default or _EMPTY}"


@dataclass(frozen=True)
class Query:
    """A named query: the question it answers, its parameters, and its SQL with psycopg2's placeholders.

    `tags` are the columns that are tags in InfluxDB; without any, the types of the columns decide.
    """

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    sql: str
    file: Path
    tags: tuple[str, ...] = ()

    def values(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Return the value of each parameter. Raise BadParameter if one is unknown, missing or malformed."""
        known = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise self._refusal(f"it has no parameter {name!r:.100}")
        return {parameter.name: self._value(parameter, given) for parameter in self.parameters}

    def _value(self, parameter: Parameter, given: Mapping[str, str]) -> Any:
        text = given.get(parameter.name, parameter.default)
        if text is None:
            raise self._refusal(f"{parameter.name} is missing: {parameter.doc}")
        try:
            return parameter.value(text)
        except ValueError:
            raise self._refusal(f"{parameter.name} is {parameter.wanted}, not {text!r:.100}") from None

    def _refusal(self, what: str) -> BadParameter:
        return BadParameter(query=self.name, what=what, known=", ".join(map(str, self.parameters)) or "none")


def queries_folder(config_file: Path | None, chosen: Path | None = None) -> Path:
    """Return the folder of the query files.

    It is `chosen`, else `sql` beside the configuration file in use, else the one that came with the program.
    """
    if chosen is not None:
        return chosen
    config_file = chosen_file(config_file)
    if config_file is not None and (config_file.parent / _FOLDER).is_dir():
        return config_file.parent / _FOLDER
    return SHARE / DEFAULT_FILE.parent / _FOLDER


def read(folder: Path) -> dict[str, Query]:
    """Return the queries in the files `*.sql` of `folder` by name, in the order of the files.

    Raise BadQueries if a file cannot be read, or a query does not describe its parameters.
    """
    found: dict[str, Query] = {}
    for path in sorted(folder.glob("*.sql")):
        for query in _read_file(path):
            if query.name in found:
                raise BadQueries(file=path, what=f"{query.name} is already in {found[query.name].file.name}")
            found[query.name] = query
    if not found:
        raise BadQueries(file=folder, what="no *.sql file there has a query")
    return found


def find_query(queries: Mapping[str, Query], name: str) -> Query:
    """Return a query by its name, where _ may replace -. Raise UnknownQuery."""
    wanted = name.replace("_", "-")
    query = queries.get(wanted)
    if query is None:
        near = get_close_matches(wanted, queries)
        raise UnknownQuery(name=name, near=f"Did you mean {' or '.join(near)}? " if near else "")
    return query


def _read_file(path: Path) -> Iterator[Query]:
    import aiosql

    try:
        loaded = aiosql.from_path(path, "psycopg2", encoding="utf-8-sig")
    except (OSError, ValueError, aiosql.SQLParseException, aiosql.SQLLoadException) as error:
        raise BadQueries(file=path, what=error) from None
    functions = {name: getattr(loaded, name) for name in loaded.available_queries}
    for name in sorted(functions, key=lambda name: functions[name].__code__.co_firstlineno):
        # aiosql adds a second function for every query, which returns the cursor.
        if not (name.endswith("_cursor") and name.removesuffix("_cursor") in functions):
            try:
                yield _query(name.replace("_", "-"), functions[name], path)
            except ValueError as error:
                raise BadQueries(file=path, what=f"{name.replace('_', '-')}: {error}") from None


def _query(name: str, function: Any, path: Path) -> Query:
    """Return the query of a function of aiosql. Raise ValueError if its comments are incomplete."""
    lines = (function.__doc__ or "").splitlines()
    question = " ".join(line for line in lines if not line.startswith((":", _TAGS)))
    if not question:
        raise ValueError("no comment says what it answers")
    if not function.sql.strip(" \n;"):
        raise ValueError("empty sql")
    parameters = tuple(_parameter(line) for line in lines if line.startswith(":"))
    described = sorted(parameter.name for parameter in parameters)
    used = sorted(set(function.__signature__.parameters) - {"self"})
    if described != used:
        raise ValueError(f"its comments describe the parameters {described}, but its SQL has {used}")
    try:
        function.sql % dict.fromkeys(used, "")
    except (TypeError, ValueError):
        raise ValueError("write a percent sign as %%") from None
    tags = [line.removeprefix(_TAGS) for line in lines if line.startswith(_TAGS)]
    return Query(name, question, parameters, function.sql, path, tuple(re.findall(r"[^\s,]+", " ".join(tags))))


def _parameter(line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is not of the form :name kind = default, two spaces, purpose")
    default = "" if match["default"] == _EMPTY else match["default"]
    parameter = Parameter(match["name"], match["kind"], default, match["doc"])
    if parameter.kind not in KINDS and "|" not in parameter.kind:
        raise ValueError(f"{parameter.kind!r} is not a kind of parameter: use {', '.join(KINDS)} or values|like|these")
    if default is not None:
        try:
            parameter.value(default)
        except ValueError:
            raise ValueError(f"the default of {parameter.name} is not {parameter.wanted}") from None
    return parameter
