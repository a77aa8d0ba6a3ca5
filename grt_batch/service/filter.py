"""The filter of raw archives: the same words in a URL and on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from grt_batch.core.errors import BadFilter

STATES = ("published", "quarantined", "incomplete", "new")
"""The states of the table `archive`; `new` is what no run has published yet."""


@dataclass(frozen=True)
class Filter:
    """The archives of an instance, of a name, made from the first to the last day (UTC), in one of these states.

    None stands for all.
    """

    instance: str | None = None
    archive: str | None = None
    first: date | None = None
    last: date | None = None
    states: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Filter:
        """Return the filter of texts by the names `instance`, `archive`, `from`, `to` and `state`. Raise BadFilter."""
        unknown = set(given) - set(FILTER)
        if unknown:
            raise BadFilter(what=f"it has no {min(unknown)!r:.100}")
        first, last = (_day(name, given[name]) if name in given else None for name in ("from", "to"))
        states = tuple(given["state"].split(",")) if "state" in given else None
        if states and not set(states) <= set(STATES):
            raise BadFilter(what=f"state is one or more of {', '.join(STATES)}, not {given['state']!r:.100}")
        return cls(given.get("instance"), given.get("archive"), first, last, states)

    def takes(self, archive: str, day: date, state: str) -> bool:
        """Return whether an archive of the instance passes: its name, the day it was made, and its state."""
        return (
            self.archive in (None, archive)
            and (self.first is None or day >= self.first)
            and (self.last is None or day <= self.last)
            and (self.states is None or state in self.states)
        )


FILTER = {
    "instance": "id of an instance",
    "archive": "name of an archive: N of N.json",
    "from": "the first day on which it was made, as YYYY-MM-DD, UTC",
    "to": "the last day on which it was made",
    "state": f"what became of it: {', '.join(STATES)}; several with commas",
}
"""What a filter says, by its names."""


def _day(name: str, text: str) -> date:
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadFilter(what=f"{name} is a date as YYYY-MM-DD, not {text!r:.100}")
