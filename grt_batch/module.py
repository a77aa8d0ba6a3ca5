"""The contract of a module, and how modules are found.

A module is one report: a stateless bundle of methods, in one file of `grt_batch/modules`. Most are declarations, a
docstring that asks the question, cubes that count, tables that answer, and `rows`, which turns one into the other.

The laws, tested over every module: aggregate(x + y) = merge([aggregate(x), aggregate(y)]) wherever the jobs are cut;
merge is associative and commutative, with empty() as identity.
"""

from __future__ import annotations

import builtins
import importlib
import pkgutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import ClassVar, Protocol

import polars as pl

from grt_batch.errors import UnknownModule
from grt_batch.joined import Job, Record, Records
from grt_batch.ledger import Ledger
from grt_batch.measures import Cube
from grt_batch.tables import Table
from grt_batch.texts import alike

Partial = dict[str, pl.DataFrame]
"""A small, mergeable summary of jobs: a frame for each cube, by its name."""

WINDOW_DAYS = 60
"""The longest window that looks back from the as-of day: what cubes of the last days reach back to."""

ALL_INSTANCES = "*"
INSTANCE = "instance_id"


class Module:
    """Asks a question, and says which tables answer it. `packages` are what it imports that an installation without
    extras lacks. One that looks at archives has rows that depend on the ledger's archives, which no rank but the first
    one knows; all others know of an instance but its id and whether it is public."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    opt_in: ClassVar[bool] = False
    looks_at_archives: ClassVar[bool] = False
    needs: ClassVar[tuple[type[Record], ...]] = (Job,)
    packages: ClassVar[tuple[str, ...]] = ()
    cubes: ClassVar[tuple[Cube, ...]]
    tables: ClassVar[tuple[Table, ...]]

    @property
    def looks_back(self) -> bool:
        """Whether a partial depends on the first day that is counted by itself."""
        return any(cube.lately for cube in self.cubes)

    def empty(self) -> Partial:
        """The partial of no jobs, the identity of `merge`."""
        return {cube.name: cube.empty() for cube in self.cubes}

    def aggregate(self, records: Records) -> Partial:
        """The partial of some jobs and all that was recorded of them; `records` holds what this module `needs`."""
        return {cube.name: cube.count(records) for cube in self.cubes}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        """One partial, as if the jobs of all had been aggregated at once; of those cubes that all the partials have."""
        return {
            cube.name: cube.merge([partial[cube.name] for partial in partials])
            for cube in self.cubes
            if all(cube.name in partial for partial in partials)
        }

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """The rows of each of `tables`, by its name. Here the cubes of `partial` are `over_all` instances."""
        raise NotImplementedError


PARTS = "parts"
"""The one frame of an export's partial."""

PART = pl.Schema(
    {"name": pl.String(), "jobs": pl.Int64(), "rows": pl.Int64(), "bytes": pl.Int64(), "data": pl.Binary()}
)
"""What a part belongs to, and its jobs, rows and bytes before compression; and the part itself."""


@dataclass(frozen=True)
class Part:
    """A piece of an export: `name` says what it belongs to; parts of the same name are put one behind the other."""

    name: str
    jobs: int
    rows: int
    bytes: int
    data: builtins.bytes


class LoadParts(Protocol):
    """Reads the parts of an archive."""

    def __call__(self, names: Collection[str] | None = None) -> Sequence[Part]:
        """All of them, or those of these names, in their order."""


@dataclass(frozen=True)
class ArchiveParts:
    """The parts of an archive. `key` is that of all they are made of: the same key, the same parts."""

    instance_id: str
    key: str
    load: LoadParts


