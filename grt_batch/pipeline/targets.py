"""The targets of a run, and which data are where, by the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from grt_batch.core.config import Config
from grt_batch.core.config_values import MAIN, REPORTS
from grt_batch.core.errors import BadArguments, BadConfig, BadDatabaseUrl
from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export, FolderExport
from grt_batch.modules.registry import discover
from grt_batch.schema.tables import Table
from grt_batch.sinks.database_url import location
from grt_batch.sinks.schema import SCHEMA
from grt_batch.sinks.targets import Target

OF_EVERY_TARGET = (ARCHIVE.name, "instance")
"""The tables that every target gets, of those that a run computes: without them nobody knows what the others are of."""


def chosen_targets(
    config: Config, names: Sequence[str], database: Callable[[], AbstractContextManager[str]]
) -> list[Target]:
    """Return the targets with these names, without names all that are active; the main one first, whose server
    `database` starts.

    Raises BadArguments for a name that no target has, and BadConfig for targets that are not possible.
    """
    limits = table_limits(config)
    for name in names:
        if name not in limits:
            raise BadArguments(command="run", what=f"there is no target {name!r}, only {', '.join(limits)}")
    active = [MAIN, *(name for name, target in config.targets.items() if target.active)]
    chosen = [name for name in limits if name in (names or active)]
    urls = _urls(config)
    for place, name in enumerate(chosen):
        for other in chosen[:place]:
            if urls[name] == urls[other]:
                raise _impossible(name, f"it is the database of {other}")
    return [Target(name, database if name == MAIN else _server_of(urls[name]), limits[name]) for name in chosen]


def _urls(config: Config) -> dict[str, str]:
    """Return the URL of each target, the main one first."""
    return {MAIN: config.database} | {name: target.url for name, target in config.targets.items()}


def _server_of(url: str) -> Callable[[], AbstractContextManager[str]]:
    """Return what gives the URL of a server that is no business of this program."""
    return lambda: nullcontext(url)


def table_limits(config: Config) -> dict[str, frozenset[str] | None]:
    """Return the names of the tables that each target gets, None for all; the main one is the first.

    Raises BadConfig for targets that are not possible.
    """
    modules = discover(config.modules_dir)
    tables = {table.name for table, _ in _tables(modules)}
    limits: dict[str, frozenset[str] | None] = {MAIN: None}
    for name, target in config.targets.items():
        unknown = [
            *(it for it in target.modules if it not in modules),
            *(it for it in target.tables if it not in tables),
        ]
        if unknown:
            raise _impossible(name, f"there is no module or table {', '.join(unknown)}")
        if name in modules:
            raise _impossible(name, "a module has this name; choose another one")
        if target.url == "embedded":
            raise _impossible(name, "only the key database can be embedded")
        of_modules = (table.name for module in target.modules for table in modules[module].tables)
        wanted = frozenset((*of_modules, *target.tables))
        limits[name] = wanted.union(OF_EVERY_TARGET) if wanted else None
    return limits


def _impossible(name: str, what: str) -> BadConfig:
    return BadConfig(file="of this run", what=f"[targets.{name}]: {what}")


def datasources(config: Config) -> list[tuple[Any, ...]]:
    """Return the rows of the table `datasource`, a function of the configuration alone."""
    modules = discover(config.modules_dir)
    rows: list[tuple[str, str, str, str | None, str | None, bool]] = []
    urls = _urls(config)
    active = {MAIN: True} | {name: target.active for name, target in config.targets.items()}
    for target, only in table_limits(config).items():
        place = _place(urls[target])
        for table, every_run in _tables(modules):
            if only is None or table.name in only or table in (RUN, DATASOURCE):
                rows.append((table.name, "table", target, SCHEMA, place, every_run and active[target]))
    for name, kind, every_run in _reported(modules):
        rows.append((name, kind, REPORTS, None, _text(config.reports), every_run))
    return [(config.project, *row) for row in rows]


def _place(url: str) -> str | None:
    if url == "embedded":
        return url
    try:
        place = location(url)
    except BadDatabaseUrl:
        # The target itself fails by it, and holds back no other.
        return None
    return place and _text(place)


def _text(place: str | Path) -> str:
    """Return a place as a text: a path may hold any bytes."""
    return str(place).encode(errors="surrogateescape").decode(errors="replace")


def _tables(modules: Mapping[str, Module]) -> Iterator[tuple[Table, bool]]:
    """Yield every table of a database, and whether every run publishes it."""
    yield from ((table, True) for table in (RUN, DATASOURCE, ARCHIVE))
    yield from ((table, not module.opt_in) for module in modules.values() for table in module.tables)


def _reported(modules: Mapping[str, Module]) -> Iterator[tuple[str, str, bool]]:
    """Yield what report sets have: its name, its kind, and whether it is in every one."""
    yield ARCHIVE.name, "tsv", True
    for module in modules.values():
        if isinstance(module, FolderExport):
            yield module.name, module.name, not module.opt_in
        elif not isinstance(module, Export):
            yield from ((table.name, "tsv", not module.opt_in) for table in module.tables)
