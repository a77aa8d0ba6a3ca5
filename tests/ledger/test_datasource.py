"""The table of the places where data are."""

from __future__ import annotations

from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.schema.tables import Shown


def test_the_public_is_told_of_no_place() -> None:
    hidden = [column.name for column in DATASOURCE.columns if column.shown is not Shown.AS_IT_IS]
    assert hidden == ["location"]
