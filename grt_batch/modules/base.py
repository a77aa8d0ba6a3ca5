"""The contract of a module, and how modules are found.

A module is one report: a stateless bundle of methods, in one file of `grt_batch/modules`. Most are declarations, a
docstring that asks the question, cubes that count, tables that answer, and `rows`, which turns one into the other.

The laws, tested over every module: aggregate(x + y) = merge([aggregate(x), aggregate(y)]) wherever the jobs are cut;
merge is associative and commutative, with empty() as identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.ledger.ledger import Ledger
from grt_batch.schema.records import Job, Record, Records
from grt_batch.schema.tables import Table

Partial = dict[str, pl.DataFrame]
"""A small, mergeable summary of jobs: a frame for each cube, by its name."""


WINDOW_DAYS = 60
"""The longest window that looks back from the as-of day: what cubes of the last days reach back to."""


ALL_INSTANCES = "*"


INSTANCE = "instance_id"


class Module:
    """Asks a question, and says which tables answer it. `packages` are what it imports that an installation without
    extras lacks. One that looks at archives has rows that depend on the ledger's archives, which no rank but the first
    one knows; all others know of an instance but its id and whether it is public. `settings` are the keys of the
    configuration that its rows depend on; it sees the others at their defaults."""

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
        """Whether a partial depends on the first day that is counted by itself."""
        return any(cube.windowed for cube in self.cubes)

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
