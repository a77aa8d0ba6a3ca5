"""The site: what the tables of a report set say, as files that a browser opens from a disk.

The pages hold no numbers of their own. Small tables and charts stand in them as data; those of tools and instances are
in scripts, since a page on a disk may load scripts, but read no other file. A page finds the script of a tool or an
instance by its id, so a link stays the same from night to night.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from filecmp import cmp
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from grt_batch.core.config import Config
from grt_batch.core.files import link_or_copy
from grt_batch.pages import changes, tools
from grt_batch.pages.instances import MONTHS, STATUS, USERS, Instance, instance_pages, instances, jobs_by_month
from grt_batch.pages.report_tables import ReportTables
from grt_batch.schema.tables import Table
from grt_batch.schema.tool_ids import TOOL_ID
from grt_batch.sinks.public_views import Threshold

TITLE = "Galactic Radio Telescope"

IN_SHARD, SHARDS = 64, 256
"""About how many tools or instances a script has, a quarter of a megabyte at most; and the most scripts of each."""

PLOTLY = "plotly.min.js"

_HERE = Path(__file__).parent

_ALL = "all"
"""What a person reads instead of an instance where all are meant."""

_PAGES = (
    ("index.html", "Overview"),
    ("tools.html", "Tools"),
    ("instances.html", "Instances"),
    ("changes.html", "Changes"),
    ("broken.html", "Broken"),
)

_BASIC = ("static/formats.js", "static/tables.js", "static/outline.js", "static/charts.js")
_PLAIN = ("static/formats.js", "static/tables.js")

_TOOL_COLUMNS = (
    ("tool", "tool"),
    ("jobs", "count"),
    ("last 30 days", "count"),
    ("error rate", "share"),
    ("runtime, median", "seconds"),
    ("memory, 95 %", "bytes"),
    ("core hours", "number"),
    ("instances", "count"),
    ("last job", "day"),
)
_TOOL_FIELDS = (
    "jobs",
    "jobs_30d",
    "error_rate",
    "runtime_p50",
    "memory_p95",
    "core_hours",
    "instances",
    "last_job",
)


@dataclass(frozen=True)
class Site:
    """The pages of one report set."""

    tables: ReportTables
    as_of: date
    private: bool = False

    @cached_property
    def _tools(self) -> tools.ToolPages:
        return tools.tool_pages(self.tables)

    @cached_property
    def _labels(self) -> dict[str, str]:
        """What a person reads of the id of each tool."""
        return dict(self._tools.overview.select(TOOL_ID, "label").iter_rows())

    def write(self, folder: Path, before: Path | None = None) -> None:
        """Fill the empty `folder`. The folder of an earlier site may be linked. Raises OSError."""
        (folder / "static").mkdir()
        for file in (*sorted((_HERE / "static").iterdir()), _plotly()):
            _copy(file, folder / "static" / file.name, before and before / "static" / file.name)
        self._write_data(folder / "data")
        for name, content in self._pages():
            (folder / name).write_bytes(content.encode())

    def _write_data(self, folder: Path) -> None:
        folder.mkdir()
        pages = {tool_id: _page(self._labels[tool_id], page) for tool_id, page in self._tools.pages.items()}
        of_instances = instance_pages(self.tables, self._instances, self._labels)
        known = {
            "title": TITLE,
            "shards": {
                "tools": _write_shards(folder / "tools", pages),
                "instances": _write_shards(
                    folder / "instances", {name: orjson.dumps(page) for name, page in of_instances.items()}
                ),
            },
            "status": STATUS,
            "instance": {"month": MONTHS, "users": USERS},
            "tool": {
                name.lower(): getattr(tools, name)
                for name in ("USAGE", "METRIC", "BIN", "INPUT", "VERSION", "MONTH", "PARAM")
            },
        }
        _write_script(folder / "site.js", "window.GRT_SITE", orjson.dumps(known))
        _write_script(folder / "tools.js", "window.GRT_TABLE", orjson.dumps(self._tool_table(None)))

    @cached_property
    def _instances(self) -> list[Instance]:
        return instances(self.tables)

    def _tool_table(self, most: int | None) -> changes.Table:
        rows = self._tools.overview.sort("jobs", TOOL_ID, descending=(True, False))[:most]
        return {
            "caption": "Tools, by jobs" if most is None else f"The {most} most used tools",
            "columns": _TOOL_COLUMNS,
            "rows": [(self._tool(row[0]), *row[1:]) for row in rows.select(TOOL_ID, *_TOOL_FIELDS).iter_rows()],
            "sort": (1, True),
        }

    def _tool(self, tool_id: str) -> tuple[str, str]:
        return tool_id, self._labels.get(tool_id, tool_id)

    def _instance(self, instance_id: str) -> tuple[str | None, str]:
        label = self._instance_labels.get(instance_id)
        return (None, _ALL) if label is None else (instance_id, label)

    @cached_property
    def _instance_labels(self) -> dict[str, str]:
        return {each.instance_id: each.label for each in self._instances}

    def _pages(self) -> Iterable[tuple[str, str]]:
        """Yield the name and the content of each page."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )
        shared = {"title": TITLE, "as_of": self.as_of, "pages": _PAGES, "private": self.private}
        start = "static/start.js"

        def page(file: str, template: str, heading: str, scripts: Iterable[str], **content: Any) -> tuple[str, str]:
            section = dict(_PAGES).get(file, "Tools" if file == "tool.html" else "Instances")
            values = {**shared, "heading": heading, "section": section, "scripts": scripts, **content}
            return file, environment.get_template(template).render(instances=self._instances, **values)

        yield page("index.html", "index.html", "Overview", (*_BASIC, start), **self._overview())
        yield page("tools.html", "tools.html", "Tools", ("data/tools.js", *_PLAIN, start))
        place = self._map()
        yield page(
            "instances.html",
            "sections.html",
            "Instances",
            (*_BASIC, start),
            lead="",
            sections=(("All instances", self._instance_table(late=False)), ("On the map", place)),
        )
        entry = ("data/site.js", *_BASIC, "static/entry.js")
        yield page("tool.html", "entry.html", "Tool", (*entry, "static/tool.js"))
        yield page("instance.html", "entry.html", "Instance", (*entry, "static/instance.js"))
        named = self._tool, self._instance
        yield page(
            "changes.html",
            "sections.html",
            "Changes since last month",
            (*_PLAIN, start),
            lead="",
            sections=(
                ("Better, worse, slower, faster", changes.changed_tools(self.tables, *named)),
                ("New tools", changes.new_tools(self._tools, self.as_of, self._tool)),
                ("Tools no longer used", changes.idle_tools(self._tools, self.as_of, self._tool)),
                ("Instances", changes.instance_changes(self.tables, self.as_of, self._instance)),
            ),
        )
        recent = changes.recent_use(self.tables)
        yield page(
            "broken.html",
            "sections.html",
            "What is broken",
            (*_PLAIN, start),
            lead="Tools over all versions; of all instances together, and of each.",
            sections=(
                ("Likely broken", changes.broken_tools(recent, *named)),
                ("Failing often", changes.failing_tools(recent, *named)),
            ),
        )

    def _overview(self) -> Mapping[str, Any]:
        months = jobs_by_month(self.tables)
        jobs = sum(self._tools.overview["jobs"])
        late = self._instance_table(late=True)
        facts = (
            ("jobs", f"{jobs:,}"),
            ("tools", f"{self._tools.overview.height:,}"),
            ("instances", f"{len(self._instances):,}"),
            ("exports late or too large", f"{len(late['rows']):,}"),
        )
        chart = {
            "caption": "Jobs by month and state, of the instances that are shown",
            "kind": "stack",
            "heading": "month",
            "format": "count",
            "x": months["month"].to_list(),
            "series": [(state, months[state].to_list()) for state in ("ok", "error", "other")],
        }
        return {
            "facts": facts,
            "months": chart,
            "late": late,
            "top": self._tool_table(10),
            "tools": self._tools.overview.height,
            "map": self._map(),
        }

    def _map(self) -> Mapping[str, Any]:
        points = [
            {"label": each.label, "jobs": each.row["jobs"] or 0} | {name: each.row[name] for name in _PLACE}
            for each in self._instances
            if all(each.row[name] is not None for name in _PLACE)
        ]
        caption = f"Instances that say where they stand: {len(points)}"
        return {"caption": caption, "kind": "map", "points": points}

    def _instance_table(self, *, late: bool) -> changes.Table:
        return {
            "caption": "Exports with a warning of instance_status" if late else "Instances, by jobs",
            "columns": (("instance", "instance"), *STATUS, ("last archive", "day")),
            "rows": [
                (self._instance(each.instance_id), *each.status, each.row["last_generated"])
                for each in self._instances
                if each.late or not late
            ],
            "sort": (1, True) if late else (6, True),
        }


