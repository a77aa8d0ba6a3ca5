"""Writes the references from the code, so that they cannot say anything else than it does.

`python docs/generate.py` writes the files of FILES; with --check it only names those that are not current.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from reference.commands import commands
from reference.configuration import configuration, default_file
from reference.markdown import ROOT
from reference.messages import messages
from reference.modules import module_page, modules
from reference.queries import queries
from reference.tables import tables

from grt_batch.modules.registry import discover

FILES: dict[str, Callable[[], str]] = {
    "config/grt_batch.toml": default_file,
    "docs/commands.md": commands,
    "docs/configuration.md": configuration,
    "docs/messages.md": messages,
    "docs/modules.md": modules,
    **{f"docs/modules/{name}.md": partial(module_page, name) for name in discover()},
    "docs/queries.md": queries,
    "docs/tables.md": tables,
}
"""What is generated, and the function whose text it is."""


def stale() -> list[str]:
    """The files that do not say what the code says now."""
    return [name for name, text in FILES.items() if _read(ROOT / name) != text()]


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file is not current.")
def main(check: bool) -> None:
    """Write the references."""
    if check:
        old = stale()
        for name in old:
            click.echo(f"{name} is not current: run make docs", err=True)
        sys.exit(1 if old else 0)
    for name, text in FILES.items():
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
