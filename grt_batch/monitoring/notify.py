"""Who is told of which alarm: once for each event, in one message a run, and again if it could not be sent.

The work folder holds what each of them was told. What is over is forgotten there, so that it is told when it comes
back; a tool is remembered for longer, since its numbers come and go at the limit of what counts as a change.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

import msgspec

from grt_batch.core.config import Config
from grt_batch.core.config_values import ALARMS
from grt_batch.core.files import rewrite
from grt_batch.core.wording import counted
from grt_batch.monitoring.alarms import OF_OWNERS, Alarm, alarms, owners
from grt_batch.monitoring.outcome import Outcome
from grt_batch.monitoring.published import Published
from grt_batch.monitoring.sending import Message, send

TOLD = "told.json"


_REMEMBERED_DAYS = {"tool": 60}
"""How long an alarm that is over is remembered, by its kind; any other is forgotten at once."""


_MOST = 20
"""The alarms of a kind that a message names."""


_Told = dict[str, dict[str, date]]
"""When somebody was told of an event last, by who it was and the key of the event."""


_HEADS = {
    "failed": "The run failed",
    "target": "A target failed",
    "held": "Held back by the gate",
    "quarantine": "In quarantine",
    "late": "Late",
    "warning": "Warning level rose",
    "tool": "Tools that began to fail",
}


@dataclass(frozen=True)
class _Listener:
    """Somebody at an address, and the alarms that concern him now. The `name` is safe to print and to keep."""

    to: str
    name: str
    alarms: Sequence[Alarm]


Send = Callable[[Sequence[Message], float], Sequence[str]]


def notify(config: Config, ending: Outcome, today: date, send: Send = send) -> list[str]:
    """Tell everybody who is to be told of what is new, and return a line for each message that could not be sent.

    Raises OSError where it cannot be noted who was told.
    """
    if not (config.notify_recipients or config.notify_owners):
        return []
    file = config.work / TOLD
    before = {name: _not_forgotten(known, today) for name, known in _load(file).items()}
    listeners = list(_listeners(config, alarms(config, ending)))
    new = {it.name: [alarm for alarm in it.alarms if alarm.key not in before.get(it.name, {})] for it in listeners}
    waiting = [it for it in listeners if new[it.name]]
    messages = [_message(it.to, new[it.name]) for it in waiting]
    problems = list(send(messages, config.notify_seconds)) if messages else []
    unsent = {it.name for it, problem in zip(waiting, problems, strict=True) if problem}
    # Where nothing published can be read, as while its disk is away, nothing is over.
    blind = not Published(config.reports).summary
    after = {}
    for it in listeners:
        known = _known(it, before.get(it.name, {}), today, sent=it.name not in unsent, blind=blind)
        after.update({it.name: known} if known else {})
    if after != before:
        rewrite(file, msgspec.json.encode(after))
    return [
        f"{it.name} could not be told of {counted(len(new[it.name]), 'alarm')}, the next run tries again: {problem}"
        for it, problem in zip(waiting, problems, strict=True)
        if problem
    ]


def _listeners(config: Config, found: Sequence[Alarm]) -> Iterable[_Listener]:
    """Yield who is told. A tool of one instance concerns its owners alone; its failures count for all together, too."""
    for number, recipient in enumerate(config.notify_recipients, 1):
        theirs = [it for it in found if it.kind in recipient.of and not (it.kind == "tool" and it.instance_id)]
        yield _Listener(recipient.to, f"recipient {number} ({_mark(recipient.to)})", theirs)
    if config.notify_owners:
        for instance_id, addresses in owners(config).items():
            if addresses:
                theirs = [it for it in found if it.instance_id == instance_id and it.kind in OF_OWNERS]
                sign = "&" if "?" in config.notify_owners else "?"
                to = f"{config.notify_owners}{sign}to={','.join(addresses)}"
                yield _Listener(to, f"owners of instance {instance_id} ({_mark(to)})", theirs)


def _mark(address: str) -> str:
    """Return what tells an address from another one, and does not give it away: it may hold a password."""
    return f"{address.partition(':')[0]}, {sha256(address.encode()).hexdigest()[:8]}"


def _known(listener: _Listener, before: Mapping[str, date], today: date, *, sent: bool, blind: bool) -> dict[str, date]:
    now = {alarm.key for alarm in listener.alarms if sent or alarm.key in before}
    kept = {key for key in before if blind or _kind(key) in _REMEMBERED_DAYS}
    return {key: today if key in now else before[key] for key in sorted(now | kept)}


def _not_forgotten(known: Mapping[str, date], today: date) -> dict[str, date]:
    days = {key: _REMEMBERED_DAYS.get(_kind(key)) for key in known}
    return {key: day for key, day in known.items() if (limit := days[key]) is None or (today - day).days <= limit}


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _message(to: str, new: Sequence[Alarm]) -> Message:
    parts, heads = [], []
    for kind in ALARMS:
        # Two levels that were passed at once are one event.
        what = dict.fromkeys((alarm.what, alarm.remedy) for alarm in new if alarm.kind == kind)
        if what:
            heads.append(_HEADS[kind] if len(what) == 1 else f"{_HEADS[kind]}: {len(what)}")
            lines = [f"- {told}" for told, _ in list(what)[:_MOST]]
            more = [f"- and {len(what) - _MOST} more, see grt-batch status --fail-if {kind}"][: len(what) > _MOST]
            remedies = [f"  To do: {remedy}" for remedy in dict.fromkeys(remedy for _, remedy in what)]
            parts.append("\n".join((_HEADS[kind], *lines, *more, *remedies)))
    parts.append(f"grt-batch on {socket.gethostname()} tells each of these once, as long as it lasts.")
    return Message(to, f"grt-batch: {', '.join(heads)}", "\n\n".join(parts) + "\n")


def _load(file: Path) -> _Told:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Told)
    except (OSError, msgspec.MsgspecError):
        return {}
