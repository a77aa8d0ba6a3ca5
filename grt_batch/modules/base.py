"""The contract of a report, which the program calls a module.

A module is a stateless bundle of methods in one file. Most are declarations: a docstring that asks the question, cubes
that count, tables that answer, and `rows`, which turns the one into the other. `grt_batch.schema.records` has the
fields that can be counted, `grt_batch.aggregate.measures` the cubes, and `grt_batch.modules.helpers` what many reports
need.

The laws, tested over every module: what is counted of jobs x and y together is merge([counted of x, counted of y])
wherever the jobs are cut; merge is associative and commutative, with empty() as identity.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import ClassVar

import numpy as np
import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.columns import packing
from grt_batch.columns.columns import Columns
from grt_batch.columns.texts import Texts
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.schema.parts import ALL
from grt_batch.schema.records import RECORDS, Field, Job, Record
from grt_batch.schema.tables import Table

Counted = dict[str, Columns]
"""A small, mergeable summary of jobs: what each cube has counted, by its name. The store keeps one of an archive as the
module's partial."""


INSTANCE = "instance_id"
"""The column with the id of the instance, which the cubes of `rows` have."""


INSTANCE_KEY = Field(INSTANCE, pl.String(), "", "the instance")
"""The key that the cubes of `rows` have before those that they declare."""


ALL_INSTANCES = ALL
"""The instance_id of rows of all instances together."""


class Partial(Mapping[str, pl.DataFrame]):
    """The cubes of all instances by their names, as `rows` gets them, with the column `instance_id`.

    A frame of a cube is made when it is asked for; `columns` has the integers that it is made of.
    """

    def __init__(self, cubes: Iterable[Cube], columns: Mapping[str, Columns]) -> None:
        """Take the columns of cubes, with those of the instance."""
        self.columns = columns
        self._cubes = {cube.name: of_instances(cube) for cube in cubes}
        self._frame = cache(lambda name: self._cubes[name].frame(self.columns[name]))

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self._frame(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cubes)

    def __len__(self) -> int:
        return len(self._cubes)


def of_instances(cube: Cube) -> Cube:
    """Return a cube with the instance as the first of its keys."""
    return replace(cube, keys=(INSTANCE_KEY, *cube.keys))


class Module:
    """Asks a question, and declares the tables that answer it.

    `name` is what the command line and the store call it; modules with `opt_in` run only where they are named. `needs`
    are the kinds of records that it reads, `cubes` what it counts, `tables` what `rows` returns, and
    `instance_rows` for tables `of_instances`. `packages` are imports that an installation without extras lacks. A
    module that `looks_at_archives` has rows that depend on the ledger's archives, which only the first rank knows; any
    other knows the id of an instance and whether it is public. `settings` are the keys of the configuration that its
    rows depend on; it sees the others at their defaults.

    The store recomputes a module when its file, its cubes or the code that counts change: no version has to be raised.
    """

    name: ClassVar[str]
    opt_in: ClassVar[bool] = False
    looks_at_archives: ClassVar[bool] = False
    settings: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[type[Record], ...]] = (Job,)
    packages: ClassVar[tuple[str, ...]] = ()
    cubes: ClassVar[tuple[Cube, ...]]
    tables: ClassVar[tuple[Table, ...]]

    @property
    def looks_back(self) -> bool:
        """Whether a partial depends on the first day of the window."""
        return any(cube.windowed for cube in self.cubes)

    def empty(self) -> Counted:
        """Return what is counted of no jobs, the identity of `merge`."""
        return {cube.name: cube.empty() for cube in self.cubes}

    def merge(self, parts: Sequence[Counted]) -> Counted:
        """Return one summary, as if the jobs of all had been counted at once, of the cubes that all parts have."""
        return {
            cube.name: cube.merge([part[cube.name] for part in parts])
            for cube in self.cubes
            if all(cube.name in part for part in parts)
        }

    def gathered(self, parts: Sequence[Counted]) -> Counted:
        """Merge what was counted of whole archives of an instance, oldest first. Here a module may let go what is rare,
        to keep its partials small: also of one archive alone.

        The law: gathering what was gathered of the first archives with further ones gives what gathering all at once
        gives.
        """
        return self.merge(parts)

    def pack(self, counted: Counted) -> bytes:
        """Return a summary as bytes, for the store."""
        # Texts that no row has depend on how the jobs were cut.
        return packing.pack({name: cube.own_texts() for name, cube in counted.items()})

    def unpack(self, raw: bytes, cubes: Container[str] | None = None) -> Counted:
        """Return the summary that `pack` packed, or only cubes with these names."""
        return packing.unpack(raw, cubes)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the rows of each of `tables`, by its name, but for those `of_instances`. The cubes of `partial` hold
        all instances, with the column `instance_id`; columns beyond those of the table are ignored."""
        raise NotImplementedError

    def instance_rows(self, partial: Partial, instances: Sequence[InstanceEntry]) -> dict[str, pl.DataFrame]:
        """Return the rows of each of `tables` that is `of_instances`, by its name.

        The cubes of `partial` hold some instances only: those that have something new. They are as in `rows`, without
        the `windowed` ones. `instances` are what the ledger has of the same instances. Nothing else may have a say in
        these rows: no other instance, no setting, and not the as-of day.
        """
        raise NotImplementedError

    def all_rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the rows of all tables, for all instances."""
        found: dict[str, pl.DataFrame] = {}
        if any(table.of_instances for table in self.tables):
            found |= self.instance_rows(partial, ledger.instances)
        if not all(table.of_instances for table in self.tables):
            found |= self.rows(partial, ledger)
        return found


def wanted_by(modules: Iterable[Module]) -> tuple[str, ...]:
    """Return the kinds of joined records that modules need, besides the jobs."""
    needs = {need.kind for module in modules for need in module.needs}
    return tuple(kind for kind in RECORDS if kind in needs and kind != Job.kind)


def concat_instances(cubes: Sequence[Cube], merged: Mapping[str, Counted]) -> Partial:
    """Return the cubes of all instances with the column `instance_id`, whose dictionary has `*` too.

    All columns of a name have one dictionary, so that rows of several cubes can be put together.
    """
    order = sorted(merged)
    instances = Texts.of([ALL_INSTANCES, *order])
    together = {}
    for cube in cubes:
        parts = [merged[instance_id][cube.name] for instance_id in order] or [cube.empty()]
        codes = (
            np.repeat(instances.codes_of(order), [part.height for part in parts]) if order else np.zeros(0, np.int32)
        )
        together[cube.name] = Columns.concat(parts).extended({INSTANCE: codes}, {INSTANCE: instances})
    return Partial(cubes, dict(zip(together, alike(list(together.values())), strict=True)))


def alike(tables: Sequence[Columns]) -> list[Columns]:
    """Return tables whose columns of the same name share a dictionary."""
    parts: dict[str, list[Texts]] = {}
    for table in tables:
        for name, texts in table.texts.items():
            parts.setdefault(name, []).append(texts)
    united = {name: Texts.united(several) for name, several in parts.items()}
    return [
        table.extended(
            {name: own.recoded(table[name], united[name]) for name, own in table.texts.items()},
            {name: united[name] for name in table.texts},
        )
        for table in tables
    ]
