"""Cubes that keep a sample of values: against plain Python, over rows that hypothesis makes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl
import polars.selectors as cs
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.bottom_k import BottomKCube
from grt_batch.aggregate.measures import Count
from grt_batch.aggregate.text_hash import hashes
from grt_batch.schema.records import Field

TOOL = Field("tool", pl.String(), "", "a text, dictionary-encoded in the records")
SETTING = Field("setting", pl.String(), "", "a text of which there are many, or null")
STATE = Field("state", pl.String(), "", "a text")
MOST = 3
CUBE = BottomKCube("cube", (TOOL, SETTING, STATE), (Count("jobs"),), sampled=SETTING, by=(TOOL,), most=MOST)

Row = tuple[str | None, str | None, str]
SETTINGS = [None, "", "é", "\0", *"abcdefgh"]
ROWS = st.lists(
    st.tuples(st.sampled_from([None, "", "x", "y"]), st.sampled_from(SETTINGS), st.sampled_from(["ok", "error"])),
    max_size=40,
)


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows as the join makes them: texts by a dictionary, in the order in which they came."""
    texts = pl.DataFrame(rows, schema={"tool": pl.String, "setting": pl.String, "state": pl.String}, orient="row")
    return texts.select(column.cast(pl.Enum(column.drop_nulls().unique(maintain_order=True))) for column in texts)


def hash_of(setting: str | None) -> int:
    return int(hashes(pl.Series([setting or ""]))[0])


def counted(rows: Sequence[Row], most: int = MOST + 1) -> Counter[tuple[str, str | None, str]]:
    """The jobs of the values with the least hashes, by plain Python."""
    jobs = Counter((tool or "", setting or "", state) for tool, setting, state in rows)
    settings: dict[str, set[str | None]] = {}
    for tool, setting, _ in jobs:
        settings.setdefault(tool, set()).add(setting)
    kept = {(tool, setting) for tool, some in settings.items() for setting in sorted(some, key=hash_of)[:most]}
    return Counter({key: count for key, count in jobs.items() if key[:2] in kept})


def jobs_of(cube: pl.DataFrame) -> dict[tuple[str, str | None, str], int]:
    return {row[:3]: row[3] for row in cube.select("tool", "setting", "state", "jobs").rows()}


@examples(100)
@given(rows=ROWS)
def test_the_values_with_the_least_hashes_are_kept_and_counted_exactly(rows: list[Row]) -> None:
    cube = CUBE.add(frame(rows))
    assert cube.with_columns(cs.enum().cast(pl.String)).schema == CUBE.schema()
    assert jobs_of(cube) == counted(rows)
    assert cube.equals(cube.sort("tool", "setting", "state"))
    assert jobs_of(CUBE.sample(cube)) == counted(rows, MOST)


@examples(60)
@given(parts=st.lists(ROWS, min_size=1, max_size=4))
def test_merging_samples_is_as_adding_all_rows_to_one(parts: list[list[Row]]) -> None:
    cubes = [CUBE.add(frame(rows)) for rows in parts]
    whole = CUBE.add(frame([row for rows in parts for row in rows]))
    assert CUBE.merge(cubes).equals(whole)
    assert CUBE.merge(cubes[::-1]).equals(whole)
    assert CUBE.merge([CUBE.merge(cubes[:2]), *cubes[2:]]).equals(whole)
    assert CUBE.merge([CUBE.empty(), *cubes, CUBE.empty()]).equals(whole)


@examples(60)
@given(rows=ROWS)
def test_sizes_are_exact_up_to_the_most(rows: list[Row]) -> None:
    sizes = {tool: (values, sampled) for tool, values, sampled in CUBE.sizes(CUBE.add(frame(rows))).rows()}
    settings = Counter(tool for tool, _ in {(tool or "", setting) for tool, setting, _ in rows})
    assert sizes.keys() == settings.keys()
    for tool, count in settings.items():
        values, sampled = sizes[tool]
        assert sampled == (count > MOST)
        assert values == count if not sampled else values > 0


def test_nothing_gives_nothing() -> None:
    assert CUBE.add(frame([])).equals(CUBE.empty())
    assert CUBE.merge([]).equals(CUBE.empty())
    assert CUBE.sizes(CUBE.empty()).height == 0
    assert CUBE.sample(CUBE.empty()).equals(CUBE.empty())


def test_a_null_value_is_the_empty_one() -> None:
    rows: list[Row] = [("x", None, "ok"), ("x", "", "ok"), ("x", "", "ok")]
    assert jobs_of(CUBE.add(frame(rows))) == {("x", "", "ok"): 3}


def test_the_estimate_is_near_and_on_neither_side() -> None:
    """Hashes depend on the values alone, so each group has values of its own; nothing here is random."""
    most, groups, values = 100, 40, 1500
    cube = BottomKCube("cube", (TOOL, SETTING, STATE), (Count("jobs"),), sampled=SETTING, by=(TOOL,), most=most)
    rows: list[Row] = [(f"tool {group}", f"{group}:{i}", "ok") for group in range(groups) for i in range(values)]
    added = cube.add(frame(rows))
    assert added.height == groups * (most + 1)
    sizes = cube.sizes(added)
    assert sizes["sampled"].all()
    errors = (sizes["values"] / values - 1).to_numpy()
    sigma = (most - 1) ** -0.5
    assert abs(errors).max() < 4 * sigma
    assert abs(errors.mean()) < 3 * sigma / groups**0.5
    assert 0.7 * sigma < errors.std() < 1.3 * sigma
