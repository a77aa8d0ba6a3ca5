"""How modules are found and chosen: those of the house, and beside them those in a folder of one's own."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import grt_batch.modules as house
from grt_batch.core.digest import digest
from grt_batch.core.errors import BadArguments, BadModule, GrtError, UnknownModule
from grt_batch.modules.base import Module


@cache
def discover(folder: str = "") -> dict[str, Module]:
    """Return all modules by name: those in `grt_batch.modules`, then those in the .py files of `folder`, which is
    `modules_dir` of the configuration. Each group is in the order of its files' names.

    Raise BadModule for a file that cannot be loaded, and for a name or a table that another module has.
    """
    found: dict[str, Module] = {}
    owners: dict[str, str] = {}
    for item in (*_of_the_house(), *_in_folder(folder)):
        if item.name in found:
            raise _bad(item, f"there is another module {item.name}, in {inspect.getfile(type(found[item.name]))}")
        found[item.name] = item
        for table in item.tables:
            if owners.setdefault(table.name, item.name) != item.name:
                raise _bad(item, f"the module {owners[table.name]} publishes a table {table.name} too")
    return found


def chosen(names: Sequence[str], folder: str = "") -> tuple[Module, ...]:
    """Return the modules with these names; without names, all but those that are opt-in. Raise UnknownModule."""
    known = discover(folder)
    for name in names:
        if name not in known:
            raise UnknownModule(name=name, known=", ".join(known))
    return tuple(module for name, module in known.items() if (name in names if names else not module.opt_in))


def load(file: Path) -> list[Module]:
    """Return the modules in a file, wherever it lies. Raise BadModule."""
    # A name of its own, so that nothing installed is hidden. The key of a partial finds the source by it.
    name = f"report_{digest(file.resolve())[:8]}_{file.stem.replace('.', '_')}"
    loader = _Loader(name, str(file))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = sys.modules[name] = module_from_spec(spec)
    with blamed_on(file):
        loader.exec_module(module)
    found = list(_modules_in(module))
    if not found:
        raise BadModule(file=file, line=1, what="no class here derives from Module and has a name")
    return found


@contextmanager
def blamed_on(file: Path, line: int = 1) -> Iterator[None]:
    """Raise BadModule, which names the last line of `file` that an error passed, or `line`, for any error inside."""
    try:
        yield
    except GrtError:
        raise
    except Exception as error:
        if isinstance(error, SyntaxError) and error.filename == str(file):
            lines, what = [error.lineno], error.msg
        else:
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
            what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise BadModule(file=file, line=lines[-1] if lines else line, what=what) from error


class _Loader(SourceFileLoader):
    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        """Leave no bytecode in the folders of others."""


def _of_the_house() -> Iterator[Module]:
    infos = pkgutil.walk_packages(house.__path__, f"{house.__name__}.")
    for info in sorted(infos, key=lambda info: info.name.rpartition(".")[2]):
        yield from _modules_in(importlib.import_module(info.name))


def _in_folder(folder: str) -> Iterator[Module]:
    if folder and not Path(folder).is_dir():
        raise BadArguments(command="run", what=f"modules_dir {folder} is no folder")
    for file in sorted(Path(folder).glob("*.py")) if folder else ():
        yield from load(file)


def _modules_in(file: ModuleType) -> Iterator[Module]:
    """Yield the modules that a file defines. The contracts, which have no name, are none."""
    for item in list(vars(file).values()):
        if not (isinstance(item, type) and issubclass(item, Module) and item.__module__ == file.__name__):
            continue
        if not hasattr(item, "name"):
            continue
        missing = [name for name in ("cubes", "tables") if not hasattr(item, name)]
        if missing:
            raise _bad(item(), f"the module {item.name} has no {' and no '.join(missing)}")
        yield item()


def _bad(module: Module, what: str) -> BadModule:
    _, line = inspect.getsourcelines(type(module))
    return BadModule(file=inspect.getfile(type(module)), line=line, what=what)
