"""Counts the cubes of all modules of a run together."""

from __future__ import annotations

from collections.abc import Sequence

from grt_batch.aggregate.distributions import DistributionCube, Distributions
from grt_batch.aggregate.measures import Cube
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import Records


def counted(cubes: Sequence[Cube], records: Records) -> list[Columns]:
    """Return what the records make of each cube. Equal cubes are counted once."""
    found: dict[Cube, Columns] = {}
    together: dict[Distributions, dict[str, Columns]] = {}
    for cube in cubes:
        if cube in found:
            continue
        rows = records.windowed(cube.of, cube.days) if cube.windowed else records[cube.of]
        if isinstance(cube, DistributionCube):
            known = cube.distributions
            if known not in together:
                together[known] = known.add(rows)
            found[cube] = together[known][cube.name]
        else:
            found[cube] = cube.add(rows)
    return [found[cube] for cube in cubes]
