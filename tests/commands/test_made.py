"""What is made of the tables stands among the modules on the command line."""

from __future__ import annotations

from dataclasses import replace

from grt_batch.commands.made import made_of_tables, names_of_modules
from grt_batch.core.config import Config
from grt_batch.sample import UNTIL


def test_names_of_modules() -> None:
    assert names_of_modules(["tools", "html", "documents", "params"]) == ("tools", "params")


def test_documents_are_made_where_they_are_asked_for() -> None:
    config = replace(Config(), html=False)
    for asked in (False, True):
        assert ("documents" in made_of_tables(config, UNTIL, pages=False, documents=asked)) == asked
