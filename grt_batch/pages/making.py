"""When a run makes report pages, and how: with the packages of the extra `html`, unless the configuration says no."""

from __future__ import annotations

from datetime import date
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.digest import digest, source_digest
from grt_batch.core.errors import NoPagePackage
from grt_batch.core.logs import logger
from grt_batch.sinks.made_folder import MakeFolder, contents, link_or_make, or_say

QUESTION = "What do the tables say, in a browser, without a server or a network?"

PACKAGES = ("jinja2", "plotly")
"""What the pages need beyond the program."""


def pages_of(config: Config, as_of: date, *, asked_for: bool) -> MakeFolder | None:
    """Return what makes the pages of a run, None where it makes none: because the configuration says so, or because a
    package is missing, which is said in one line. Raise NoPagePackage instead where they were `asked_for`."""
    if not config.html and not asked_for:
        return None
    missing = next((name for name in PACKAGES if find_spec(name) is None), None)
    if missing is None:
        return or_say(partial(make_pages, config=config, as_of=as_of), "report pages")
    if asked_for:
        raise NoPagePackage(package=missing)
    logger.info("no report pages: %s is not installed (pip install 'grt-batch[html]')", missing)
    return None


def make_pages(reports: Path, folder: Path, before: Path | None, config: Config, as_of: date) -> None:
    """Fill `folder` with the pages of the report set in `reports`. What an earlier site made of the same is linked.

    Raises OSError.
    """

    def make() -> None:
        from grt_batch.pages.site import site
        from grt_batch.pipeline.gate import known_tables

        site(reports, known_tables(config), as_of, config).write(folder, before)

    link_or_make(folder, before, _key(reports, config, as_of), make)


def _key(reports: Path, config: Config, as_of: date) -> str:
    """Return a digest of all that the pages depend on."""
    beside = sorted(file for name in ("templates", "static") for file in (Path(__file__).parent / name).iterdir())
    settings = (config.html_private, config.public_value_jobs, config.public_value_instances)
    versions = [version(name) for name in PACKAGES]
    return digest(as_of, *settings, *versions, source_digest("grt_batch.pages"), *contents(reports, beside))
