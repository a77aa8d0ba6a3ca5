"""The types of values in the configuration, which say what is valid."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

_LARGEST = 2**63 - 1


Natural = Annotated[int, Meta(ge=0, le=_LARGEST)]


Positive = Annotated[int, Meta(ge=1, le=_LARGEST)]


Port = Annotated[int, Meta(ge=0, le=65_535)]


Rows = Annotated[int, Meta(ge=1, le=1_000_000)]


Percent = Annotated[float, Meta(ge=0, le=100)]


Probability = Annotated[float, Meta(gt=0, le=1)]


Price = Annotated[float, Meta(ge=0, le=1_000_000)]


Text = Annotated[str, Meta(min_length=1)]


Mode = Annotated[str, Meta(pattern=r"\A0?[67][0-7]{2}\Z")]
"""Rights of the user, the group and others; the user of the program reads and writes."""


DirectoryUrl = Annotated[str, Meta(pattern=r"\A(ldaps?://[^\s/?#@]+/?)?\Z")]


class Level(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A warning `level` once the bytes predicted for `days` from the as-of day pass `fraction` of the quota."""

    # A prediction further ahead, or a larger fraction, is a slip of the pen.
    level: Literal[2, 3]
    days: Annotated[int, Meta(ge=0, le=36_500)]
    fraction: Annotated[float, Meta(gt=0, le=1000)]


Alarmed = Literal["failed", "target", "held", "quarantine", "late", "warning", "tool"]
"""What somebody can be told of."""


ALARMS: tuple[Alarmed, ...] = get_args(Alarmed)


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is told: an address as apprise has it, and `of` what; of everything unless it says so."""

    to: Text
    of: tuple[Alarmed, ...] = ALARMS


MAIN = "main"
"""The name of the target that the key `database` is."""


REPORTS = "reports"
"""The name of the report set, where all targets are named."""


TargetName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]*\Z")]


class FurtherTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A further database that runs publish to: all tables, or those of these `modules` and these `tables` alone. Where
    it is not `active`, only runs that name it do."""

    url: Text
    modules: tuple[Text, ...] = ()
    tables: tuple[Text, ...] = ()
    active: bool = True


DEFAULT_LEVELS = (Level(2, 7, 0.85), Level(3, 3, 0.80), Level(3, 7, 0.95))


KeptKind = Literal["public", "private"]
"""The kinds of instances whose archives can be kept out of cold storage."""
