"""The contract of a report, which the program calls a module.

A module is a stateless bundle of methods in one file. Most are declarations: a docstring that asks the question, cubes
that count, tables that answer, and `rows`, which turns the one into the other. `grt_batch.schema.records` has the
fields that can be counted, `grt_batch.aggregate.measures` the cubes, and `grt_batch.modules.helpers` what many reports
need.

The laws, tested over every module: aggregate(x + y) = merge([aggregate(x), aggregate(y)]) wherever the jobs are cut;
merge is associative and commutative, with empty() as identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.frames.dictionaries import alike
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.schema.parts import ALL
from grt_batch.schema.records import RECORDS, Job, Record, Records
from grt_batch.schema.tables import Table

Partial = dict[str, pl.DataFrame]
"""A small, mergeable summary of jobs: a frame for each cube, by its name."""


WINDOW_DAYS = 60
"""The longest window that looks back from the as-of day, in days: windowed cubes reach back this far."""


INSTANCE = "instance_id"
"""The column with the id of the instance, which the cubes of `rows` have."""


ALL_INSTANCES = ALL
"""The instance_id of rows of all instances together."""


class Module:
    """Asks a question, and declares the tables that answer it.

    `name` is what the command line and the store call it; modules with `opt_in` run only where they are named. `needs`
    are the kinds of records that `aggregate` reads, `cubes` what it counts, `tables` what `rows` returns, and
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

    def empty(self) -> Partial:
        """Return the partial of no jobs, the identity of `merge`."""
        return {cube.name: cube.empty() for cube in self.cubes}

    def aggregate(self, records: Records) -> Partial:
        """Return the partial of some jobs with all their records; `records` holds the kinds that the module needs."""
        partial: Partial = {}
        for cube in self.cubes:
            if cube.name not in partial:
                partial |= cube.count(records)
        return partial

    def merge(self, partials: Sequence[Partial]) -> Partial:
        """Return one partial, as if the jobs of all had been aggregated at once, of the cubes that all partials
        have."""
        return {
            cube.name: cube.merge([partial[cube.name] for partial in partials])
            for cube in self.cubes
            if all(cube.name in partial for partial in partials)
        }

    def gathered(self, partials: Sequence[Partial]) -> Partial:
        """Merge the partials of whole archives of an instance, oldest first. Here a module may let go what is rare, to
        keep its partials small: also of one archive alone.

        The law: gathering what was gathered of the first archives with further ones gives what gathering all at once
        gives.
        """
        return self.merge(partials)

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


def concat_instances(cubes: Sequence[Cube], merged: Mapping[str, Partial]) -> Partial:
    """Return the cubes of all instances with the column `instance_id`, whose dictionary has `*` too.

    All columns of a name have one dictionary, so that rows of several cubes can be put together.
    """
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
