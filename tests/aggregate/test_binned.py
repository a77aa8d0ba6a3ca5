"""Counts by bin against plain Python: percentiles and coarse bins of groups of runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.binned import Binned, quantiles
from grt_batch.aggregate.measures import Count, Cube
from grt_batch.aggregate.sketch import BIN, bin_of, coarse_bins
from grt_batch.columns.columns import Columns
from grt_batch.kernels.constants import STEPS
from grt_batch.schema.records import Field

LAST = 2**63 - 1
VALUES = st.integers(0, 3 * STEPS) | st.integers(0, 63).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))
PERCENTS = (1, 25, 50, 75, 90, 95, 99, 100)
TOOL, SCALE = Field("tool", pl.String(), "", "a tool"), Field("scale", pl.Int8(), "", "an exponent")
CUBE = Cube("bins", (TOOL, SCALE, BIN), (Count("jobs"),))
ROW = st.tuples(st.sampled_from("abc"), st.sampled_from([-9, -3, 0]), VALUES)


def bins_of(values: Sequence[int]) -> list[int]:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Int64})
    return frame.select(bin_of(pl.col("value")))[BIN.name].to_list()


def exact(values: Sequence[int], percent: int) -> int:
    """The order statistic by its definition."""
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def binned(rows: Sequence[tuple[str, int, int]]) -> Binned:
    """The counts of values of tools, each with its scale."""
    frame = pl.DataFrame(rows, schema={"tool": pl.String, "scale": pl.Int8, "value": pl.Int64}, orient="row")
    return Binned.of(CUBE.add(Columns.of(frame.with_columns(bin_of(pl.col("value"))))), ["tool", "scale"])


def twice(runs: Columns) -> Columns:
    """The runs as they are, and those of all tools together as of the tool a."""
    frame = runs.frame({"tool": pl.String()}).with_columns(pl.lit("a").alias("tool"))
    return Columns.concat([runs, runs.extended(Columns.of(frame).arrays, Columns.of(frame).texts)])


@examples(60)
@given(rows=st.lists(ROW, max_size=40), more=st.lists(ROW, max_size=10))
def test_percentiles_are_of_all_runs_with_the_same_keys(
    rows: list[tuple[str, int, int]], more: list[tuple[str, int, int]]
) -> None:
    groups = defaultdict(list)
    for tool, scale, value in rows + more:
        groups[tool].append((scale, *bins_of([value])))
        groups["a"].append((scale, *bins_of([value])))
    found = Binned.concat([binned(rows), binned(more)]).each(twice).percentiles(["tool"], PERCENTS, "scale")
    assert found.frame({"tool": pl.String()})["tool"].to_list() == sorted(groups)
    for percent in PERCENTS:
        pairs = zip(found[f"p{percent}_of"].tolist(), found[f"p{percent}"].tolist(), strict=True)
        ranks = {tool: -(-percent * len(values) // 100) for tool, values in groups.items()}
        assert list(pairs) == [sorted(groups[tool])[ranks[tool] - 1] for tool in sorted(groups)]


@examples(60)
@given(rows=st.lists(ROW, max_size=40))
def test_coarse_bins_hold_what_their_bins_hold(rows: list[tuple[str, int, int]]) -> None:
    table = coarse_bins(1)
    counts = Counter((tool, table[bins_of([value])[0]]) for tool, _, value in rows)
    found = binned(rows).coarse(["tool"], table).frame({"tool": pl.String(), BIN.name: BIN.type, "jobs": pl.Int64()})
    assert found.rows() == [(*key, counts[key]) for key in sorted(counts)]


@examples(60)
@given(rows=st.lists(ROW, max_size=40), limit=st.integers(0, 3 * STEPS))
def test_values_above_a_limit_are_counted(rows: list[tuple[str, int, int]], limit: int) -> None:
    of = binned(rows)
    found, above = of.above(np.full(of.runs.height, limit, np.int16))
    keys = of.runs.frame({"tool": pl.String(), "scale": pl.Int8()}).rows()
    whole = Counter(row[:2] for row in rows)
    some = Counter(row[:2] for row in rows if bins_of([row[2]])[0] > limit)
    assert dict(zip(keys, found.tolist(), strict=True)) == whole
    assert dict(zip(keys, above.tolist(), strict=True)) == {key: some[key] for key in keys}


def test_quantiles_of_runs_are_those_of_their_rows() -> None:
    rows = [(tool, -7, value) for tool in "ab" for value in (1, 5, 900, 10**9)]
    of = binned(rows)
    frame = CUBE.frame(
        CUBE.add(
            Columns.of(
                pl.DataFrame(
                    {"tool": [row[0] for row in rows], "scale": -7, BIN.name: bins_of([row[2] for row in rows])},
                    schema_overrides={"scale": pl.Int8, BIN.name: BIN.type},
                )
            )
        )
    )
    assert of.quantiles((TOOL,), (50, 95)).equals(quantiles(frame, ["tool"], (50, 95)))


SHAPES = {
    "constant": VALUES.flatmap(lambda value: st.integers(1, 200).map(lambda n: [value] * n)),
    "two points": st.tuples(VALUES, VALUES, st.integers(1, 99), st.integers(1, 99)).map(
        lambda points: [points[0]] * points[2] + [points[1]] * points[3]
    ),
    "mostly zero": st.tuples(st.integers(1, 200), st.lists(VALUES, max_size=20)).map(
        lambda parts: [0] * parts[0] + parts[1]
    ),
    "skewed": st.lists(st.integers(0, 62).map(lambda bits: 1 << bits), min_size=1, max_size=100),
    "huge": st.lists(st.integers(2**62, LAST), min_size=1, max_size=100),
    "any": st.lists(VALUES, min_size=1, max_size=100),
}


@pytest.mark.parametrize("shape", SHAPES)
@examples(60)
@given(data=st.data())
def test_a_quantile_lies_by_the_order_statistic(shape: str, data: st.DataObject) -> None:
    values = data.draw(SHAPES[shape])
    frame = pl.DataFrame({"of": "all", BIN.name: bins_of(values), "jobs": 1}, schema_overrides={BIN.name: BIN.type})
    (row,) = quantiles(frame, ["of"], PERCENTS).rows(named=True)
    for percent in PERCENTS:
        wanted = exact(values, percent)
        assert abs(row[f"p{percent}"] - wanted) * 2 * STEPS <= wanted


@examples(60)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2]), st.integers(0, STEPS), st.integers(1, 2**40)),
        max_size=40,
    )
)
def test_each_group_has_its_own_quantiles_whatever_the_order_of_the_rows(rows: list[tuple[str, int, int, int]]) -> None:
    schema = {"one": pl.String, "two": pl.Int64, BIN.name: BIN.type, "n": pl.Int64}
    found = quantiles(pl.DataFrame(rows, schema=schema, orient="row"), ["one", "two"], PERCENTS, "n")
    assert found.select("one", "two").rows() == sorted({row[:2] for row in rows})
    for row in found.iter_rows(named=True):
        counted = sorted((value, count) for one, two, value, count in rows if (one, two) == (row["one"], row["two"]))
        n = sum(count for _, count in counted)
        for percent in PERCENTS:
            rank, reached = -(-percent * n // 100), accumulate(count for _, count in counted)
            wanted = next(value for (value, _), so_far in zip(counted, reached, strict=True) if so_far >= rank)
            assert row[f"p{percent}"] == wanted


def test_no_rows_have_no_quantiles() -> None:
    frame = pl.DataFrame(schema={"of": pl.String, BIN.name: BIN.type, "jobs": pl.Int64})
    assert quantiles(frame, ["of"], (50,)).rows() == []
