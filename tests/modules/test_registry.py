"""Modules of the house, and beside them those in a folder of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import README, SECOND

from grt_batch.core.errors import BadArguments, BadModule
from grt_batch.modules.registry import chosen, discover, load

LINE = 1 + README[: README.index("class ToolDays")].count("\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both examples."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "tool_days.py").write_text(README)
    (folder / "tool_wait.py").write_text(SECOND)
    return folder


def test_the_files_of_a_folder_are_modules_beside_those_of_the_house(folder: Path) -> None:
    assert list(discover(str(folder))) == [*discover(), "tool_days", "tool_wait"]
    assert [module.name for module in chosen(["tool_wait", "tools"], str(folder))] == ["tools", "tool_wait"]


def test_nothing_is_left_in_the_folder(folder: Path) -> None:
    discover(str(folder))
    assert sorted(file.name for file in folder.iterdir()) == ["tool_days.py", "tool_wait.py"]


def test_two_folders_may_have_files_of_the_same_name(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tool_days.py").write_text(README.replace("ToolDays", "Other"))
    names = [type(discover(str(place))["tool_days"]).__name__ for place in (folder, other)]
    assert names == ["ToolDays", "Other"]


BAD = {
    "invalid syntax": (LINE, "class ToolDays(", "class ToolDays:("),
    "ModuleNotFoundError: No module named 'nothing_like_it'": (3, "import polars as pl", "import nothing_like_it"),
    "no class here derives from Module and has a name": (1, 'name = "tool_days"', 'nama = "tool_days"'),
    "the module tool_days has no cubes": (LINE, "    cubes = (DAY,)\n", ""),
    "there is another module tools, in ": (LINE, 'name = "tool_days"', 'name = "tools"'),
    "the module tools publishes a table tool_day too": (LINE, 'Table(\n    "tool_days"', 'Table(\n    "tool_day"'),
}


@pytest.mark.parametrize(("what", "change"), BAD.items())
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, what: str, change: tuple[int, str, str]) -> None:
    line, before, after = change
    assert before in README
    file = tmp_path / "tool_days.py"
    file.write_text(README.replace(before, after))
    with pytest.raises(BadModule) as raised:
        discover(str(tmp_path))
    assert f"{file}, line {line}: {what}" in str(raised.value)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    file = tmp_path / "tool days, 2.1.py"
    file.write_text(README)
    assert [module.name for module in load(file)] == ["tool_days"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match="nowhere is no folder"):
        discover(str(tmp_path / "nowhere"))
