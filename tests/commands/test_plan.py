"""The command that shows what a run would do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calling import Answer, Call
from cold_storage import freeze
from coming_and_going import Site


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"], ["run", "--dry-run", "--ranks", "4"]], ids=str)
def test_a_plan_tells_all_and_writes_nothing(call: Call, bad: Path, tmp_path: Path, command: list[str]) -> None:
    work = tmp_path / "work"
    answer = call(*command, "--uploads", bad, "--work", work)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["instance", "archive", "state", "bytes", "why"]
    assert sum(" new " in line and line.endswith("never read") for line in lines) == 3
    assert sum(" incomplete " in line for line in lines) == 1
    assert lines[-2] == "passed over: stray: not a folder"
    assert lines[-1].startswith("about ")
    assert lines[-1].endswith("bytes to read; advised: --ranks 3, 15 minutes of a batch system")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not list((tmp_path / "home").iterdir())


def test_a_plan_may_be_json(call: Call, bad: Path) -> None:
    answer = call("plan", "--uploads", bad, "--print", "json")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    assert [row["state"] for row in document["archives"]].count("new") == 3
    to_read = sum(row["bytes"] for row in document["archives"] if row["state"] == "new")
    assert document["advice"].pop("seconds") > 0
    assert document["advice"] == {"bytes_to_read": to_read, "ranks": 3, "minutes": 15}
    assert document["passed_over"] == ["stray: not a folder"]


@pytest.mark.parametrize(("form", "number"), [("ranks", "3"), ("minutes", "15")])
def test_a_plan_may_be_a_number_for_a_script(call: Call, good: Path, form: str, number: str) -> None:
    answer = call("plan", "--uploads", good, "--print", form)
    assert answer == Answer(0, f"{number}\n", "")


def test_a_plan_may_be_of_one_instance(call: Call, good: Path) -> None:
    name = min(path.name for path in good.iterdir())
    rows = json.loads(call("plan", "--uploads", good, "--instance", name, "--print", "json").out)["archives"]
    assert {row["instance"] for row in rows} == {name}


def test_the_environment_names_the_uploads_and_an_option_wins(
    call: Call, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_UPLOADS", str(good))
    assert call("plan").out.count("never read") == 4
    assert call("plan", "--uploads", tmp_path / "none").code == 3


def test_a_plan_says_that_the_index_is_damaged(call: Call, site: Site) -> None:
    site.config.work.mkdir()
    (site.config.work / "index.json").write_text("{")
    answer = call("plan", "--uploads", site.config.uploads, "--work", site.config.work)
    assert answer.code == 0
    index = site.config.work / "index.json"
    assert f"damaged: {index}; it is not known any more which archives were removed\n" in answer.out


def test_a_plan_says_what_is_read_again_for_other_days(call: Call, site: Site, site_options: list[object]) -> None:
    """Windows that end before an archive was made need days that are not counted by themselves."""
    early = ["--as-of", "2024-06-22"]
    assert call("run", *site_options, *early, "metrics").code == 0
    folders = ["--uploads", site.config.uploads, "--work", site.config.work]
    again = "read again for metrics: new code, or no partial in the store"
    same, other = (call("run", *folders, "--dry-run", *days, "metrics").out for days in (early, []))
    assert again not in same
    assert " for 0 bytes to read; advised: --ranks 1, " in same
    # One of the archives was made after that day.
    assert (other.count(again), other.count("read before")) == (1, 3)
    assert f" for {site.planned()['a/3'].archive.bytes} bytes to read" in other


def test_a_plan_says_what_would_have_to_be_thawed(call: Call, site: Site, site_options: list[object]) -> None:
    assert call("run", *site_options, "tools").code == 0
    file = site.config.uploads / "a" / "archives" / "3.tar.gz"
    size = file.stat().st_size
    freeze(file, storage_class="GLACIER")
    folders = ["--uploads", site.config.uploads, "--work", site.config.work]
    same = call("plan", *folders, "tools")
    assert "its tar.gz is in cold storage; read before\n" in same.out
    assert "would have to be read" not in same.out
    takes = f"1 archive, {size} bytes, 1 request, about 3 to 5 hours, or 5 to 12 hours in bulk"
    line = f"in cold storage, and would have to be read (a/3): {takes}\n"
    # No partial of another module, and all of them again.
    for arguments in (["plan", *folders, "params"], ["run", "--dry-run", "--recalculate", *folders, "tools"]):
        answer = call(*arguments)
        assert (answer.code, line in answer.out) == (0, True)
        assert "a run ends with code 2: see grt-batch restore, or run --without-cold\n" in answer.out
    document = json.loads(call("plan", *folders, "params", "--print", "json").out)
    assert document["to_thaw"] == {
        "archives": ["a/3"], "bytes": size, "requests": 1, "hours": [3, 5], "hours_in_bulk": [5, 12],
    }  # fmt: skip


def test_a_run_that_needs_what_is_cold_ends_with_2_and_a_line(
    call: Call, site: Site, site_options: list[object]
) -> None:
    assert call("run", *site_options, "tools").code == 0
    freeze(site.config.uploads / "a" / "archives" / "3.tar.gz")
    assert call("run", *site_options, "tools").code == 0
    answer = call("run", *site_options, "--recalculate", "tools")
    assert (answer.code, answer.out) == (2, "")
    assert "(a/3): 1 archive" in answer.err
    assert "Bring these archives back with grt-batch restore" in answer.err
    answer = call("run", *site_options, "--recalculate", "--without-cold", "tools")
    assert answer.code == 0
    assert answer.out.startswith("7 jobs of 4 archives published")
