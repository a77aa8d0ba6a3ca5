"""Counts the cubes of all modules of a run together.

Cubes of jobs by tool, version, state, day and month are made of *cells*: the jobs are grouped by all of these once,
each measure is computed once, and a cube merges the cells with the same keys, of which there are far fewer than jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from grt_batch.aggregate.distributions import DistributionCube, Distributions
from grt_batch.aggregate.measures import Cube, Measure, selected
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import WINDOW_DAYS, Job, Record, Records

_EPOCH = date(1970, 1, 1)


_CELL = (Job.tool_id, Job.tool_version, Job.state, Job.day, Job.month)
"""The keys of cells, in the order that numbers them fastest: days are many, and those of a tool and state few."""


def counted(cubes: Sequence[Cube], records: Records) -> list[Columns]:
    """Return what the records make of each cube. Equal cubes are counted once."""
    wanted = dict.fromkeys(cubes)
    found = _of_cells([cube for cube in wanted if _has_cells(cube)], records)
    together: dict[Distributions, dict[str, Columns]] = {}
    for cube in wanted:
        if cube in found:
            continue
        rows, since = records[cube.of], _first_day(cube, records)
        if isinstance(cube, DistributionCube):
            known = cube.distributions
            if known not in together:
                together[known] = known.add(rows, since)
            found[cube] = together[known][cube.name]
        else:
            found[cube] = cube.add(rows, since)
    return [found[cube] for cube in cubes]


def _has_cells(cube: Cube) -> bool:
    return type(cube) is Cube and cube.of is Job and set(cube.keys) <= set(_CELL)


def _of_cells(cubes: Sequence[Cube], records: Records) -> dict[Cube, Columns]:
    """Return cubes whose keys are some of those of cells."""
    if not cubes:
        return {}
    names: dict[Measure, str] = {}
    for cube in cubes:
        for measure in cube.measures:
            names.setdefault(replace(measure, name=""), str(len(names)))
    keys = {key for cube in cubes for key in cube.keys}
    keys |= {Record.day for cube in cubes if cube.windowed} | {Record.state for cube in cubes if cube.state is not None}
    measures = tuple(replace(measure, name=name) for measure, name in names.items())
    cells = Cube("cells", tuple(key for key in _CELL if key in keys), measures).add(records[Job])
    found = {}
    for cube in cubes:
        places = selected(cells, (), cube.state, _first_day(cube, records))
        rows = cells.select(cube.key_names)
        for measure in cube.measures:
            of_cells = replace(measure, name=names[replace(measure, name="")]).schema()
            rows = rows.extended({own: cells[name] for own, name in zip(measure.schema(), of_cells, strict=True)})
        found[cube] = cube.rolled_up(rows if places is None else rows.rows(places))
    return found


def _first_day(cube: Cube, records: Records) -> int | None:
    """Return the first day that a cube holds, in days since 1970; None for all."""
    if not cube.windowed or records.since is None:
        return None
    return (records.since - _EPOCH).days + WINDOW_DAYS - cube.days
