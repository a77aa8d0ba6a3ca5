"""The ready queries: named SQL in files that aiosql reads.

Above the SQL of a query stand comments: what it answers, and a line for each of its parameters,

    -- :period all|30d|7d = 30d        the last 30 or 7 days

with the name, the kind (one of KINDS, or the values that it can have), the default, where there is one ('' is empty),
and, after two spaces or more, what it is for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import grt_batch
from grt_batch.core.config import DEFAULT_FILE
from grt_batch.core.errors import BadParameter, BadQueries, UnknownQuery

_FOLDER = Path("sql")


_SHARE = f"share/{grt_batch.__name__}/{_FOLDER}/*.sql"
"""Where setup.cfg has a wheel put the files."""


_PARAMETER = re.compile(r":(?P<name>\w+) +(?P<kind>\S+)(?: += +(?P<default>\S+))? {2,}(?P<doc>\S.*)")


_EMPTY = "''"


_LARGEST = 2**63 - 1
"""The largest bigint."""


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError(text)
    text.encode()  # An argument that is no UTF-8 holds lone surrogates, which cannot be sent.
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
    "list": (_list, "texts with commas between"),
    "count": (_count, "a whole number from 0"),
    "number": (_number, "a number"),
    "date": (date.fromisoformat, "a date as YYYY-MM-DD"),
}
"""The kinds of parameters: what reads one, or raises ValueError; and what is to be written for it."""


@dataclass(frozen=True)
class Parameter:
    """What a query is told. `kind` is one of KINDS, or values with | between; without a `default` it must be given."""

    name: str
    kind: str
    default: str | None
    doc: str

    def value(self, text: str) -> Any:
        """`text` as the database gets it. Raises ValueError for one that is not of this kind."""
        if self.kind in KINDS:
            return KINDS[self.kind][0](text)
        if text not in self.kind.split("|"):
            raise ValueError(text)
        return text

    @property
    def wanted(self) -> str:
        """What is to be written for it."""
        return KINDS[self.kind][1] if self.kind in KINDS else " or ".join(self.kind.split("|"))

    def __str__(self) -> str:
        return self.name if self.default is None else f"{self.name}={self.default or _EMPTY}"


@dataclass(frozen=True)
class Query:
    """A named query: what it answers, what it is told, and its SQL, with places for that as psycopg2 has them."""

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    sql: str
    file: Path

    def values(self, given: Mapping[str, str]) -> dict[str, Any]:
        """A value for each parameter. Raises BadParameter for what is unknown, missing or malformed in `given`."""
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
    """Where the files are: in the folder that was `chosen`, else in `sql` beside the configuration file in use, else
    where they came with this program: in its source tree, or where its wheel was installed."""
    if chosen is not None:
        return chosen
    if config_file is None and DEFAULT_FILE.is_file():
        config_file = DEFAULT_FILE
    if config_file is not None and (config_file.parent / _FOLDER).is_dir():
        return config_file.parent / _FOLDER
    source = Path(grt_batch.__file__).parents[1] / DEFAULT_FILE.parent / _FOLDER
    return source if source.is_dir() else _installed() or source


def _installed() -> Path | None:
    with suppress(PackageNotFoundError):
        for file in files(grt_batch.__name__) or ():
            place = Path(str(file.locate()))
            if file.match(_SHARE) and place.is_file():
                return place.resolve().parent
    return None


def read(folder: Path) -> dict[str, Query]:
    """The queries of the files `*.sql` in `folder` by name, in the files' order.

    Raises BadQueries for a file that cannot be read, and for a query that does not say what its parameters are.
    """
    found: dict[str, Query] = {}
    for path in sorted(folder.glob("*.sql")):
        for query in _read_file(path):
            if query.name in found:
                raise BadQueries(file=path, what=f"{query.name} stands in {found[query.name].file.name} already")
            found[query.name] = query
    if not found:
        raise BadQueries(file=folder, what="no file *.sql there has a query")
    return found


def find_query(queries: Mapping[str, Query], name: str) -> Query:
    """The query of this name, in which _ may stand for -. Raises UnknownQuery."""
    query = queries.get(name.replace("_", "-"))
    if query is None:
        raise UnknownQuery(name=name)
    return query


def _read_file(path: Path) -> Iterator[Query]:
    import aiosql

    try:
        loaded = aiosql.from_path(path, "psycopg2", encoding="utf-8")
    except (OSError, ValueError, aiosql.SQLParseException, aiosql.SQLLoadException) as error:
        raise BadQueries(file=path, what=error) from None
    functions = {name: getattr(loaded, name) for name in loaded.available_queries}
    for name in sorted(functions, key=lambda name: functions[name].__code__.co_firstlineno):
        # Beside every query aiosql has a second one, which hands out its cursor.
        if not (name.endswith("_cursor") and name.removesuffix("_cursor") in functions):
            try:
                yield _query(name.replace("_", "-"), functions[name], path)
            except ValueError as error:
                raise BadQueries(file=path, what=f"{name.replace('_', '-')}: {error}") from None


def _query(name: str, function: Any, path: Path) -> Query:
    """A query that aiosql read, with what its comments say. Raises ValueError where they say too little."""
    lines = (function.__doc__ or "").splitlines()
    question = " ".join(line for line in lines if not line.startswith(":"))
    if not question:
        raise ValueError("no comment says what it answers")
    if not function.sql.strip(" \n;"):
        raise ValueError("empty sql")
    parameters = tuple(_parameter(line) for line in lines if line.startswith(":"))
    described = sorted(parameter.name for parameter in parameters)
    used = sorted(set(function.__signature__.parameters) - {"self"})
    if described != used:
        raise ValueError(f"its comments describe the parameters {described}, its SQL has {used}")
    try:
        function.sql % dict.fromkeys(used, "")
    except (TypeError, ValueError):
        raise ValueError("a percent sign is written %%") from None
    return Query(name, question, parameters, function.sql, path)


def _parameter(line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is not :name kind = default, two spaces, and what it is for")
    default = "" if match["default"] == _EMPTY else match["default"]
    parameter = Parameter(match["name"], match["kind"], default, match["doc"])
    if parameter.kind not in KINDS and "|" not in parameter.kind:
        raise ValueError(
            f"{parameter.kind!r} is no kind of parameter: there are {', '.join(KINDS)} and values|like|these"
        )
    if default is not None:
        try:
            parameter.value(default)
        except ValueError:
            raise ValueError(f"the default of {parameter.name} is not {parameter.wanted}") from None
    return parameter
