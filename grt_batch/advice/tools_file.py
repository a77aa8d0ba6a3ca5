"""A tools.yml of somebody else, which keeps every byte that the advice does not concern.

The parser says in which lines the values stand, and these lines alone are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grt_batch.advice.advice import Advice, Settled
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.tools_yml import (
    MARK,
    is_number,
    is_ours,
    memory_of,
    names_of,
    number,
    parser,
    remark,
    rules_of,
    tool_of,
)
from grt_batch.core.errors import BadTools

Edit = tuple[int, int, list[str]]
"""The lines from a number up to another, and what stands there instead."""


@dataclass(frozen=True)
class Entry:
    """The entry of a tool: what it sets. `closed` says why it cannot be changed, where it cannot."""

    key: str
    settled: Settled
    closed: str = ""


class ToolsFile:
    """A tools.yml that is there. Raise BadTools where it cannot be read, NoYaml without the package that reads it."""

    def __init__(self, file: Path) -> None:
        """Read the file."""
        self._file = file
        try:
            self._text = file.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise BadTools(file=file, what=error) from None
        self._document = self._parsed(self._text)
        self._tools = self._document["tools"]
        # Where several entries are for one tool, the last one that TPV applies wins.
        self.entries = {tool_of(str(key)): _entry(key, found) for key, found in self._tools.items()}

    @property
    def settled(self) -> dict[str, Settled]:
        """What the entries set, by the tool's id."""
        return {tool_id: entry.settled for tool_id, entry in self.entries.items()}

    def change_of(self, advice: Advice, rule: Rule) -> Settled | None:
        """Return what an advice changes in the entry of its tool; None where there is none, or nothing changes."""
        entry = self.entries.get(advice.evidence.tool_id)
        if entry is None or entry.closed or advice.memory is None:
            return None
        memory = advice.memory if advice.worth_a_change and advice.memory != entry.settled.memory else None
        before, cores = entry.settled.cores, advice.cores
        fewer = before is not None and cores is not None and cores <= (1 - rule.least_saving) * before
        return Settled(memory, cores if fewer else None) if memory or fewer else None

    def changed(self, advices: Iterable[Advice], rule: Rule) -> str:
        """Return the text of the file, with the entries changed that an advice changes."""
        found = ((advice, self.change_of(advice, rule)) for advice in advices)
        changes = {advice.evidence.tool_id: (advice, change) for advice, change in found if change}
        names = names_of(advice for advice, _ in changes.values())
        newline = "\r\n" if "\r\n" in self._text else "\n"
        lines = self._text.split(newline)
        edits: list[Edit] = []
        for tool_id, (advice, change) in changes.items():
            key = self.entries[tool_id].key
            line = self._tools.lc.key(key)[0]
            end = _next_key(self._tools, line, _next_key(self._document, line, len(lines)))
            rules = None if change.memory is None else list(rules_of(names[tool_id], change.memory))
            comment = f"# {remark(advice, rule)}"
            edits += _Place(lines, line, end, self._tools[key]).edits(change, rules, comment)
        for begin, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
            lines[begin:end] = new
        text = newline.join(lines)
        self._check(text, {self.entries[tool_id].key: change for tool_id, (_, change) in changes.items()})
        return text

    def _parsed(self, text: str) -> Any:
        reading = parser()
        from ruamel.yaml.error import YAMLError

        try:
            document = reading.load(text)
        except YAMLError as error:
            raise BadTools(file=self._file, what=" ".join(str(error).split())) from None
        if not isinstance(document, Mapping) or not isinstance(document.get("tools"), Mapping):
            raise BadTools(file=self._file, what="it has no tools")
        return document

    def _check(self, text: str, changes: Mapping[str, Settled]) -> None:
        """Raise BadTools if the text does not say what it should: some way to write YAML was not foreseen."""
        try:
            tools = self._parsed(text)["tools"]
        except BadTools as error:
            raise BadTools(
                file=self._file, what=f"it is written in a way that cannot be changed: {error.what}"
            ) from None
        for key, before in self._tools.items():
            now, change = tools.get(key), changes.get(key)
            if change is not None:
                old = _entry(key, before).settled
                right = _entry(key, now).settled == Settled(change.memory or old.memory, change.cores or old.cores)
            else:
                right = now == before
            if not right:
                raise BadTools(file=self._file, what=f"the entry {key} is written in a way that cannot be changed")


