"""What is wrong now, by what was published and by how the last run ended. Nothing is computed here a second time.

An alarm is an event while it lasts: its `key` stays the same from run to run, and changes where something new is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from grt_batch.core.config import Config
from grt_batch.core.config_values import Alarmed
from grt_batch.core.errors import printable
from grt_batch.core.wording import counted
from grt_batch.differences.held import waiting
from grt_batch.ledger.people import ADDRESS
from grt_batch.monitoring.outcome import Outcome
from grt_batch.monitoring.published import Published

OF_OWNERS: tuple[Alarmed, ...] = ("quarantine", "late", "warning", "tool")
"""What the owners of an instance are told of theirs."""


_MOST_ADDRESSES = 10
"""Of an instance: it writes its metadata.json itself, and nobody is to send mail to a crowd in this way."""


@dataclass(frozen=True)
class Alarm:
    """Something wrong of a `kind`: the `subject` tells one from another, `what` it is and what to do in words.

    `instance_id` is None for what concerns all, and for a tool over all instances.
    """

    kind: Alarmed
    subject: str
    what: str
    remedy: str
    instance_id: str | None = None

    @property
    def key(self) -> str:
        """The name of the event."""
        return f"{self.kind}:{self.subject}"


def alarms(config: Config, ending: Outcome | None) -> list[Alarm]:
    """Return all alarms; `ending` is the end of the last run, None where nobody knows."""
    published = Published(config.reports)
    titles = {name: title for name, title in published.rows("instance", "instance_id", "title") if title}
    return [
        *_failed(ending),
        *_failed_targets(published),
        *_held(config),
        *_quarantined(published, titles),
        *_of_status(config, published, titles),
        *_tools(published, titles),
    ]


def owners(config: Config) -> dict[str, list[str]]:
    """Return the mail addresses of the owners of each instance, as its metadata.json has them, then those that only
    the directory has."""
    published = Published(config.reports)
    found = {
        instance_id: ADDRESS.findall(names)
        for instance_id, names in published.rows("instance", "instance_id", "owners")
    }
    for instance_id, mail in published.rows("instance_owner", "instance_id", "mail"):
        found.setdefault(instance_id, []).extend(ADDRESS.findall(mail))
    return {instance_id: list(dict.fromkeys(them))[:_MOST_ADDRESSES] for instance_id, them in found.items()}


def _failed(ending: Outcome | None) -> Iterator[Alarm]:
    if ending is not None and ending.failed:
        said = printable(" ".join(ending.said.split())) or "its log says why"
        what = f"The last run ended with code {ending.code}, and published nothing new: {said}"
        yield Alarm("failed", str(ending.code), what, "Remove the cause and run again; what was computed is kept.")


def _failed_targets(published: Published) -> Iterator[Alarm]:
    for name, why in published.targets().items():
        if why is not None:
            what = f"The last run that published did not reach the target {printable(name)}: {printable(why)}"
            yield Alarm("target", name, what, "Remove the cause and run again; that gives it what it lacks.")


def _held(config: Config) -> Iterator[Alarm]:
    """Yield what the gate holds back. The next night's run is held for the same reasons, and is no new event."""
    held = waiting(config.reports)
    if held:
        subject = orjson.dumps(sorted(f"{found.rule} {found.subject}" for found in held.findings)).decode()
        told = "; ".join(printable(found.what) for found in held.findings)
        remedy = f"Look at grt-batch diff latest held/{held.as_of}; then remove the cause, or let it through"
        what = f"The gate holds back the report set of {held.as_of}: {told}"
        yield Alarm("held", subject, what, f"{remedy}: grt-batch publish --held.")


def _quarantined(published: Published, titles: dict[str, str]) -> Iterator[Alarm]:
    for instance_id, archive, state, reason in published.rows("archive", "instance_id", "archive", "state", "reason"):
        if state == "quarantined":
            what = f"Archive {archive} of instance {_named(instance_id, titles)} is in quarantine: {printable(reason)}"
            remedy = "Export it again and send it again; grt-batch check examines an archive before it is sent."
            yield Alarm("quarantine", f"{instance_id}/{archive}: {reason}", what, remedy, instance_id)


_STATUS = ("instance_id", "days_silent", "warning", "bytes", "quota_bytes", "predicted_7d")


def _of_status(config: Config, published: Published, titles: dict[str, str]) -> Iterator[Alarm]:
    for instance_id, silent, warning, size, quota, predicted in published.rows("instance_status", *_STATUS):
        name = _named(instance_id, titles)
        if silent and 0 < config.fresh_days < int(silent):
            what = f"Instance {name} has sent no archive for {counted(int(silent), 'day')}"
            remedy = "See on its server whether the export still runs, and whether its upload is refused."
            yield Alarm("late", instance_id, what, remedy, instance_id)
        used = f"{_gigabytes(size)} of {_gigabytes(quota)} used" if quota else ""
        soon = f"{_gigabytes(predicted)} in 7 days" if quota and predicted else ""
        silence = f"silent for {counted(int(silent), 'day')}" if silent else ""
        what = f"Instance {name} is at warning level {warning} of 3 ({', '.join(filter(None, (used, soon, silence)))})"
        remedy = "Make room in its quota or raise it, or see why nothing comes, whichever it is."
        # Who is at level 3 is at level 2, too: a fall from 3 to 2 is no event, and a rise is one.
        for level in range(2, int(warning or 1) + 1):
            yield Alarm("warning", f"{instance_id}: {level}", what, remedy, instance_id)


_CHANGE = ("instance_id", "tool_id", "tool_version", "changed", "jobs_after", "error_rate_before", "error_rate_after")


def _tools(published: Published, titles: dict[str, str]) -> Iterator[Alarm]:
    """Yield the tools, over all their versions, that fail more often than a month before."""
    for instance_id, tool_id, version, changed, jobs, before, after in published.rows("tool_change", *_CHANGE):
        if version == "*" and "error_rate" in changed.split() and float(after or 0) > float(before or 0):
            where = "" if instance_id == "*" else f" on instance {_named(instance_id, titles)}"
            rates = f"{float(after):.0%} of {counted(int(jobs), 'job')} in the last 30 days, {float(before):.0%} before"
            what = f"Tool {printable(tool_id)} fails more often{where}: {rates}"
            remedy = "Read the errors of its last jobs; see what changed: its version, its dependencies, its data."
            of = None if instance_id == "*" else instance_id
            yield Alarm("tool", f"{instance_id} {tool_id}", what, remedy, of)


def _named(instance_id: str, titles: dict[str, str]) -> str:
    title = titles.get(instance_id)
    return printable(f"{instance_id} ({title})" if title else instance_id)


def _gigabytes(size: str) -> str:
    return f"{int(size) / 1e9:,.1f} GB"
