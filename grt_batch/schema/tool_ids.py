"""Ids of tools: their parts, and how much of them a reader needs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

TOOL_ID, TOOL_VERSION = "tool_id", "tool_version"
"""The columns that name a tool, in every table and query."""


SHED_ID = (
    r"^(?P<shed>[^/]+(?:/[^/]+)*?)/repos/(?P<owner>[^/]+)/(?P<repository>[^/]+)/(?P<name>[^/]+)"
    r"(?:/(?P<version>[^/]*))?$"
)
"""The parts of the id of a tool from a Tool Shed; the ids of other tools do not match."""


WITHOUT_VERSION = "${shed}/repos/${owner}/${repository}/${name}"
"""What stands for such an id, as a replacement of polars, where all versions are meant."""


_SHED_ID = re.compile(SHED_ID)


_ALWAYS = ("owner", "name")


class Tool(NamedTuple):
    """A tool by its full id, and the version that is shown beside it, if any."""

    tool_id: str
    version: object = None


def without_version(tool_id: str) -> str:
    """Return the id without the version, as rows of all versions have it."""
    match = _SHED_ID.fullmatch(tool_id)
    return tool_id[: match.end("name")] if match else tool_id


def without_shed(tools: Iterable[Tool]) -> dict[Tool, str]:
    """Return each id without the host of the Tool Shed: iuc/bwa_mem2/bwa_mem2/2.2.1."""
    matches = {tool: _SHED_ID.fullmatch(tool.tool_id) for tool in tools}
    return {tool: tool.tool_id[match.start("owner") :] if match else tool.tool_id for tool, match in matches.items()}


def short_names(tools: Iterable[Tool]) -> dict[Tool, str]:
    """Return the name of each tool alone: bwa_mem2; the whole id of one that is from no Tool Shed."""
    matches = {tool: _SHED_ID.fullmatch(tool.tool_id) for tool in tools}
    return {tool: match["name"] if match else tool.tool_id for tool, match in matches.items()}


def told_apart(tools: Iterable[Tool]) -> dict[Tool, str]:
    """Return what to show of each id: owner and name, and for tools that would then read the same also the repository,
    shed or version in which they differ, or everything."""
    parts = {tool: match.groupdict() if (match := _SHED_ID.fullmatch(tool.tool_id)) else {} for tool in tools}
    shown = {tool: _joined(parts[tool], _ALWAYS) or tool.tool_id for tool in parts}
    for alike in _alike(shown):
        found = [parts[tool] for tool in alike if parts[tool]]
        differing = [name for name in found[0] if len({part[name] for part in found}) > 1]
        shown |= {tool: _joined(parts[tool], (*_ALWAYS, *differing)) or tool.tool_id for tool in alike}
    while still_alike := _alike(shown):
        shown |= {tool: tool.tool_id for alike in still_alike for tool in alike}
    return shown


def _joined(parts: Mapping[str, str | None], names: Iterable[str]) -> str:
    chosen = set(names)
    return "/".join(text for name, text in parts.items() if name in chosen and text is not None)


def _alike(shown: Mapping[Tool, str]) -> list[list[Tool]]:
    """Group the tools that read the same, with the version beside them."""
    groups = defaultdict(list)
    for tool, text in shown.items():
        groups[text, tool.version].append(tool)
    return [group for group in groups.values() if len(group) > 1]
