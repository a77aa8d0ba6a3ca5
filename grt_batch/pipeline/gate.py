"""The gate: whether a run may publish, or its report set is kept for a person to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig, BadReports, CannotWrite, Held
from grt_batch.core.files import write_synced
from grt_batch.core.logs import logger
from grt_batch.core.timing import Stage
from grt_batch.differences.findings import ANY, Finding, findings, told
from grt_batch.differences.held import as_held
from grt_batch.differences.report_sets import DIFFERENCES, Differences, compare_sets
from grt_batch.differences.writing import as_tsv
from grt_batch.ledger.ledger import ARCHIVE
from grt_batch.modules.registry import discover
from grt_batch.pipeline.context import RunContext
from grt_batch.schema.tables import Table
from grt_batch.sinks.report_set import LATEST, ReportSet

Summary = Callable[[], Mapping[str, Any]]
"""Returns the run.json of a run."""


class Gate:
    """Holds a run back where its report set breaks a rule of [gate], against the set that is published."""

    def __init__(self, let_through: Sequence[Finding] = ()) -> None:
        """What a person has seen and `let_through` is no reason to hold a run, as long as it is not worse now."""
        self._let_through = let_through

    def judge(self, context: RunContext, made: ReportSet, summary: Summary) -> None:
        """Return if the run may publish the set that it has made.

        Raises Held, with the set kept aside and the index of archives as it was before the run.
        """
        with context.executor.clock.stage(Stage.GATE):
            found = findings(context.config, made.reports / LATEST, made.folder)
            found = [finding for finding in found if not any(seen.covers(finding) for seen in self._let_through)]
        if found:
            take_back(context)
            raise Held(what=told(found), folder=_hold(context, made, summary(), found))


def _hold(context: RunContext, made: ReportSet, summary: Mapping[str, Any], found: Sequence[Finding]) -> Path:
    request = context.request
    options = {"forget": request.forget, "without_cold": request.without_cold}
    made.write_summary(as_held(summary, found, request.instances, **options))
    try:
        if (made.reports / LATEST).is_dir():
            write_synced(made.folder / DIFFERENCES, as_tsv(changes(context.config, made)))
    except BadReports as error:
        # The published set is not as a run left it. That is no reason to publish.
        logger.warning(error.happened)
    except OSError as error:
        raise CannotWrite(folder=made.folder, what=error.strerror or error) from None
    return made.hold()


def take_back(context: RunContext) -> None:
    """Forget that the run would have published. Raises CannotWrite."""
    context.index.take_back()
    context.index.save()


def changes(config: Config, made: ReportSet, ratio: float = 0.0) -> Differences:
    """Return the rows in which a set that was made differs from the published one, in the tables that it has."""
    tables = [table for table in known_tables(config) if (made.folder / f"{table.name}.tsv").is_file()]
    return compare_sets(made.reports / LATEST, made.folder, tables, ratio)


def known_tables(config: Config) -> list[Table]:
    """Return the tables of all modules, and that of archives."""
    return [ARCHIVE, *(table for module in discover(config.modules_dir).values() for table in module.tables)]


def check_rules(config: Config) -> None:
    """Raise BadConfig where gate_shrunk names no table: such a rule would never hold anything."""
    unknown = set(config.gate_shrunk) - {ANY, *(table.name for table in known_tables(config))}
    if unknown:
        raise BadConfig(file="of this run", what=f"[gate] gate_shrunk names no table with {', '.join(sorted(unknown))}")
