"""When a run makes report pages, and how: with the packages of the extra `html`, unless the configuration says no."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.digest import digest, source_digest
from grt_batch.core.errors import NoPagePackage
from grt_batch.core.files import link_or_copy
from grt_batch.core.logs import logger
from grt_batch.sinks.report_file import load_parts
from grt_batch.sinks.report_set import PAGES, MakePages

QUESTION = "What do the tables say, in a browser, without a server or a network?"

PACKAGES = ("jinja2", "plotly")
"""What the pages need beyond the program."""

KEY = ".key"
"""The file of a site with a digest of all that it was made of."""


def without_pages(modules: Sequence[str]) -> tuple[str, ...]:
    """Return the names of modules without that of the pages."""
    return tuple(name for name in modules if name != PAGES)


def pages_of(config: Config, as_of: date, *, asked_for: bool) -> MakePages | None:
    """Return what makes the pages of a run, None where it makes none: because the configuration says so, or because a
    package is missing, which is said in one line. Raise NoPagePackage instead where they were `asked_for`."""
    if not config.html and not asked_for:
        return None
    missing = next((name for name in PACKAGES if find_spec(name) is None), None)
    if missing is None:
        return lambda reports, folder, before: _make_or_say(reports, folder, before, config, as_of)
    if asked_for:
        raise NoPagePackage(package=missing)
    logger.info("no report pages: %s is not installed (pip install 'grt-batch[html]')", missing)
    return None


def _make_or_say(reports: Path, folder: Path, before: Path | None, config: Config, as_of: date) -> None:
    """Make the pages; where that fails, say so and leave none: the tables are published all the same."""
    try:
        make_pages(reports, folder, before, config, as_of)
    except OSError:
        raise
    except Exception as error:
        logger.warning("no report pages: making them failed: %s: %s", type(error).__name__, error)
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def make_pages(reports: Path, folder: Path, before: Path | None, config: Config, as_of: date) -> None:
    """Fill `folder` with the pages of the report set in `reports`. What an earlier site made of the same is linked.

    Raises OSError.
    """
    key = _key(reports, config, as_of)
    if before is not None and _read(before / KEY) == key:
        shutil.copytree(before, folder, dirs_exist_ok=True, copy_function=_linked)
        return
    from grt_batch.pages.site import site
    from grt_batch.pipeline.gate import known_tables

    site(reports, known_tables(config), as_of, config).write(folder, before)
    (folder / KEY).write_text(key, encoding="utf-8")


def _key(reports: Path, config: Config, as_of: date) -> str:
    """Return a digest of all that the pages depend on. A set says what is in its files, which need not be read."""
    beside = sorted(file for name in ("templates", "static") for file in (Path(__file__).parent / name).iterdir())
    held = load_parts(reports)
    said = [f"{name} {held[name].extents}" for name in sorted(held) if held[name].extents]
    files = [*(file for file in sorted(reports.glob("*.tsv")) if file.stem not in held), *beside]
    settings = (config.html_private, config.public_value_jobs, config.public_value_instances)
    versions = [version(name) for name in PACKAGES]
    return digest(as_of, *settings, *versions, source_digest("grt_batch.pages"), *said, *map(_named_digest, files))


def _named_digest(file: Path) -> str:
    with file.open("rb") as content:
        return f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _linked(source: str, target: str) -> None:
    link_or_copy(Path(source), Path(target))
