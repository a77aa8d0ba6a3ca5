"""The command that finds the files that come with the program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from calling import Call
from places import ROOT

from grt_batch.core.errors import BadArguments, CannotWrite


def test_it_lists_where_they_are(call: Call) -> None:
    answer = call("files")
    assert (answer.code, answer.err) == (0, "")
    found = dict(line.split() for line in answer.out.splitlines()[1:])
    assert Path(found["cron.sh"]).samefile(ROOT / "cron.sh")
    assert Path(found["config/schemas/metadata.schema.json"]).is_file()


@pytest.mark.parametrize("name", ["config/sql", "manager.py", "."])
def test_a_name_gives_its_path_alone(call: Call, name: str) -> None:
    path = Path(call("files", name).out.removesuffix("\n"))
    assert path.is_absolute()
    assert (path / "cron.sh" if name == "." else path).samefile(ROOT / ("cron.sh" if name == "." else name))


def test_an_unknown_name_is_refused(call: Call) -> None:
    answer = call("files", "cron.py")
    assert answer.code == BadArguments.exit_code
    assert "no 'cron.py' comes with the program" in answer.complaint


def test_they_are_copied_and_written_over_nothing(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "a" / "home"
    assert call("files", "--to", target, "cron.sh", "config").code == 0
    copied = {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()}
    assert {"cron.sh", "config/grt_batch.toml", "config/sql/tools.sql"} < copied
    assert "manager.py" not in copied
    assert os.access(target / "cron.sh", os.X_OK)
    (target / "cron.sh").write_text("mine")
    answer = call("files", "--to", target)
    assert f"{target}/cron.sh is there already, and stays" in answer.out
    assert (target / "cron.sh").read_text() == "mine"
    assert (target / "manager.py").read_bytes() == (ROOT / "manager.py").read_bytes()


def test_a_folder_that_cannot_be_made_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call("files", "--to", tmp_path / "file" / "home")
    assert answer.code == CannotWrite.exit_code
    assert str(tmp_path / "file") in answer.complaint