_PLACE = ("longitude", "latitude")


def site(folder: Path, tables: Iterable[Table], as_of: date, config: Config) -> Site:
    """Return the site of the report set in `folder`, with what the configuration lets it show."""
    threshold = Threshold(config.public_value_jobs, config.public_value_instances)
    return Site(ReportTables(folder, tables, threshold, private=config.html_private), as_of, config.html_private)


def _page(label: str, lists: Mapping[str, str]) -> bytes:
    """Return what the page of a tool shows, as JSON."""
    parts = [f'"label":{orjson.dumps(label).decode()}', *(f'"{name}":{text}' for name, text in lists.items())]
    return f"{{{','.join(parts)}}}".encode()


def _write_shards(folder: Path, pages: Mapping[str, bytes]) -> int:
    """Write pages into scripts, by their keys, and return how many scripts there are."""
    folder.mkdir()
    count = min(SHARDS, -(-len(pages) // IN_SHARD) or 1)
    shards: list[list[bytes]] = [[] for _ in range(count)]
    for key, page in pages.items():
        shards[crc32(key.encode()) % count].append(orjson.dumps(key) + b":" + page)
    for number, shard in enumerate(shards):
        name = f"{number:02x}"
        variable = f'(window.GRT_SHARDS ??= {{}})["{folder.name}/{name}"]'
        _write_script(folder / f"{name}.js", variable, b"{" + b",".join(shard) + b"}")
    return count


def _write_script(file: Path, variable: str, json: bytes) -> None:
    file.write_bytes(variable.encode() + b" = " + json + b";\n")


def _plotly() -> Path:
    """Return where the package has its script. It is not imported: that would take longer than all pages."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    return Path(*(spec.submodule_search_locations or ())[:1]) / "package_data" / PLOTLY


def _copy(source: Path, target: Path, earlier: Path | None) -> None:
    """Copy a file, or link an earlier copy."""
    if earlier and earlier.is_file() and cmp(source, earlier, shallow=False):
        link_or_copy(earlier, target)
    else:
        shutil.copyfile(source, target)
