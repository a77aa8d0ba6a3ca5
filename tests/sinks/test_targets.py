"""Several databases as one sink: what each gets, in which order, and what the error of one does to the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2
import pytest

from grt_batch.core.errors import BadDatabaseUrl, DatabaseRefused, GrtError, NoEmbeddedServer, NoTarget, StoreDamaged
from grt_batch.schema.parts import WHOLE
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.sink import Sink, TableText
from grt_batch.sinks.targets import Databases, Target, Targets

ONE, TWO = (Table(name, "a table", ("key",), (Column("key", Type.TEXT, "key"),)) for name in ("one", "two"))
GONE = DatabaseRefused(what="it is gone")
Fault = tuple[str, str, BaseException]
"""A target, a step, and the error that it raises there."""


class Noting(Sink):
    """A sink that notes its steps, and fails at one of them."""

    def __init__(self, name: str, steps: list[str], faults: Mapping[tuple[str, str], BaseException]) -> None:
        self._name, self._steps, self._faults = name, steps, faults

    def _step(self, step: str) -> None:
        self._steps.append(f"{self._name}: {step}")
        if (self._name, step) in self._faults:
            raise self._faults[self._name, step]

    def __enter__(self) -> Self:
        self._step("begin")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._step("end")
        if isinstance(error, psycopg2.Error):
            raise GONE

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        self._step(table.name)

    def wait(self) -> None:
        self._step("wait")

    def prepare(self, run: Mapping[str, Any]) -> None:
        self._step("prepare")

    def publish(self) -> None:
        self._step("publish")


@contextmanager
def refusing(error: BaseException) -> Iterator[str]:
    """A server that does not start."""
    raise error
    yield


class Case:
    """Targets with some faults: `published` has the steps so far whenever a commit is told."""

    def __init__(self, *faults: Fault, names: str = "main a b", limits: Mapping[str, set[str]] | None = None) -> None:
        self.faults = {(name, step): error for name, step, error in faults}
        only = limits or {}
        self.targets = Targets([Target(name, partial(self.server, name), only.get(name)) for name in names.split()])
        self.steps: list[str] = []
        self.committed: list[list[str]] = []

    def server(self, name: str) -> AbstractContextManager[str]:
        error = self.faults.get((name, "start"))
        return refusing(error) if error else nullcontext(f"url of {name}")

    def publish(self) -> Self:
        with self.targets:
            databases = Databases(
                self.targets,
                lambda target: Noting(target.name, self.steps, self.faults),
                lambda: self.committed.append([*self.steps]),
            )
            with databases:
                for table in (ONE, TWO):
                    databases.write_table(table, TableText(table.name, WHOLE, ()), "")
                databases.wait()
                databases.prepare({})
                databases.publish()
        return self

    def of(self, name: str) -> list[str]:
        """The steps of a target."""
        return [step.removeprefix(f"{name}: ") for step in self.steps if step.startswith(f"{name}: ")]


ALL = ["begin", "one", "two", "wait", "prepare", "publish", "end"]
STEPS = ["start", *ALL[:-1]]


def test_each_target_gets_what_it_wants() -> None:
    case = Case(limits={"a": {"two"}}).publish()
    assert case.of("main") == case.of("b") == ALL
    assert case.of("a") == [step for step in ALL if step != "one"]
    assert case.targets.failed == {}
    assert case.targets.outcome == {name: {"state": "published", "reason": None} for name in ("main", "a", "b")}


def test_no_target_locks_its_readers_out_while_another_is_made_ready() -> None:
    case = Case().publish()
    late = [step for step in case.steps if step.split()[1] in ("wait", "prepare", "publish")]
    assert late[:3] == ["main: wait", "a: wait", "b: wait"]
    assert late[3:] == [f"{name}: {step}" for name in ("main", "a", "b") for step in ("prepare", "publish")]
    assert [steps[-1] for steps in case.committed] == ["main: publish"]


@pytest.mark.parametrize("error", [GONE, psycopg2.OperationalError("it is gone")], ids=["error", "of psycopg2"])
@pytest.mark.parametrize("step", ALL[1:-1])
@pytest.mark.parametrize("name", ["main", "a", "b"])
def test_a_target_that_fails_is_ended_at_once_and_the_others_go_on(name: str, step: str, error: Exception) -> None:
    case = Case((name, step, error)).publish()
    assert case.of(name) == [*ALL[: ALL.index(step) + 1], "end"]
    others = [other for other in ("main", "a", "b") if other != name]
    assert [case.of(other) for other in others] == [ALL, ALL]
    assert [target.name for target in case.targets.left] == others
    assert case.targets.outcome[name] == {"state": "failed", "reason": GONE.happened}
    assert len(case.committed) == 1


@pytest.mark.parametrize("step", ["start", "begin"])
@pytest.mark.parametrize(
    "error", [GONE, BadDatabaseUrl(what="x"), NoEmbeddedServer(what="x")], ids=lambda it: it.happened
)
def test_a_target_that_cannot_be_entered_is_left_out(step: str, error: GrtError) -> None:
    case = Case(("main", step, error)).publish()
    assert case.of("main") == ([] if step == "start" else ["begin"])
    assert [target.name for target in case.targets.left] == ["a", "b"]


@pytest.mark.parametrize("step", STEPS)
def test_where_none_is_left_each_reason_is_told(step: str) -> None:
    case = Case(("main", step, GONE), ("a", step, GONE), names="main a")
    with pytest.raises(NoTarget, match=r"main: .*it is gone; a: .*it is gone\."):
        case.publish()
    assert case.committed == []


@pytest.mark.parametrize("step", STEPS)
def test_the_only_target_says_by_itself_what_is_wrong(step: str) -> None:
    with pytest.raises(DatabaseRefused):
        Case(("main", step, GONE), names="main").publish()
    with pytest.raises(NoTarget, match=r"a: .*it is gone"):
        Case(("a", step, GONE), names="a").publish()


@pytest.mark.parametrize(
    "error", [StoreDamaged(store=Path("store")), ZeroDivisionError(), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("step", ALL[:-1])
def test_what_is_no_fault_of_a_target_ends_all(step: str, error: BaseException) -> None:
    case = Case(("a", step, error))
    with pytest.raises(type(error)):
        case.publish()
    assert case.targets.failed == {}
    # What could not begin has nothing to end.
    ended = [name for name in ("main", "a", "b") if case.of(name)[-1:] == ["end"]]
    assert ended == (["main"] if step == "begin" else ["main", "a", "b"])
