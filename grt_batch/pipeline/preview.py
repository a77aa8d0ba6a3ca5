"""What a run would change, without a publication."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Self

from grt_batch.differences.report_sets import Differences
from grt_batch.ledger.people import FindPeople, nobody
from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.gate import Gate, Summary, changes, take_back
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.schema.tables import Table
from grt_batch.sinks.report_set import ReportSet
from grt_batch.sinks.sink import Sink, TableText


def preview(
    request: RunRequest,
    executor: Executor,
    database: Callable[[], AbstractContextManager[str]],
    ratio: float = 0.0,
    people: FindPeople = nobody,
) -> Differences:
    """Return the rows in which the published report set differs from what a run would publish; see `compare_sets`.

    The caller holds the lock of the work folder. What is computed stays in the store, for the run to come; nothing else
    is changed. Raises what a run raises.
    """
    gate = _Preview(ratio)
    with suppress(_SeenError):
        execute(request, executor, database, gate=gate, instead_of_databases=_Nowhere(), people=people)
    return gate.differences


class _SeenError(Exception):
    """A preview has seen what would be published."""


class _Preview(Gate):
    """Lets no run through, and keeps only the `differences` of what it would have published."""

    differences: Differences

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self._ratio = ratio

    def judge(self, context: RunContext, made: ReportSet, summary: Summary) -> None:
        self.differences = changes(context.config, made, self._ratio)
        take_back(context)
        raise _SeenError


class _Nowhere(Sink):
    """Stands for the database, and takes nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        pass

    def prepare(self, run: Mapping[str, Any]) -> None:
        pass

    def publish(self) -> None:
        pass
