"""How modules are found and chosen."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from grt_batch.core.errors import UnknownModule
from grt_batch.modules.base import Module


@cache
def discover() -> dict[str, Module]:
    """All modules by name: the subclasses of Module in the files of `grt_batch/modules`, in the files' order.

    Raises TypeError where two modules or two tables have the same name.
    """
    import grt_batch.modules as package

    found: dict[str, Module] = {}
    owners: dict[str, str] = {}
    infos = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    for info in sorted(infos, key=lambda info: info.name.rpartition(".")[2]):
        file = importlib.import_module(info.name)
        for item in vars(file).values():
            if not (isinstance(item, type) and issubclass(item, Module) and item.__module__ == file.__name__):
                continue
            if not hasattr(item, "name"):
                continue  # the contract itself
            if item.name in found:
                raise TypeError(f"two modules are called {item.name}")
            found[item.name] = item()
            for table in item.tables:
                if owners.setdefault(table.name, item.name) != item.name:
                    raise TypeError(f"{item.name} and {owners[table.name]} both publish the table {table.name}")
    return found


def chosen(names: Sequence[str]) -> tuple[Module, ...]:
    """The modules of these names; without names, all but those that are opt-in. Raises UnknownModule."""
    known = discover()
    for name in names:
        if name not in known:
            raise UnknownModule(name=name, known=", ".join(known))
    return tuple(module for name, module in known.items() if (name in names if names else not module.opt_in))
