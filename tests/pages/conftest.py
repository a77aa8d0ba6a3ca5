"""A site over the sample, and a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import ARCHIVE
from grt_batch.modules.registry import discover
from grt_batch.pages.report_tables import ReportTables
from grt_batch.sample import UNTIL
from grt_batch.sinks.public_views import Threshold

TABLES = [ARCHIVE, *(table for module in discover().values() for table in module.tables)]


@pytest.fixture(scope="session")
def report_set(_published: Config) -> Path:
    """The report set of the sample; nobody writes to it."""
    return _published.reports / UNTIL.isoformat()


@pytest.fixture(scope="session")
def shown(report_set: Path) -> ReportTables:
    """Its tables, as the public sees them."""
    return ReportTables(report_set, TABLES, Threshold())


@pytest.fixture(scope="session")
def everything(report_set: Path) -> ReportTables:
    """Its tables, with all rows."""
    return ReportTables(report_set, TABLES, Threshold(), private=True)


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory, report_set: Path) -> Path:
    """The folder with the site of the sample."""
    pytest.importorskip("jinja2")
    pytest.importorskip("plotly")
    from grt_batch.pages.making import make_pages

    folder = tmp_path_factory.mktemp("site")
    make_pages(report_set, folder, None, Config(), UNTIL)
    return folder


class Browser:
    """A headless Chromium, which opens files of a folder."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, folder: Path, page: str) -> None:
        """Open a page, and wait until its charts are drawn."""
        self.driver.get("about:blank")
        self.driver.get(f"file://{folder}/{page}")
        self.wait(
            "const entry = document.getElementById('entry');"
            "return document.readyState === 'complete' && (!entry || entry.children.length > 0)"
        )
        self.wait(
            "const plots = [...document.querySelectorAll('.plot')];"
            "return plots.every((plot) => plot.querySelector('.main-svg'))"
        )

    def wait(self, script: str, *values: object) -> Any:
        """Wait until a script returns something true, and return that."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 20, 0.02).until(lambda driver: driver.execute_script(script, *values))

    def ask(self, script: str, *values: object) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *values)

    def complaints(self) -> list[str]:
        """What the console says, since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """The schemes of all that was asked for, since it was asked last."""
        entries = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (entry for entry in entries if entry["method"] == "Network.requestWillBeSent")
        return {entry["params"]["request"]["url"].partition(":")[0] for entry in sent}


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, _published: Config) -> Iterator[Browser]:
    """A browser for all tests."""
    del _published  # no browser where there is no site
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("Debian's chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
        "--window-size=1100,1400",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(started)
    finally:
        started.quit()
