"""The popular values: exact until something is cut, within the bound after any merges, and the same in any batches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from build import examples, plain
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.measures import Count, Cube
from grt_batch.aggregate.popular import Popular, capacity
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import Leaf

KEYS = (Leaf.tool_id, Leaf.name)
GROUPS = Cube("groups", KEYS, (Count("jobs", Leaf.first),), of=Leaf)
POPULAR = Popular(GROUPS, Leaf.value, least=2)

Row = tuple[str, str | None, str]
"""The name of a setting, its value, and the state of the job."""
Summary = dict[str, Columns]
ROWS = st.lists(
    st.tuples(st.sampled_from("xy"), st.sampled_from([None, "", *"abcdefgh"]), st.sampled_from(["ok", "error", "new"])),
    max_size=30,
)


def records(rows: Sequence[Row], uses: int = 1) -> Columns:
    """The rows of jobs that have `uses` rows each, as the join makes them."""
    names, values, states = zip(*rows, strict=True) if rows else ((), (), ())
    texts = pl.DataFrame(
        {"tool_id": ["t"] * len(rows), "name": names, "value": values, "state": states}, schema_overrides=_TEXTS
    )
    naming = [value == "d" for value in values]
    first = pl.int_range(pl.len()) % uses == 0
    return Columns.of(texts.with_columns(pl.Series("names_data", naming, pl.Boolean), first=first))


_TEXTS = dict.fromkeys(["tool_id", "name", "value", "state"], pl.String)


def counted(rows: Sequence[Row], of: Popular = POPULAR, uses: int = 1) -> Summary:
    """What is counted of one archive, before anything is let go."""
    found = records(rows, uses)
    return {cube.name: cube.add(found) for cube in of.cubes}


def merged(parts: Sequence[Summary]) -> Summary:
    return {cube.name: cube.merge([part[cube.name] for part in parts]) for cube in POPULAR.cubes}


def frames(summary: Summary, of: Popular = POPULAR) -> dict[str, pl.DataFrame]:
    return {cube.name: plain(cube.frame(summary[cube.name])) for cube in of.cubes}


def same(one: Summary, other: Summary) -> bool:
    here, there = frames(one), frames(other)
    return all(table.equals(there[name]) for name, table in here.items())


def value_of(rows: Sequence[Row]) -> Counter[tuple[str, str]]:
    return Counter((name, value or "") for name, value, _ in rows)


@examples(100)
@given(rows=ROWS)
def test_jobs_are_counted_by_value_and_state(rows: list[Row]) -> None:
    values = plain(POPULAR.values.frame(POPULAR.values.add(records(rows))))
    assert values.schema == POPULAR.values.schema()
    assert values.equals(values.sort("tool_id", "name", "value"))
    states = Counter((name, value or "", state) for name, value, state in rows)
    assert {row[1:3]: row[3:] for row in values.rows()} == {
        key: (jobs, states[(*key, "ok")], states[(*key, "error")], 0) for key, jobs in value_of(rows).items()
    }


@examples(60)
@given(rows=ROWS)
def test_what_is_marked_does_not_count(rows: list[Row]) -> None:
    marked = Popular(GROUPS, Leaf.value, but=Leaf.names_data)
    assert marked.groups.add(records(rows))["jobs"].sum() == len(rows)
    values = plain(marked.values.frame(marked.values.add(records(rows))))
    others = records([row for row in rows if row[1] != "d"])
    assert values.equals(plain(POPULAR.values.frame(POPULAR.values.add(others))))


@examples(60)
@given(parts=st.lists(ROWS, min_size=1, max_size=4))
def test_merging_counts_is_as_adding_all_rows_to_one(parts: list[list[Row]]) -> None:
    cubes = [counted(rows) for rows in parts]
    whole = counted([row for rows in parts for row in rows])
    assert same(merged(cubes), whole)
    assert same(merged(cubes[::-1]), whole)
    assert same(merged([merged(cubes[:2]), *cubes[2:], merged([])]), whole)


@examples(60)
@given(parts=st.lists(ROWS, min_size=3, max_size=3))
def test_merging_what_was_cut_is_associative_and_commutative(parts: list[list[Row]]) -> None:
    a, b, c = (POPULAR.gathered([counted(rows)]) for rows in parts)
    assert same(merged([merged([a, b]), c]), merged([a, merged([b, c])]))
    assert same(merged([a, b]), merged([b, a]))
    assert same(merged([merged([]), a]), a)


@examples(100)
@given(parts=st.lists(ROWS, min_size=1, max_size=6), cuts=st.lists(st.integers(0, 6), max_size=4))
def test_archives_gathered_in_any_batches_give_the_same(parts: list[list[Row]], cuts: list[int]) -> None:
    archives = [POPULAR.gathered([counted(rows)]) for rows in parts]
    whole = POPULAR.gathered(archives)
    found = POPULAR.gathered([])
    for begin, end in pairwise([0, *sorted(cuts), len(parts)]):
        found = POPULAR.gathered([found, *archives[begin:end]])
    assert same(found, whole)
    assert same(POPULAR.gathered([whole]), whole)


class Plain:
    """The summary of one group in plain Python."""

    def __init__(self, values: Sequence[str] = ()) -> None:
        self.jobs, self.paid = Counter(values), Counter[str]()
        self.lost = self.dropped = 0

    def add(self, other: Plain) -> None:
        self.jobs += other.jobs
        self.paid += other.paid
        self.lost += other.lost
        self.dropped += other.dropped

    def cut(self, most: int) -> Plain:
        """Of more than twice so many values, leave those whose weights are greater than that of the next."""
        if len(self.jobs) > 2 * most:
            weights = {value: jobs - self.paid[value] for value, jobs in self.jobs.items()}
            deducted = sorted(weights.values(), reverse=True)[most]
            kept = {value for value, weight in weights.items() if weight > deducted}
            self.lost += deducted
            self.dropped += sum(jobs for value, jobs in self.jobs.items() if value not in kept)
            self.paid = Counter({value: self.paid[value] + deducted for value in kept})
            self.jobs = Counter({value: self.jobs[value] for value in kept})
        return self


@examples(100)
@given(parts=st.lists(ROWS, min_size=1, max_size=6))
def test_a_summary_is_what_plain_python_makes_of_it(parts: list[list[Row]]) -> None:
    found = frames(POPULAR.gathered([POPULAR.gathered([counted(rows)]) for rows in parts]))
    lost = {row[1]: row[2:4] for row in found["cuts"].rows()}
    for name in {name for rows in parts for name, _, _ in rows}:
        plain = Plain()
        for rows in parts:
            plain.add(Plain([value or "" for own, value, _ in rows if own == name]).cut(POPULAR.least))
            plain.cut(POPULAR.least)
        kept = found["values"].filter(name=name).select("value", "jobs", "paid")
        assert kept.rows() == [(value, plain.jobs[value], plain.paid[value]) for value in sorted(plain.jobs)]
        assert lost.get(name, (0, 0)) == (plain.lost, plain.dropped)
    assert found["groups"].equals(frames(merged([counted(rows) for rows in parts]))["groups"])


def zipf(random_: random.Random, count: int) -> Iterator[str]:
    while True:
        yield f"{int(random_.paretovariate(0.7))}"


def rising(random_: random.Random, count: int) -> Iterator[str]:
    """Each number once, from the first to the last; in between the same one."""
    for number in range(count):
        yield f"{number}" if number % 50 else "popular"


def in_turn(random_: random.Random, count: int) -> Iterator[str]:
    """Each value as often as all others, one more than are kept, and sometimes one of its own."""
    for number in range(count):
        yield f"{number % 41}" if number % 3 else f"own {number}"


def late(random_: random.Random, count: int) -> Iterator[str]:
    """At first everything is different, then everything the same."""
    for number in range(count):
        yield "popular" if number > 0.95 * count else f"{number}"


def in_pairs(random_: random.Random, count: int) -> Iterator[str]:
    """Each value twice, far from each other."""
    for number in range(count):
        yield f"{number % (count // 2)}"


SOURCES: list[Callable[[random.Random, int], Iterator[str]]] = [zipf, rising, in_turn, late, in_pairs]
LEAST, COUNT = 20, 2100
BOUNDED = Popular(GROUPS, Leaf.value, least=LEAST)


def in_order(archives: list[Summary], random_: random.Random) -> Summary:
    """One archive after the other."""
    return BOUNDED.gathered(archives)


def by_twos(archives: list[Summary], random_: random.Random) -> Summary:
    """A tree of merges, whichever come next to each other."""
    while len(archives) > 1:
        place = random_.randrange(len(archives) - 1)
        archives[place : place + 2] = [BOUNDED.gathered(archives[place : place + 2])]
    return archives[0]


def uncut(archives: list[Summary], random_: random.Random) -> Summary:
    """All merged, as those of instances are."""
    return {cube.name: cube.merge([one[cube.name] for one in archives]) for cube in BOUNDED.cubes}


@pytest.mark.parametrize("tree", [in_order, by_twos, uncut])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("size", "uses"), [(COUNT, 1), (300, 1), (50, 1), (300, 3), (300, 25)])
def test_the_bound_holds(
    source: Callable[[random.Random, int], Iterator[str]],
    tree: Callable[[list[Summary], random.Random], Summary],
    size: int,
    uses: int,
) -> None:
    """Archives of `size` rows, `uses` of each job; a value stands once in a job."""
    random_ = random.Random(size * uses)
    values = [value for value, _ in zip(source(random_, COUNT), range(COUNT), strict=False)]
    rows: list[Row] = []
    for begin in range(0, COUNT, uses):
        own = list(dict.fromkeys(values[begin : begin + uses]))
        rows += [("n", own[i] if i < len(own) else f"{begin} {i}", "ok") for i in range(uses)]
    true = Counter(value for _, value, _ in rows)
    parts = [rows[i : i + size] for i in range(0, COUNT, size)]
    summary = tree([BOUNDED.gathered([counted(part, BOUNDED, uses)]) for part in parts], random_)
    found = frames(summary, BOUNDED)
    jobs = found["groups"]["jobs"].item()
    lost, dropped = found["cuts"].select("lost", "dropped").row(0) if found["cuts"].height else (0, 0)
    assert jobs == COUNT // uses
    assert dropped + found["values"]["jobs"].sum() == COUNT
    assert lost < 7.6 / LEAST * jobs
    if uses == 1:
        assert lost <= jobs / LEAST
    kept = {value: (known, paid) for value, known, paid in found["values"].select("value", "jobs", "paid").rows()}
    for value, count in true.items():
        known, paid = kept.get(value, (0, 0))
        assert known <= count <= known + lost - paid
    if tree is not uncut:
        assert len(kept) <= 2 * capacity(np.array([COUNT]), np.array([jobs]), LEAST)[0]
    distinct = most_used(BOUNDED, summary, 1)[0]["distinct_values"].item()
    assert distinct == pytest.approx(len(true), rel=0.03 if found["cuts"].height else 0)


def test_the_capacity_keeps_the_loss_below_its_bound_however_many_values_a_job_uses() -> None:
    """The worst that can come: no new jobs, and all that is used is let go at once."""
    jobs, lost, removed = 10.0**6, 0.0, 0.0
    for _ in range(1000):
        step = max(removed, jobs / 100) * 0.02
        removed += step
        lost += step / capacity(np.array([removed]), np.array([jobs]), 1000)[0]
    assert removed / jobs > 10**5
    assert lost < 0.0076 * jobs


def most_used(of: Popular, summary: Summary, most: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The groups and the values that are listed, as frames."""
    groups, values = of.most_used(*(summary[cube.name] for cube in of.cubes), most)
    more = dict.fromkeys(("distinct_values", "listed_jobs"), pl.Int64())
    types = {**of.values.schema(), "at_least": pl.Boolean()}
    return plain(groups.frame({**of.groups.schema(), **more})), plain(values.frame(types))


