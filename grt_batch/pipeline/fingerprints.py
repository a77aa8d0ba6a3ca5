"""Fingerprints of tables: digests of everything that their rows depend on, and nothing else; and what is published of
them already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from grt_batch.core.config import Config
from grt_batch.core.digest import digest, source_digest
from grt_batch.ledger.ledger import ARCHIVE, Ledger
from grt_batch.modules.base import Module
from grt_batch.pipeline.keys import content_key
from grt_batch.pipeline.render import without_archives, without_paths
from grt_batch.schema.parts import WHOLE, Group, grouped
from grt_batch.schema.tables import Table
from grt_batch.sinks.report_set import ReportedFile
from grt_batch.sinks.sink import PartText
from grt_batch.sinks.targets import Targets

RENDERED_BY = (
    "grt_batch.aggregate",
    "grt_batch.columns",
    "grt_batch.kernels",
    "grt_batch.ledger",
    "grt_batch.modules.base",
    "grt_batch.modules.helpers",
    "grt_batch.pipeline.render",
    "grt_batch.schema",
)
"""The code that turns merged partials into the text of tables, beside the module's own file."""


class MergedKey(NamedTuple):
    """The key of some cubes of an instance, merged over its archives."""

    instance_id: str
    windowed: bool
    key: str


class TableGroup(NamedTuple):
    """A table, and a group of instances with rows in it; all instances, where it is not a table `of_instances`."""

    table: str
    group: Group


Fingerprints = Mapping[TableGroup, str]


@dataclass(frozen=True)
class PublishedParts:
    """What the reports and all targets have already: the parts of the groups that did not change, and the
    contents of all parts of the tables that did, by the table's name."""

    unchanged: Mapping[TableGroup, tuple[PartText, ...]] = field(default_factory=dict)
    contents: Mapping[str, frozenset[str]] = field(default_factory=dict)


def fingerprints(modules: Sequence[Module], merged: Mapping[str, Sequence[MergedKey]], ledger: Ledger) -> Fingerprints:
    """Return the fingerprints of the rows of each group of instances in each table.

    `merged` has the keys of the merged partials of each module; the tables of a module without them are left out.
    """
    program = rendering_program(ledger.config)
    groups = grouped(instance.instance_id for instance in ledger.instances) or [WHOLE]
    whole, bare = (
        {instance.instance_id: digest(show(instance)) for instance in ledger.instances}
        for show in (without_paths, without_archives)
    )
    found = {
        TableGroup(ARCHIVE.name, group): digest(ARCHIVE.name, program, group, *_of(group, whole)) for group in groups
    }
    for module in modules:
        if module.name in merged:
            keys, seen = merged[module.name], whole if module.looks_at_archives else bare
            settings = [(key, getattr(ledger.config, key)) for key in module.settings]
            of_all = digest(program, content_key(module, keys), ledger.as_of, settings, *seen.values())
            for table in module.tables:
                if not table.of_instances:
                    found[TableGroup(table.name, WHOLE)] = digest(table.name, of_all)
                    continue
                for group in groups:
                    mine = content_key(module, _unwindowed(keys, group))
                    found[TableGroup(table.name, group)] = digest(table.name, program, group, mine, *_of(group, seen))
    return found


def rendering_program(config: Config) -> str:
    """Return a digest of the code that makes text of rows, and of the setting that it depends on."""
    return digest(_rendering_code(), config.tsv_defuse_formulas)


def _of(group: Group, entries: Mapping[str, str]) -> list[str]:
    return [entries[instance_id] for instance_id in group.instances]


def _unwindowed(merged: Iterable[MergedKey], group: Group) -> list[MergedKey]:
    return [found for found in merged if found.instance_id in group.instances and not found.windowed]


def published_parts(
    tables: Sequence[Table], wanted: Fingerprints, reported: Mapping[str, ReportedFile], targets: Targets
) -> PublishedParts:
    """Return what the `reported` files and all targets have of these tables."""
    if reported:
        targets.ask(tables)
    unchanged: dict[TableGroup, tuple[PartText, ...]] = {}
    contents: dict[str, frozenset[str]] = {}
    for table in tables:
        there = targets.contents(table)
        if table.name not in reported or there is None:
            continue
        file, held = reported[table.name]
        all_have = held.contents.intersection(*there)
        groups = [place for place in wanted if place.table == table.name]
        if not all(held.has(place.group, wanted[place], all_have) for place in groups):
            # Some of its text is copied into a new file, but nothing that somebody else wrote.
            all_have &= held.intact(file)
        same = [place for place in groups if held.has(place.group, wanted[place], all_have)]
        unchanged |= {place: held.groups[place.group.name].parts for place in same}
        contents[table.name] = frozenset(all_have)
    return PublishedParts(unchanged, contents)


def instances_with_changes(
    modules: Sequence[Module], changed: Collection[TableGroup], ledger: Ledger
) -> dict[Module, set[str]]:
    """Return the modules with tables that change, and the instances whose partials these are made of."""
    found: dict[Module, set[str]] = {}
    for module in modules:
        tables = {table.name for table in module.tables}
        for group in (place.group for place in changed if place.table in tables):
            instances = group.instances or [instance.instance_id for instance in ledger.instances]
            found.setdefault(module, set()).update(instances)
    return found


@cache
def _rendering_code() -> str:
    return source_digest(*RENDERED_BY)
