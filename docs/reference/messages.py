"""The reference of the messages: errors by exit code, reasons of quarantine and rejection."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import grt_batch
from grt_batch.core.errors import GrtError, Quarantine, Stopped
from grt_batch.decode.decoder import FRAGMENT, salvage
from grt_batch.pipeline.plan import mismatch
from grt_batch.schema.members import Kind, MemberType, layout_of
from grt_batch.schema.tables import REJECT_COLUMNS
from reference.markdown import code, codes, grid, one_line, page


def messages() -> str:
    """Every error with its cause and remedy by exit code, and the reasons for which an archive or line is left out."""
    parts = [
        "## Exit codes 0 and 1",
        "0: all archives are in. 1: the tables are published, but some archive is in quarantine, or some target"
        " did not get them.",
    ]
    by_code: dict[int, list[type[GrtError]]] = {}
    for error in _errors(GrtError):
        by_code.setdefault(error.exit_code, []).append(error)
    for exit_code in sorted(by_code):
        parts.append(f"## Exit code {exit_code}")
        rows = [
            (error.__name__, _field_names(error.message), one_line(error.__doc__), _field_names(error.remedy))
            for error in by_code[exit_code]
        ]
        parts.append(grid(("error", "what it says", "why it comes", "what to do"), rows))
    parts += [
        "## Exit codes from 128",
        f"{one_line(Stopped.__doc__)} The exit code is 128 plus the number of the signal: 130 for Ctrl-C, 143 for"
        " SIGTERM. Nothing was published; computed results are kept.",
    ]
    parts += ["## Quarantine", one_line(Quarantine.__doc__), "\n".join(f"- {code(text)}" for text in _quarantines())]
    parts += [
        "## Rejected lines",
        f"`<reports>/rejects/<instance_id>/<archive>.tsv` has the columns {codes(('archive', *REJECT_COLUMNS))};"
        " `line` counts from 1, the header included. The reasons, each with an example (⇥ is a tab):",
        grid(("reason", "member", "line"), _rejects()),
    ]
    return page("Messages", "Names in braces are replaced by their values.", *parts)


def _field_names(template: str) -> str:
    """A message or remedy as Markdown; what may look like a tag is escaped."""
    return template.replace("!r}", "}").replace("<", "\\<")


def _errors(parent: type[GrtError]) -> Iterator[type[GrtError]]:
    for child in parent.__subclasses__():
        if child.__module__ == parent.__module__:
            yield child
            yield from _errors(child)


def _quarantines() -> list[str]:
    """The reasons of all `raise Quarantine`, and of the two functions whose words become one."""
    found: list[str] = []
    for file in sorted(Path(grt_batch.__file__).parent.rglob("*.py")):
        found += _phrases(ast.parse(file.read_text(encoding="utf-8")), "Quarantine")
    for function in (layout_of, mismatch):
        found += _phrases(ast.parse(inspect.getsource(function)))
    return list(dict.fromkeys(found))


def _phrases(tree: ast.AST, error: str | None = None) -> Iterator[str]:
    """What the code raises as `error`; without an `error`, whatever it raises or returns."""
    for node in ast.walk(tree):
        raised = node.exc if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
        if raised and raised.args and error in (None, getattr(raised.func, "id", None)):
            yield from _phrase(raised.args[0])
        elif error is None and isinstance(node, ast.Return) and node.value:
            yield from _phrase(node.value)


def _phrase(text: ast.expr) -> Iterator[str]:
    """A text of the code, with the names of what is filled in."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        yield text.value
    elif isinstance(text, ast.JoinedStr):
        yield "".join(
            _filled_in(part.value) if isinstance(part, ast.FormattedValue) else str(getattr(part, "value", ""))
            for part in text.values
        )


def _filled_in(value: ast.expr) -> str:
    """A placeholder; that of a count with its noun in the plural."""
    match value:
        case ast.Call(func=ast.Name(id="counted"), args=[count, ast.Constant(value=noun)]):
            return f"{{{_name(count)}}} {noun}s"
    return f"{{{_name(value)}}}"


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner):
            return _name(inner)
    return "…"


_GOOD = {
    MemberType.JOB_ID: b"12",
    MemberType.INTEGER: b"34",
    MemberType.TEXT: b"text",
    MemberType.FREE_TEXT: b"text",
    MemberType.NUMBER: b"4.0000000",
    MemberType.DATE: b"2020-01-31 12:00:00",
    MemberType.DIRECTION: b"input",
}


def _rejects() -> Iterator[tuple[str, ...]]:
    """Every reason for which the decoder rejects a line, with a line of which it says so."""
    found: dict[str, tuple[Kind, list[bytes]]] = {}
    for kind in Kind:
        layout, _ = layout_of(kind, [])
        good = [_GOOD[column.type] for column in layout.columns]
        typed = [at for at, text in enumerate(good) if text != _GOOD[MemberType.FREE_TEXT]]
        wrong = [[*good[:at], b"?", *good[at + 1 :]] for at in typed]
        # With a tab too much, no reading may be valid, or several of which none is better.
        for fields in [good[:-1], *wrong, [*wrong[0], b"?"], [*good[:-1], b"?", b"?"]]:
            record, reason = salvage(layout, fields)
            if record is None:
                found.setdefault(reason, (kind, fields))
    for reason, (kind, fields) in found.items():
        yield code(reason), kind.value, code("⇥".join(field.decode() for field in fields))
    yield code(FRAGMENT), "any", "the piece before a joined record"
