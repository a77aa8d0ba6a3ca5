"""What a table must have to be visible as it says; tests of the sinks look at the rows of the views."""

from __future__ import annotations

import pytest

from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import (
    NOT_SHOWN,
    OF_PUBLIC_INSTANCES,
    CountedInstances,
    Evidence,
    FromPublicInstances,
    OfPublicInstances,
    ShownToAll,
    Visibility,
)

EVIDENCE = Evidence("usage", "other.jobs > 1")
NEEDS: dict[Visibility, set[str]] = {
    NOT_SHOWN: set(),
    ShownToAll(): set(),
    OF_PUBLIC_INSTANCES: {"instance_id"},
    OfPublicInstances(EVIDENCE): {"instance_id"},
    FromPublicInstances(EVIDENCE): set(),
    CountedInstances(): {"jobs", "instances", "public_instances"},
    CountedInstances(enough=True): {"jobs", "instances", "public_instances"},
}


def table(visibility: Visibility, names: set[str]) -> Table:
    columns = tuple(Column(name, Type.BIGINT, name) for name in sorted({"key", *names}))
    return Table("of_tests", "a table", ("key",), columns, visibility=visibility)


@pytest.mark.parametrize("visibility", NEEDS, ids=str)
def test_a_table_has_the_columns_that_its_visibility_needs(visibility: Visibility) -> None:
    needed = NEEDS[visibility]
    assert table(visibility, needed).visibility == visibility
    for name in needed:
        with pytest.raises(ValueError, match=f"table of_tests: its visibility needs the column {name}"):
            table(visibility, needed - {name})


def test_a_table_that_says_nothing_is_not_shown() -> None:
    assert Table("of_tests", "a table", ("key",), (Column("key", Type.TEXT, "a key"),)).visibility == NOT_SHOWN
