"""Fingerprints of tables: digests of everything that their rows depend on, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from grt_batch.core.digest import digest, source_digest
from grt_batch.ledger.ledger import ARCHIVE, Ledger
from grt_batch.modules.base import Module
from grt_batch.pipeline.render import ledger_for, without_paths
from grt_batch.sinks import postgres, report_set

RENDERED_BY = (
    "grt_batch.aggregate",
    "grt_batch.columns",
    "grt_batch.kernels",
    "grt_batch.ledger",
    "grt_batch.modules.base",
    "grt_batch.modules.helpers",
    "grt_batch.pipeline.render",
    "grt_batch.schema",
)
"""The code that turns merged partials into the text of tables, beside the module's own file."""


def table_fingerprints(modules: Sequence[Module], partials: Mapping[str, str], ledger: Ledger) -> dict[str, str]:
    """Return the fingerprint of each table, by its name.

    `partials` has a digest of the merged partials of each module; the tables of a module without one are left out.
    """
    program = digest(_rendering_code(), ledger.config.tsv_defuse_formulas)
    archives = digest(ARCHIVE.name, program, *map(without_paths, ledger.instances))
    found = {ARCHIVE.name: archives}
    for module in modules:
        if module.name in partials:
            seen = ledger_for(module, ledger)
            settings = [(key, getattr(seen.config, key)) for key in module.settings]
            inputs = digest(program, partials[module.name], seen.as_of, settings, *seen.instances)
            found |= {table.name: digest(table.name, inputs) for table in module.tables}
    return found


def unchanged_modules(
    modules: Sequence[Module], wanted: Mapping[str, str], reports: Path, as_of: date, url: str
) -> Collection[str]:
    """Return the modules whose tables have the `wanted` fingerprints in the reports and in the database."""
    reported = report_set.published_fingerprints(reports, as_of)
    if not reported:
        return ()
    published = postgres.published_fingerprints(url, [table for module in modules for table in module.tables])
    same = {name for name, content in wanted.items() if content == reported.get(name) == published.get(name)}
    return {module.name for module in modules if all(table.name in same for table in module.tables)}


@cache
def _rendering_code() -> str:
    return source_digest(*RENDERED_BY)
