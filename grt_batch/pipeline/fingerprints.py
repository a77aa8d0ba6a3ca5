"""What the tables of a run are made of, and which of them are there already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

from grt_batch.core.digest import digest, file_sha256
from grt_batch.ledger.ledger import ARCHIVE, Ledger
from grt_batch.modules.base import Module
from grt_batch.sinks import postgres, report_set


def contents_of(modules: Sequence[Module], partials: Mapping[str, str], ledger: Ledger) -> dict[str, str]:
    """By table a digest of all that its rows depend on: the partials, the ledger and the program. `partials` has such a
    digest of each module's, but for exports."""
    # run.json has the digests, and nothing in it may depend on a password.
    config = replace(ledger.config, database="")
    ingredients = digest(repr(replace(ledger, config=config)), _program())
    return {ARCHIVE.name: digest(ARCHIVE.name, ingredients)} | {
        table.name: digest(table.name, ingredients, partials[module.name])
        for module in modules
        if module.name in partials
        for table in module.tables
    }


def unchanged(
    modules: Sequence[Module], wanted: Mapping[str, str], reports: Path, as_of: date, url: str
) -> Collection[str]:
    """The modules all of whose tables are there as they are `wanted`, in the reports and in the database."""
    reported = report_set.contents(reports, as_of)
    if not reported:
        return ()
    published = postgres.contents(url, [table for module in modules for table in module.tables])
    same = {name for name, content in wanted.items() if content == reported.get(name) == published.get(name)}
    return {module.name for module in modules if all(table.name in same for table in module.tables)}


@cache
def _program() -> str:
    """A digest of the program itself: whoever changes how rows are computed need not say so."""
    root = Path(__file__).parents[1]
    return digest(*(f"{file.relative_to(root)} {file_sha256(file)}" for file in sorted(root.rglob("*.py"))))
