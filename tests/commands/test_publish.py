"""The command that lets through what the gate holds back, and what other commands say of that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from calling import Call, query
from coming_and_going import AS_OF, MODULES, Site
from runs import published

from grt_batch.core.errors import Held, NothingHeld, OnlyHeld
from grt_batch.differences.findings import told
from grt_batch.differences.held import held_set


@pytest.fixture
def config_options(site: Site, site_options: list[object], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.setenv("GRT_BATCH_GATE_JOBS_FELL", "30")
    return site_options[:-2]


def held_lines(call: Call, site: Site) -> list[str]:
    """What `status` says of held sets."""
    config = site.config
    answer = call("status", "--database", config.database, "--work", config.work, "--reports", config.reports)
    assert (answer.code, answer.err) == (0, "")
    return answer.out.split("\nheld:")[1].strip().splitlines()


def test_what_is_held_is_shown_and_let_through(site: Site, call: Call, config_options: list[object]) -> None:
    site.run()
    assert held_lines(call, site) == ["none"]
    before = published(site.config.reports)
    site.write("a", "3", [])
    folder = site.config.reports / "held" / AS_OF.isoformat()
    answer = call("run", *config_options, "--as-of", AS_OF, *MODULES, "documents")
    what = "instance a has 4 of 6 jobs, 33.3 % less"
    assert (answer.code, answer.out) == (7, "")
    assert answer.err.splitlines()[-1] == f"grt-batch: {Held(what=what, folder=folder)}"
    assert published(site.config.reports) == before
    (_, line) = held_lines(call, site)
    assert line.split()[0] == AS_OF.isoformat()
    assert line.endswith(f"waits  {what}")
    # What it would change is a question of report sets.
    assert call("diff", "--reports", site.config.reports, "latest", "held").code == 1
    for wrong in ([], ["--held", "--discard"]):
        assert call("publish", *config_options, *wrong).code == 2
    done = call("publish", *config_options, "--held")
    assert (done.code, done.out.splitlines()[-1]) == (0, "the rows are those that were held")
    assert site.jobs() == {"a": 4, "b": 1}
    assert (site.config.reports / AS_OF.isoformat() / "documents").is_dir()
    assert query(site.config.database, "SELECT jobs FROM grt.instance ORDER BY instance_id") == [(4,), (1,)]
    assert not folder.exists()
    none = call("publish", *config_options, "--held")
    assert (none.code, none.complaint) == (4, str(NothingHeld(folder=folder.parent)))


def test_where_the_first_run_is_held_every_command_says_so(
    site: Site, call: Call, config_options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_GATE_REJECTED", "5")
    monkeypatch.setenv("GRT_BATCH_REPORTS", str(site.config.reports))
    ledger = ["--database", site.config.database, "--work", site.config.work]
    asked: list[list[object]] = [["status", *ledger], ["top", *ledger], ["query", "tool-usage", *ledger]]
    asked += [["diff", "latest", "held"], ["rejects"]]
    assert not any("the gate" in call(*command).complaint for command in asked)
    answer = call("run", *config_options, "--as-of", AS_OF, *MODULES)
    assert answer.code == 7
    folder = site.config.reports / "held" / AS_OF.isoformat()
    said = str(OnlyHeld(folder=folder, what=told(held_set(site.config.reports).findings)))
    for command in asked:
        answer = call(*command)
        assert (answer.code, answer.out, answer.complaint) == (4, "", said), command
    metrics = call("metrics", "--work", site.config.work)
    assert (metrics.code, metrics.complaint) == (0, said)
    assert "grt_batch_last_exit_code 7\n" in metrics.out
    # What a run would publish can be seen all the same.
    assert "came" in call("diff", *config_options, "--as-of", AS_OF).out
    assert call("publish", *config_options, "--held").code == 0
    assert [call(*command).code for command in (asked[0], asked[2], asked[4])] == [0, 0, 0]
    # What is missing now is missing for another reason.
    assert "tool_metric" in call(*asked[1]).complaint
    assert call("metrics", "--work", site.config.work).err == ""


def test_what_came_since_is_told_and_what_is_worse_is_held_again(
    site: Site, call: Call, config_options: list[object]
) -> None:
    site.run()
    site.write("a", "3", [])
    assert call("run", *config_options, "--as-of", AS_OF, *MODULES).code == 7
    site.write("a", "2", [])
    assert call("publish", *config_options, "--held").code == 7
    site.write("b", "2", [2, 3])
    done = call("publish", *config_options, "--held")
    assert done.code == 0
    assert "more came since it was held: " in done.out.splitlines()[-1]
    assert "archive" in done.out
    assert site.jobs() == {"a": 3, "b": 3}


def test_what_is_discarded_is_gone(site: Site, call: Call, config_options: list[object]) -> None:
    site.run()
    site.write("a", "3", [])
    for day in (29, 30):
        assert call("run", *config_options, "--as-of", AS_OF.replace(day=day), *MODULES).code == 7
    assert call("publish", *config_options, "--discard", "--as-of", "2024-06-29").code == 0
    assert [folder.name for folder in (site.config.reports / "held").iterdir()] == ["2024-06-30"]
    site.write("a", "3", [5, 6])
    assert call("run", *config_options, "--as-of", "2024-07-01", *MODULES).code == 0
    assert "a later run has published" in held_lines(call, site)[1]
    # It would bring back the old numbers.
    assert call("publish", *config_options, "--held").code == 4
    assert call("publish", *config_options, "--discard").code == 0
    assert held_lines(call, site) == ["none"]


def test_ranks_hold_and_let_through_the_same(
    site: Site, config_options: list[object], grt_batch: Callable[..., object]
) -> None:
    site.run()
    before = published(site.config.reports)
    site.write("a", "3", [])
    done = grt_batch("run", "--ranks", 3, *config_options, "--as-of", AS_OF, *MODULES)
    assert done.returncode == 7, done.stderr  # type: ignore[attr-defined]
    assert "instance a has 4 of 6 jobs" in done.stderr  # type: ignore[attr-defined]
    assert published(site.config.reports) == before
    done = grt_batch("publish", "--held", "--ranks", 3, *config_options)
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    assert done.stdout.endswith("the rows are those that were held\n")  # type: ignore[attr-defined]
    assert site.jobs() == {"a": 4, "b": 1}
