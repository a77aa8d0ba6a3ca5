"""The owners of instances, and what a directory has of the people behind their names.

The core never asks a directory: it is given what was found there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from grt_batch.uploads.metadata import InstanceMetadata
    from grt_batch.uploads.scan import Instance

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
"""A mail address as people write it, without the characters that would steer a mail server."""


class Person(NamedTuple):
    """What is known of somebody: the name that people read, and a mail address."""

    name: str | None = None
    mail: str | None = None


FindPeople = Callable[[Collection[str]], Mapping[str, Person]]
"""Returns what is known of owners, without those of whom nothing is."""


def nobody(owners: Collection[str]) -> Mapping[str, Person]:
    """Know nothing of any owner: there is no directory."""
    del owners
    return {}


def all_owners(instances: Iterable[Instance]) -> list[str]:
    """Return the owners of all instances, each once."""
    return list(dict.fromkeys(owner for instance in instances for owner in owners_of(instance.metadata)))


def owners_of(metadata: InstanceMetadata) -> list[str]:
    """Return the owners of an instance as its metadata.json has them, each once, without those that are blank."""
    return [owner for owner in dict.fromkeys(metadata.owners) if owner.strip()]