class Export(Module):
    """Passes records on instead of counting them. Its partial is what the workers have made of the records of an
    archive, in parts, which the coordinator puts behind those of the archives before.

    The law of exports: where the jobs are cut, parts of the same name say together what the part of all of them says.
    """

    opt_in = True
    cubes: ClassVar[tuple[Cube, ...]] = ()
    tables: ClassVar[tuple[Table, ...]] = ()

    def parts(self, records: Records) -> Iterator[Part]:
        """The parts of some records, each name once."""
        raise NotImplementedError

    def empty(self) -> Partial:
        """No parts."""
        return {PARTS: pl.DataFrame(schema=PART)}

    def aggregate(self, records: Records) -> Partial:
        """The parts of some jobs and all that was recorded of them."""
        rows = [(part.name, part.jobs, part.rows, part.bytes, part.data) for part in self.parts(records)]
        return {PARTS: pl.DataFrame(rows, schema=PART, orient="row")}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        """All parts, in the order of `partials`."""
        return {PARTS: pl.concat([partial[PARTS] for partial in partials])}

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Nothing: what an export publishes does not go through the memory of one rank."""
        return {}


class FolderExport(Export):
    """An export into a folder of the report set, which readers see as a whole or not at all."""

    def write(self, folder: Path, archives: Sequence[ArchiveParts], ledger: Ledger, before: Path | None) -> None:
        """Fill `folder`, which is empty. `archives` are in order, instance by instance; `before` is the folder of an
        earlier run, whose files never change and may be linked. Raises OSError, and GrtError."""
        raise NotImplementedError


class TableExport(Export):
    """An export into tables that are partitioned by instance; a part is named after its table, and holds rows in
    PostgreSQL's binary COPY format, without header and trailer and without the column instance_id."""


def over_all(cubes: Sequence[Cube], merged: Mapping[str, Partial]) -> Partial:
    """The cubes of all instances with the column `instance_id`, which knows `*` too. All columns of a name have one
    dictionary, so that rows of several cubes can be put together."""
    instances = pl.Enum(sorted({ALL_INSTANCES, *merged}))
    names = [cube.name for cube in cubes for _ in merged]
    frames = [
        partial[cube.name].select(pl.lit(instance_id, instances).alias(INSTANCE), pl.all())
        for cube in cubes
        for instance_id, partial in merged.items()
    ]
    together: dict[str, list[pl.DataFrame]] = {cube.name: [] for cube in cubes}
    for name, frame in zip(names, alike(frames, {text for cube in cubes for text in cube.texts}), strict=True):
        together[name].append(frame)
    return {cube.name: pl.concat(together[cube.name], rechunk=True) for cube in cubes}


def with_all_instances(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of every instance, and once more all of them as those of the instance `*`."""
    everywhere = pl.lit(ALL_INSTANCES, frame.schema[INSTANCE]).alias(INSTANCE)
    return pl.concat([frame, frame.with_columns(everywhere)])


def within(ledger: Ledger, days: int, *, ago: int = 0) -> pl.Expr:
    """Which rows are of `days` UTC days, the last of them the as-of day, or `ago` days before it."""
    last = ledger.as_of - timedelta(days=ago)
    return pl.col(Job.day.name).is_between(last - timedelta(days=days - 1), last)


def jobs_in(state: str) -> pl.Expr:
    """The jobs in a state, of rows with the columns `jobs` and `state`."""
    # As a text: a dictionary without this state would refuse to compare.
    return pl.col("jobs").filter(pl.col("state").cast(pl.String) == state).sum()


def hours(total: pl.Expr, unit: int) -> pl.Expr:
    """Hours, from an exact sum of 1 / `unit` seconds."""
    # Not by a constant: polars would multiply by its reciprocal, other than where there is but one row.
    return total.cast(pl.Float64) / (total.cast(pl.Float64) * 0 + float(3600 * unit))


@cache
def discover() -> dict[str, Module]:
    """All modules by name: the subclasses of Module in the files of `grt_batch/modules`, in the files' order.

    Raises TypeError where two modules or two tables have the same name.
    """
    import grt_batch.modules as package

    found: dict[str, Module] = {}
    owners: dict[str, str] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        file = importlib.import_module(f"{package.__name__}.{info.name}")
        for item in vars(file).values():
            if not (isinstance(item, type) and issubclass(item, Module) and item.__module__ == file.__name__):
                continue
            if item.name in found:
                raise TypeError(f"two modules are called {item.name}")
            found[item.name] = item()
            for table in item.tables:
                if owners.setdefault(table.name, item.name) != item.name:
                    raise TypeError(f"{item.name} and {owners[table.name]} both publish the table {table.name}")
    return found


def chosen(names: Sequence[str]) -> tuple[Module, ...]:
    """The modules of these names; without names, all but those that are opt-in. Raises UnknownModule."""
    known = discover()
    for name in names:
        if name not in known:
            raise UnknownModule(name=name, known=", ".join(known))
    return tuple(module for name, module in known.items() if (name in names if names else not module.opt_in))
