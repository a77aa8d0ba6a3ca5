"""Who does what, as laws over any number of ranks, archives and loads."""

from __future__ import annotations

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.ranks.scheduling import COORDINATOR, Load, controllers, is_worth_reporting, most_loaded

RANKS = st.integers(2, 100_000)
LOADS = st.dictionaries(st.integers(1, 50), st.builds(Load, st.integers(0, 2**40), st.integers(0, 9)), min_size=1)


@examples(200)
@given(ranks=RANKS, archives=st.integers(1, 100_000))
def test_there_is_a_controller_and_never_more_than_ranks_or_archives(ranks: int, archives: int) -> None:
    assert 1 <= controllers(ranks, archives) <= min(ranks - 1, archives)


@examples(50)
@given(ranks=RANKS)
def test_without_archives_nobody_leads(ranks: int) -> None:
    assert controllers(ranks, 0) == 0


@examples(100)
@given(ranks=RANKS, archives=st.integers(1, 1000))
def test_more_ranks_or_archives_never_make_fewer_controllers(ranks: int, archives: int) -> None:
    assert controllers(ranks + 1, archives) >= controllers(ranks, archives)
    assert controllers(ranks, archives + 1) >= controllers(ranks, archives)


@examples(100)
@given(ranks=RANKS, archives=st.integers(1, 1000))
def test_no_rank_helps_while_there_is_an_archive_to_lead(ranks: int, archives: int) -> None:
    assert controllers(ranks, archives) == archives or controllers(ranks, archives) == ranks - 1


def test_nobody_is_helped_where_nobody_leads() -> None:
    assert most_loaded({}) is None


@examples(200)
@given(loads=LOADS)
def test_the_most_loaded_has_the_most_bytes_for_each_worker_with_the_new_one(loads: dict[int, Load]) -> None:
    chosen = most_loaded(loads)
    assert chosen in loads
    share = {rank: load.bytes_left / (load.workers + 1) for rank, load in loads.items()}
    assert share[chosen] == max(share.values())


@examples(100)
@given(loads=LOADS, data=st.data())
def test_the_choice_depends_on_the_loads_and_not_on_their_order(loads: dict[int, Load], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(loads.items()))))
    assert most_loaded(shuffled) == most_loaded(loads)


@pytest.mark.parametrize(
    ("loads", "rank"),
    [
        ({1: Load(10, 0), 2: Load(11, 0)}, 2),
        ({1: Load(10, 0), 2: Load(11, 1)}, 1),
        ({3: Load(10, 0), 2: Load(10, 0)}, 2),
        ({2: Load(20, 1), 7: Load(10, 0)}, 7),
        ({2: Load(0, 0)}, 2),
    ],
    ids=["more bytes", "fewer workers", "the lower rank", "of equal shares fewer workers", "the only one"],
)
def test_one_more_worker_goes_where_it_helps_most(loads: dict[int, Load], rank: int) -> None:
    assert most_loaded(loads) == rank


def test_the_coordinator_is_the_first_rank() -> None:
    assert COORDINATOR == 0


@pytest.mark.parametrize(
    ("done", "order", "worth"),
    [(24, 100, False), (25, 100, True), (16 << 20, 1 << 40, True), ((16 << 20) - 1, 1 << 40, False), (1, 3, True)],
)
def test_progress_is_told_in_quarters_of_an_archive_or_at_least_every_16_mib(
    done: int, order: int, worth: bool
) -> None:
    assert is_worth_reporting(done, order) is worth
