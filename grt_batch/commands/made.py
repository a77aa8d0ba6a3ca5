"""What a run makes of its tables. Its names stand among those of modules, but it counts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from grt_batch.core.config import Config
from grt_batch.sinks.made_folder import MakeFolder
from grt_batch.sinks.report_set import DOCUMENTS, MADE, PAGES


def names_of_modules(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line that are not about what is made of the tables."""
    return tuple(word for word in words if word not in MADE)


def made_of_tables(config: Config, as_of: date, *, pages: bool, documents: bool) -> Mapping[str, MakeFolder]:
    """Return what fills the folders that a run makes of its tables, by their names: `documents` where they are asked
    for, pages also where they can be made. Raises NoPagePackage where pages are asked for and cannot be."""
    from grt_batch.pages.making import pages_of

    makers = {PAGES: pages_of(config, as_of, asked_for=pages)}
    if documents:
        # Not for every run: it takes a while to load.
        from grt_batch.documents.making import documents_of

        makers[DOCUMENTS] = documents_of(config, as_of)
    return {name: make for name, make in makers.items() if make is not None}
