"""The examination: all probes in the order of a report that people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from grt_batch.core.errors import printable
from grt_batch.core.logs import without_passwords
from grt_batch.doctor import database, directory, monitors, places, programs
from grt_batch.doctor.findings import Finding, Probe, guarded


def examine(file: Path | None, options: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of all probes; `file` and `options` are those of the configuration."""
    config, configuration = places.configured(file, options)
    probes: dict[str, Probe] = {
        "versions": programs.versions,
        "embedded server": programs.postgresql,
        "mpirun": programs.mpi,
        "scheduler": programs.scheduler,
        "numba cache": programs.kernels,
        "uploads": lambda: places.readable(config.uploads),
        "work": lambda: places.writable("work", config.work),
        "reports": lambda: places.writable("reports", config.reports),
        "database": lambda: database.database(config.database, config.work),
        **{f"target {name}": partial(database.target, name, it.url) for name, it in config.targets.items()},
        "directory": lambda: directory.directory(config),
        "monitors": lambda: monitors.monitors(config),
    }
    return [*(finding for subject, probe in probes.items() for finding in guarded(subject, probe)), *configuration]


def as_text(findings: list[Finding]) -> str:
    """Return one line for each finding, without passwords."""
    width = max(len(finding.subject) for finding in findings)
    lines = (f"{it.status:<8} {it.subject:<{width}}  {_line(f'{it.found} {it.remedy}')}" for it in findings)
    return "\n".join(map(str.rstrip, lines))


def as_json(findings: list[Finding]) -> str:
    """Return the findings as a list of objects, without passwords."""
    clean = [{**asdict(it), "found": _line(it.found), "remedy": _line(it.remedy)} for it in findings]
    return orjson.dumps(clean, option=orjson.OPT_INDENT_2).decode()


def _line(text: str) -> str:
    return printable(" ".join(without_passwords(text).split()))
