"""The references say what the code says, and everything public says what it is."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from places import ROOT

from grt_batch.commands import cli
from grt_batch.core import errors

SOURCES = sorted((ROOT / "grt_batch").rglob("*.py"))


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_file_is_current(name: str) -> None:
    file = ROOT / name
    assert file.is_file(), f"{name} is missing: run make docs"
    assert file.read_text(encoding="utf-8") == generate.FILES[name](), f"{name} is not current: run make docs"


def test_check_names_the_file_that_is_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.stale() == list(generate.FILES)
    generate.main.callback(check=False)
    assert generate.stale() == []
    (tmp_path / "docs" / "tables.md").write_text("old")
    assert generate.stale() == ["docs/tables.md"]


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            if found := command.get_command(context, child):
                yield from _commands(found, f"{name} {child}")


@pytest.mark.parametrize(("name", "command"), list(_commands(cli, "grt-batch")))
def test_command_reference_holds_every_option(name: str, command: click.Command) -> None:
    sections = generate.commands().split("\n## ")
    (section,) = [text for text in sections if text.splitlines()[0] == name]
    assert command.help, f"{name} has no help"
    for param in command.params:
        for option in param.opts if isinstance(param, click.Option) else ():
            assert option in section


ERRORS = [error for error in errors.GrtError.__subclasses__() if error.__module__ == errors.__name__]


def test_messages_hold_every_error_under_its_exit_code() -> None:
    text = generate.messages()
    for error in ERRORS:
        section = text.split(f"\n## Exit code {error.exit_code}\n")[1].split("\n## ")[0]
        assert f"\n| {error.__name__} | " in section
    assert "{name}.json is no JSON: {error}" in text
    assert "fragment before a joined record" in text


@pytest.mark.parametrize("error", [*ERRORS, errors.Quarantine, errors.Stopped], ids=lambda error: error.__name__)
def test_error_says_why_it_comes(error: type[Exception]) -> None:
    assert error.__dict__.get("__doc__"), f"{error.__name__} has no docstring"
    assert not error.__doc__.startswith(f"{error.__name__}("), f"{error.__name__} has the docstring of dataclass"


def _public(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """The public classes, functions and methods, by their qualified names. What a private class holds is private."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not item.name.startswith("_"):
            yield prefix + item.name, item
            if isinstance(item, ast.ClassDef):
                yield from _public(item, f"{prefix}{item.name}.")


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_everything_public_has_a_docstring(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = [("the module", tree), *_public(tree, "")]
    without = [name for name, item in named if not ast.get_docstring(item)]  # type: ignore[arg-type]
    assert not without, f"{file.relative_to(ROOT)}: no docstring: {', '.join(without)}"


@pytest.mark.parametrize("words", ["make demo", "make test"])
def test_readme_says_how_to_begin(words: str) -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    assert any(words in line for line in first), f"README.md does not name {words} in its first 40 lines"
