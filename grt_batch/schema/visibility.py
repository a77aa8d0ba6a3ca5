"""Who may see which rows of a table: what a table declares, and `grt_batch.sinks.public_views` makes views of.

The readers of the schema `grt_public` see what an instance has agreed to show, by `public` in its metadata.json. The
jobs of all other instances count in the rows of all instances together, and show nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class NotShown:
    """No row is public. This is the default: a table is shown only where its author has thought about it."""

    needs: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class ShownToAll:
    """Every row is public: the table says nothing about an instance or its users."""

    needs: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Evidence:
    """Where another table shows that an instance contributed to a row: it has a row of this instance with the same key,
    for which the SQL condition `where` holds; `other` is that row."""

    table: str
    where: str


@dataclass(frozen=True)
class OfPublicInstances:
    """The rows of public instances, by the key column `instance_id`; and the rows of all instances together (`*`) to
    which a public instance contributed: it has a row of the same key, in this table or in that of the `evidence`."""

    evidence: Evidence | None = None
    needs: ClassVar[tuple[str, ...]] = ("instance_id",)


@dataclass(frozen=True)
class FromPublicInstances:
    """The rows to which a public instance contributed, by the `evidence`. For a table without `instance_id`."""

    evidence: Evidence
    needs: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class CountedInstances:
    """The rows whose column `public_instances` is not 0. For a table without `instance_id`.

    With `enough` the row must also have the `jobs` and `instances` that the configuration asks for
    (`public_value_jobs`, `public_value_instances`): for what a user typed, which a single job may give away.
    """

    enough: bool = False
    needs: ClassVar[tuple[str, ...]] = ("jobs", "instances", "public_instances")


Visibility = NotShown | ShownToAll | OfPublicInstances | FromPublicInstances | CountedInstances
"""The rows of a table that readers of `grt_public` see; `needs` are the columns that the rule is about."""


NOT_SHOWN = NotShown()
"""No row is public. This is the default."""


OF_PUBLIC_INSTANCES = OfPublicInstances()
"""The usual visibility of a table with `instance_id`, whose rows of `*` have the keys of those of the instances."""