@dataclass(frozen=True)
class _Place:
    """Where an entry stands: its key in `line`, and all else before the line `end`."""

    lines: Sequence[str]
    line: int
    end: int
    entry: Any

    def edits(self, change: Settled, rules: Sequence[Mapping[str, Any]] | None, comment: str) -> Iterator[Edit]:
        """Yield what changes. No line is in two edits."""
        first, indent = self.entry.lc.line, " " * self.entry.lc.col
        old = [place for place in range(self.line + 1, first) if self.lines[place].lstrip().startswith(MARK)]
        yield from ((place, place + 1, []) for place in old)
        begin = [f"{indent}{comment}"]
        if change.cores is not None:
            yield self._value("cores", change.cores)
        if change.memory is not None:
            if "mem" in self.entry:
                yield self._value("mem", change.memory.mem)
            else:
                begin.append(f"{indent}mem: {number(change.memory.mem)}")
        yield self.line + 1, self.line + 1, begin
        if rules is not None:
            yield from self._rules(rules, indent)

    def _value(self, key: str, value: float) -> Edit:
        """Return the line of a number, with another number in it."""
        line, column = self.entry.lc.value(key)
        text = self.lines[line]
        return line, line + 1, [text[:column] + re.sub(r"^[^\s#]+", str(number(value)), text[column:])]

    def _rules(self, rules: Sequence[Mapping[str, Any]], indent: str) -> Iterator[Edit]:
        """Yield our rules out, and new ones in: at the end of those that stay, for later ones win."""
        found: Any = self.entry.get("rules") or []
        ours = [place for place, one in enumerate(found) if is_ours(one)]
        for place in ours:
            yield found.lc.item(place)[0], max(found[place].lc.value(key)[0] for key in found[place]) + 1, []
        dash = " " * (found.lc.item(0)[1] - 2) if found else indent
        new = [f"{dash}{'- ' if key == 'id' else '  '}{key}: {value}" for one in rules for key, value in one.items()]
        if found:
            line = self.entry.lc.key("rules")[0]
            end = self._content(_next_key(self.entry, line, self.end))
            yield end, end, new
            if not new and len(ours) == len(found):
                yield line, line + 1, []
        elif new:
            end = self._content(self.end)
            yield end, end, [f"{indent}rules:", *new]

    def _content(self, end: int) -> int:
        """Return the line after the last one before `end` that says anything: the comments after it are another's."""
        while self.lines[end - 1].lstrip()[:1] in ("", "#"):
            end -= 1
        return end


def _entry(key: str, found: Any) -> Entry:
    """Return what an entry sets, and whether it can be changed."""
    from ruamel.yaml.comments import CommentedMap

    if not isinstance(found, CommentedMap) or not found:
        return Entry(key, Settled(), "it sets nothing")
    mem, cores = found.get("mem"), found.get("cores")
    rules: Any = found.get("rules") or []
    memory = _memory(mem, rules)
    settled = Settled(memory, cores if is_number(cores) else None)
    if found.fa.flow_style() or (rules and rules.fa.flow_style()):
        return Entry(key, settled, "it is written on one line")
    if any(value is not None and not is_number(value) for value in (mem, cores)):
        return Entry(key, settled, "it computes its memory or cores")
    others = [one for one in rules if not is_ours(one)] if isinstance(rules, list) else [rules]
    if any(not isinstance(one, Mapping) or {"mem", "cores"} & one.keys() for one in others):
        return Entry(key, settled, "rules of its own set memory or cores")
    return Entry(key, settled)


def _memory(mem: Any, rules: Any) -> Memory | None:
    if not is_number(mem):
        return None
    ours = [one for one in rules if is_ours(one)] if isinstance(rules, list) else []
    return memory_of(float(mem), ours)


def _next_key(found: Any, line: int, end: int) -> int:
    """Return the first line after `line` where a key of a mapping stands; `end` if there is none."""
    return min((place for key in found if (place := found.lc.key(key)[0]) > line), default=end)
