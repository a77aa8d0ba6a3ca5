"""tools.yml of Total Perspective Vortex: its words, and how it is written anew, as `tpv format` leaves it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from grt_batch.advice.advice import Advice
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.versions import peak
from grt_batch.core.errors import NoYaml
from grt_batch.schema.tool_ids import Tool, short_names

MARK = "# grt:"
"""What our comment in an entry begins with."""


_OURS = "grt_"
"""What the ids of our rules begin with."""


_END_OF_PATTERN = re.compile(r"(/?\.[*+]\??)?\$?$")


_CONDITION = re.compile(r"(?:(?P<from>[\d.e-]+) <= )?input_size(?: < [\d.e-]+| >= (?P<last>[\d.e-]+))?")


_OF_VERSION = re.compile(r"tool\.version == '(?P<version>[^']+)'")


_LONGEST_NAME = 40
"""Of a tool, in the id of a rule: longer ids would be written on two lines."""


_LONGEST_KEY = 1024
"""As `tpv format` has it: the ids of tools are longer than the keys that YAML writes on one line by itself."""


def written(advices: Iterable[Advice], rule: Rule) -> str:
    """Return the tools.yml of all tools that have an advice, and an id that a line can hold. Raise NoYaml without the
    package that writes it."""
    advised = [advice for advice in advices if advice.memory and advice.evidence.tool_id.isprintable()]
    names = names_of(advised)
    entries = {pattern_of(advice.evidence.tool_id): advice for advice in advised}
    from ruamel.yaml.comments import CommentedMap

    tools = CommentedMap()
    for key in sorted(entries, key=lambda key: ("/" not in key, key)):
        advice = entries[key]
        assert advice.memory
        entry = CommentedMap({"cores": advice.cores} if advice.cores else {})
        entry["mem"] = number(advice.memory.mem)
        rules = list(rules_of(names[advice.evidence.tool_id], advice.memory))
        if rules:
            entry["rules"] = [CommentedMap(one) for one in rules]
        entry.yaml_set_start_comment(remark(advice, rule), indent=4)
        tools[key] = entry
    text = io.StringIO()
    parser().dump({"tools": tools}, text)
    return text.getvalue()


def remark(advice: Advice, rule: Rule) -> str:
    """Return the evidence behind an advice, on one line."""
    evidence = advice.evidence
    servers = f"{evidence.servers} server{'s' * (evidence.servers != 1)}"
    parts = [
        f"grt: {evidence.jobs} jobs ok on {servers}, {evidence.killed} killed for memory",
        f"p{rule.percentile:g} {advice.peak:.1f} GiB",
    ]
    if advice.old.memory and advice.hours_before is not None and advice.hours_now is not None:
        given, saved = number(round(advice.old.memory.mem, 1)), advice.hours_before - advice.hours_now
        parts[1] += f" of {given} given"
        parts.append(f"{given} would have killed {100 * (advice.killed_before or 0):.1f} % of them")
        effect = "saves {} of {} GiB hours" if saved >= 0 else "takes {} more than {} GiB hours"
        parts.append(effect.format(_hours(abs(saved)), _hours(advice.hours_before)))
    chosen = dict(advice.memory.versions) if advice.memory else {}
    parts += [
        f"{one.name}: {one.jobs} jobs, {one.killed} killed, {peak(one, rule.percentile):.1f} GiB"
        for one in evidence.versions
        if one.name in chosen
    ]
    return "; ".join(parts)


def _hours(hours: float) -> str:
    return f"{hours:.0f}" if hours >= 10 else f"{hours:.1f}"


def pattern_of(tool_id: str) -> str:
    """Return the pattern that matches a tool in all its versions, and no other tool."""
    escaped = re.sub(r"([\\^$*+?{}\[\]|()])", r"\\\1", tool_id)
    return f"{escaped}/.*" if "/repos/" in tool_id else f"{escaped}$"


def tool_of(pattern: str) -> str:
    """Return the id of the tool that such a pattern, or another one in use for single tools, is for."""
    return re.sub(r"\\(.)", r"\1", _END_OF_PATTERN.sub("", pattern.removeprefix("^"), count=1))


def is_ours(found: Any) -> bool:
    """Return whether we wrote a rule, and nobody changed more than numbers."""
    return (
        isinstance(found, Mapping)
        and found.keys() == {"id", "if", "mem"}
        and str(found["id"]).startswith(_OURS)
        and is_number(found["mem"])
        and any(form.fullmatch(str(found["if"])) for form in (_CONDITION, _OF_VERSION))
    )


def memory_of(mem: float, rules: Iterable[Mapping[str, Any]]) -> Memory:
    """Return what an entry with these rules of ours gives."""
    steps, versions = [], []
    for one in rules:
        of_version = _OF_VERSION.fullmatch(str(one["if"]))
        if of_version:
            versions.append((of_version["version"], float(one["mem"])))
        else:
            steps.append((_begin_of(one), float(one["mem"])))
    return Memory(mem, tuple(steps), tuple(versions))


def _begin_of(found: Mapping[str, Any]) -> float:
    """Return the size of input at which a rule of ours begins."""
    match = _CONDITION.fullmatch(str(found["if"]))
    assert match
    return float(match["from"] or match["last"] or 0)


def rules_of(name: str, memory: Memory) -> Iterator[dict[str, Any]]:
    """Yield the rules by size, of which all but the first and the last have two bounds, and those by version: the last
    one that matches wins."""
    for place, (begin, mem) in enumerate(memory.steps):
        after = memory.steps[place + 1][0] if place + 1 < len(memory.steps) else None
        if after is None:
            condition = f"input_size >= {number(begin)}"
        else:
            condition = f"{number(begin)} <= input_size < {number(after)}" if place else f"input_size < {number(after)}"
        yield {"id": f"{_OURS}{name}_input_{place + 1}", "if": condition, "mem": number(mem)}
    for place, (version, mem) in enumerate(memory.versions):
        yield {"id": f"{_OURS}{name}_version_{place + 1}", "if": f"tool.version == '{version}'", "mem": number(mem)}


def names_of(advices: Iterable[Advice]) -> dict[str, str]:
    """Return a name for the rules of each tool, by its id."""
    tools = [Tool(advice.evidence.tool_id) for advice in advices]
    names = {tool.tool_id: re.sub(r"\W", "_", name, flags=re.ASCII) for tool, name in short_names(tools).items()}
    return {tool_id: name[:_LONGEST_NAME] for tool_id, name in names.items()}


def is_number(value: Any) -> bool:
    """Return whether a value of YAML is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: float) -> int | float:
    """Return a number as it is written: whole ones without a point."""
    return int(value) if float(value).is_integer() else value


def parser() -> Any:
    """Return a new parser and writer of YAML. Raise NoYaml without its package."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.emitter import RoundTripEmitter
    except ImportError:
        raise NoYaml from None

    class Emitter(RoundTripEmitter):  # type: ignore[misc, unused-ignore]
        MAX_SIMPLE_KEY_LENGTH = _LONGEST_KEY

    found = YAML()
    found.Emitter = Emitter
    return found
