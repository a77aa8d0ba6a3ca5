"""The site in a browser: it opens from a disk, says nothing private, and can be used without a mouse or colours."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from grt_batch.core.config import Config
from grt_batch.modules.base import INSTANCE
from grt_batch.pages.making import make_pages
from grt_batch.pages.report_tables import ReportTables
from grt_batch.sample import UNTIL
from grt_batch.schema.tool_ids import TOOL_ID

PAGES = ("index.html", "tools.html", "instances.html", "changes.html", "broken.html", "tool.html", "instance.html")


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def of_all(folder: Path, kind: str) -> dict[str, Any]:
    """What is in the scripts with tools, or with instances."""
    found: dict[str, Any] = {}
    for file in (folder / "data" / kind).iterdir():
        found |= orjson.loads(file.read_bytes().partition(b" = ")[2].removesuffix(b";\n"))
    return found


def most_used(shown: ReportTables) -> str:
    where = {"tool_version": ("*",), "period": ("all",)}
    usage = shown.rows("tool_usage", where, of_all=True, columns=(TOOL_ID, "jobs"))
    return str(usage.sort("jobs", TOOL_ID)[-1, TOOL_ID])


def test_the_same_tables_give_the_same_bytes(html: Path, report_set: Path, tmp_path: Path) -> None:
    make_pages(report_set, tmp_path, None, Config(), UNTIL)
    assert files(tmp_path) == files(html)


def test_nothing_private(html: Path, shown: ReportTables, everything: ReportTables) -> None:
    columns = (INSTANCE, "title", "url", "description")
    public = {text for row in shown.rows("instance", columns=columns).rows() for text in row}
    secret = {text for row in everything.rows("instance", columns=columns).rows() for text in row if text} - public
    everywhere = b"".join(content for name, content in files(html).items() if "plotly" not in name)
    # An id of one digit would be found in numbers.
    telling = [text for text in secret if len(text) > 3]
    assert telling
    assert not [text for text in telling if text.encode() in everywhere]
    values = {row[:2] for row in shown.rows("param_value", columns=(TOOL_ID, "name", "value")).rows()}
    for tool_id, page in of_all(html, "tools").items():
        assert {(tool_id, name) for name, *_ in page.get("params", ())} <= values
    listed = {
        key
        for file in (html / "data" / "instances").iterdir()
        for key in re.findall('"([^"]+)":{"label"', file.read_text())
    }
    assert listed == set(shown.rows("instance", columns=(INSTANCE,))[INSTANCE])


def test_all_of_it_where_that_is_wanted(report_set: Path, everything: ReportTables, tmp_path: Path) -> None:
    make_pages(report_set, tmp_path, None, replace(Config(), html_private=True), UNTIL)
    instances = (tmp_path / "instances.html").read_text(encoding="utf-8")
    for instance_id in everything.rows("instance", columns=(INSTANCE,))[INSTANCE]:
        assert f'"{instance_id}"' in instances
    assert "that share their numbers" not in instances


def test_no_page_complains_or_asks_the_network(html: Path, browser: Any, shown: ReportTables) -> None:
    tool = quote(most_used(shown), safe="")
    (instance, *_) = shown.rows("instance", columns=(INSTANCE,))[INSTANCE]
    browser.complaints()
    browser.requests()
    charts = {}
    for page in (*PAGES, f"tool.html#{tool}", f"instance.html#{instance}", "tool.html#none"):
        browser.open(html, page)
        assert browser.complaints() == [], page
        charts[page.partition("#")[0]] = browser.ask("return document.querySelectorAll('.plot').length")
        if page.endswith(tool):
            # Runtime, memory, CPU; two against the input; two by version; errors over time.
            drawn = browser.ask("return document.querySelectorAll('.plot .trace, .plot .bars').length")
            assert (charts["tool.html"], drawn >= 8) == (8, True)
    assert browser.requests() <= {"file", "data", "about", "blob", "chrome"}
    assert (charts["index.html"], charts["instances.html"]) == (2, 1)


def test_links_lead_somewhere(html: Path, browser: Any) -> None:
    there = files(html).keys()
    for page in PAGES:
        browser.open(html, page)
        links = browser.ask("return [...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))")
        local = {link.partition("#")[0] for link in links if not link.startswith(("http", "#"))}
        assert local <= there, page
        assert len(local) >= 5
    browser.open(html, "index.html")
    name = browser.ask("const a = document.querySelector('td a[href^=\"tool.html\"]'); a.click(); return a.textContent")
    browser.wait("return document.querySelector('h1').textContent === arguments[0]", name)


def test_search_and_sort_by_keyboard(html: Path, browser: Any, shown: ReportTables) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(html, "tools.html")
    field = browser.driver.find_element("css selector", "input[type=search]")
    field.send_keys("BOWTIE2")
    browser.wait("return document.querySelectorAll('tbody tr').length < 5")
    assert "bowtie2" in browser.ask("return document.querySelector('tbody').textContent")
    field.clear()
    field.send_keys("no such tool")
    browser.wait("return document.querySelector('[role=status]').textContent === 'Nothing found'")
    field.clear()
    field.send_keys(" ")
    browser.driver.find_element("css selector", "th button").send_keys(Keys.ENTER)
    browser.wait("return document.querySelector('th').getAttribute('aria-sort') === 'ascending'")
    names = browser.ask("return [...document.querySelectorAll('tbody a')].map((a) => a.textContent)")
    assert names == browser.ask("return arguments[0].slice().sort((a, b) => a.localeCompare(b, 'en'))", names)
    assert len(names) == 50
    status = browser.ask("return document.querySelector('[role=status]').textContent")
    assert status == f"1 to 50 of {len(of_all(html, 'tools'))}"


def test_each_part_has_its_name(html: Path, browser: Any, shown: ReportTables) -> None:
    for page in (*PAGES, f"tool.html#{quote(most_used(shown), safe='')}"):
        browser.open(html, page)
        unnamed = browser.ask(
            "return [...document.querySelectorAll('table:not(:has(caption)), [role=img]:not([aria-label]),"
            " input:not([aria-label]), th:not([scope])')].length"
        )
        assert unnamed == 0, page
        levels = browser.ask("return [...document.querySelectorAll('h1, h2, h3')].map((h) => h.tagName)")
        assert levels.count("H1") == 1
        assert levels[0] == "H1"
        assert browser.ask("return document.documentElement.lang") == "en"


def test_the_numbers_of_a_chart_are_in_a_table(html: Path, browser: Any) -> None:
    browser.open(html, "index.html")
    browser.ask("document.querySelector('details').open = true")
    months = browser.ask("return document.querySelectorAll('details tbody tr').length")
    assert months == browser.ask("return document.querySelector('.plot').data[0].x.length")


def test_dark_and_print(html: Path, browser: Any) -> None:
    browser.open(html, "index.html")
    paper = "return getComputedStyle(document.body).backgroundColor"
    ink = "return document.querySelector('.plot').layout.font.color"
    light = browser.ask(paper), browser.ask(ink)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    browser.wait(f"const now = (() => {{ {ink} }})(); return now !== arguments[0]", light[1])
    assert browser.ask(paper) != light[0]
    # Paper is white, whatever the screen is.
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", **dark})
    browser.wait(f"const now = (() => {{ {ink} }})(); return now === arguments[0]", light[1])
    assert browser.ask(paper) == light[0]
    assert browser.ask("return getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def brightness(colour: str) -> float:
    """The relative luminance of a colour, by WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((brightness(one), brightness(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast(html: Path, theme: int) -> None:
    css = (html / "static" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", css.split(":root")[theme + 1]))
    for name in ("ink", "quiet", "link"):
        assert contrast(colours[name], colours["paper"]) >= 4.5
        assert contrast(colours[name], colours["shade"]) >= 4.5
    for name in ("series-1", "series-2", "series-3", "series-4", "land"):
        assert contrast(colours[name], colours["paper"]) >= 3


def test_nothing_is_wider_than_a_phone(html: Path, browser: Any, shown: ReportTables) -> None:
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    (instance, *_) = shown.rows("instance", columns=(INSTANCE,))[INSTANCE]
    widths = {}
    for page in (*PAGES, f"tool.html#{quote(most_used(shown), safe='')}", f"instance.html#{instance}"):
        browser.open(html, page)
        widths[page] = browser.ask("return document.documentElement.scrollWidth")
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths == dict.fromkeys(widths, phone["width"])


HOSTILE = '"><img src=x onerror="document.title=1"></script><script>document.title=1</script>'


def test_texts_are_no_markup(report_set: Path, browser: Any, tmp_path: Path) -> None:
    """Ids and values come from uploads."""
    hostile = tmp_path / "set"
    hostile.mkdir()
    for name in ("tool_usage", "instance", "instance_status", "instance_month", "tool_metric", "tool_histogram"):
        text = (report_set / f"{name}.tsv").read_text(encoding="utf-8")
        text = text.replace("\tFilter1\t", f"\t{HOSTILE}\t")
        if name == "instance":
            header, *lines = text.splitlines()
            title, url = (header.split("\t").index(column) for column in ("title", "url"))
            rows = [line.split("\t") for line in lines]
            for row in rows:
                row[title], row[url] = HOSTILE, "javascript:document.title=1"
            text = "\n".join([header, *("\t".join(row) for row in rows)]) + "\n"
        (hostile / f"{name}.tsv").write_text(text, encoding="utf-8")
    folder = tmp_path / "html"
    folder.mkdir()
    make_pages(hostile, folder, None, Config(), UNTIL)
    (instance, *_) = of_all(folder, "instances")
    tool = f"tool.html#{quote(HOSTILE, safe='')}"
    for page in ("index.html", "tools.html", tool, f"instance.html#{instance}", "broken.html"):
        browser.open(folder, page)
        assert browser.ask("return document.title") != "1"
        assert browser.ask("return document.querySelectorAll('img[src=x], a[href^=javascript]').length") == 0
        assert browser.complaints() == []
    browser.open(folder, tool)
    assert browser.ask("return document.querySelector('h1').textContent") == HOSTILE