def listed(rows: Sequence[Row], most: int, of: Popular = POPULAR) -> dict[str, list[tuple[str, int, bool]]]:
    """The values that are listed of each name."""
    _, some = most_used(of, of.gathered([counted(rows, of)]), most)
    table: dict[str, list[tuple[str, int, bool]]] = {}
    for name, value, jobs, at_least in some.select("name", "value", "jobs", "at_least").rows():
        table.setdefault(name, []).append((value, jobs, at_least))
    return table


def test_the_most_used_are_listed_and_ties_go_by_value() -> None:
    rows: list[Row] = [("x", value, "ok") for value in "bbbccaaddd"] + [("y", "b", "ok")]
    exact = Popular(GROUPS, Leaf.value)
    assert listed(rows, 4, exact) == {
        "x": [("b", 3, False), ("d", 3, False), ("a", 2, False), ("c", 2, False)],
        "y": [("b", 1, False)],
    }
    assert listed(rows, 3, exact)["x"] == [("b", 3, False), ("d", 3, False), ("a", 2, False)]


@pytest.mark.parametrize(("values", "found"), [("aab", "ab"), ("aabc", "a"), ("abc", "")])
def test_of_too_many_values_none_of_a_single_job_is_listed(values: str, found: str) -> None:
    table = listed([("x", value, "ok") for value in values], 2, Popular(GROUPS, Leaf.value))
    assert [value for value, _, _ in table.get("x", [])] == list(found)


def test_a_value_that_may_have_one_percent_goes_first() -> None:
    """Of 400 jobs 4 are 1 %: b is known of 3, but may have them."""
    keys = pl.DataFrame({"tool_id": ["t"], "name": ["x"]})
    some = pl.DataFrame({"value": ["a", "b", "c"], "jobs": [3, 3, 396], "ok": 0, "error": 0, "paid": [1, 0, 1]})
    cuts = keys.with_columns(lost=1, dropped=1, registers=pl.lit(bytes(1 << 15)))
    tables = [keys.with_columns(jobs=400), keys.join(some, how="cross"), cuts]
    summary = {cube.name: Columns.of(table) for cube, table in zip(POPULAR.cubes, tables, strict=True)}
    groups, found = most_used(POPULAR, summary, 2)
    assert found.select("value", "at_least").rows() == [("c", False), ("b", True)]
    assert groups.select("distinct_values", "listed_jobs").row(0) == (3, 399)


def test_nothing_gives_nothing() -> None:
    none = merged([])
    assert same(counted([]), none)
    assert same(POPULAR.gathered([none, none]), none)
    groups, found = most_used(POPULAR, none, 5)
    assert (groups.height, found.height) == (0, 0)
