"""The sets that the gate holds back: what is in them, and why they are held."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from grt_batch.core.errors import CannotWrite, NothingHeld, OnlyHeld
from grt_batch.differences.findings import Finding, told
from grt_batch.sinks.report_set import HELD, LATEST, SUMMARY

STATE = "held"
"""The state of a held run in its run.json."""


@dataclass(frozen=True)
class HeldSet:
    """A report set that was not published: its folder, what its run was asked for, and why it is held.

    It is `settled` where a run that began later has published.
    """

    folder: Path
    run_id: str
    as_of: date
    finished: str
    modules: tuple[str, ...]
    instances: tuple[str, ...]
    forget: bool
    without_cold: bool
    findings: tuple[Finding, ...]
    settled: bool


class _Summary(msgspec.Struct):
    """The run.json of a held run, as far as it is needed."""

    run_id: str
    as_of: date
    started: str
    finished: str
    modules: tuple[str, ...]
    instances: tuple[str, ...] = ()
    forget: bool = False
    without_cold: bool = False
    held_for: tuple[Finding, ...] = ()


def as_held(
    summary: Mapping[str, Any],
    found: Sequence[Finding],
    instances: Sequence[str],
    *,
    forget: bool,
    without_cold: bool = False,
) -> dict[str, Any]:
    """Return the run.json of a run that the gate holds back; the rest are options of the run."""
    asked = {"instances": [*instances], "forget": forget, "without_cold": without_cold}
    return {**summary, "state": STATE, **asked, "held_for": [asdict(finding) for finding in found]}


def held_sets(reports: Path) -> list[HeldSet]:
    """Return the sets that the gate holds back, by their dates, but for those whose run.json is damaged."""
    published = _summary(reports / LATEST)
    found = []
    for folder in sorted((reports / HELD).glob("*")):
        summary = _summary(folder)
        if summary:
            settled = published is not None and published.started > summary.started
            what = summary.modules, summary.instances, summary.forget, summary.without_cold, summary.held_for
            found.append(HeldSet(folder, summary.run_id, summary.as_of, summary.finished, *what, settled))
    return found


def waiting(reports: Path) -> HeldSet | None:
    """Return the last set that is held and not settled, None if there is none."""
    return next((held for held in reversed(held_sets(reports)) if not held.settled), None)


def held_set(reports: Path, as_of: date | None = None) -> HeldSet:
    """Return the set that is held for a date, or the last one that is not settled: it would bring back old numbers.

    Raises NothingHeld.
    """
    of_date = (held for held in held_sets(reports) if held.as_of == as_of)
    found = next(of_date, None) if as_of else waiting(reports)
    if found is None:
        raise NothingHeld(folder=reports / HELD)
    return found


def only_held(reports: Path) -> OnlyHeld | None:
    """Return the error that a set is held and none is published; None where that is not so."""
    held = waiting(reports)
    return OnlyHeld(folder=held.folder, what=told(held.findings)) if held and not (reports / LATEST).exists() else None


def discard(held: HeldSet) -> None:
    """Remove a held set. Raises CannotWrite."""
    try:
        shutil.rmtree(held.folder)
    except OSError as error:
        raise CannotWrite(folder=held.folder, what=error.strerror or error) from None


def _summary(folder: Path) -> _Summary | None:
    try:
        return msgspec.json.decode((folder / SUMMARY).read_bytes(), type=_Summary)
    except (OSError, msgspec.MsgspecError):
        return None
