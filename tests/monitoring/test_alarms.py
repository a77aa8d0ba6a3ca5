"""What is wrong, and the names of the events."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_sets import archive, change, status, write_held, write_set

from grt_batch.core.config import Config
from grt_batch.core.config_values import ALARMS
from grt_batch.monitoring.alarms import Alarm, alarms, owners
from grt_batch.monitoring.outcome import Outcome


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(reports=tmp_path / "reports", work=tmp_path)


def found(config: Config, kind: str, ending: Outcome | None = None) -> list[Alarm]:
    assert kind in ALARMS
    return [alarm for alarm in alarms(config, ending) if alarm.kind == kind]


def keys(config: Config, kind: str, ending: Outcome | None = None) -> list[str]:
    return [alarm.key for alarm in found(config, kind, ending)]


def test_nothing_is_wrong_where_nothing_is_known(config: Config) -> None:
    assert alarms(config, None) == []
    write_set(config.reports)
    assert alarms(config, Outcome(1, 2, 0)) == []


@pytest.mark.parametrize(("code", "told"), [(0, []), (1, []), (4, ["failed:4"]), (7, []), (143, ["failed:143"])])
def test_a_run_that_published_nothing_failed(config: Config, code: int, told: list[str]) -> None:
    assert keys(config, "failed", Outcome(1, 2, code, "no room")) == told


def test_the_failure_says_why(config: Config) -> None:
    (alarm,) = found(config, "failed", Outcome(1, 2, 4, "no room"))
    assert alarm.what == "The last run ended with code 4, and published nothing new: no room"


def test_a_target_that_was_not_reached_is_an_event(config: Config) -> None:
    failed = {"state": "failed", "reason": "no room"}
    write_set(config.reports, {"targets": {"main": {"state": "published", "reason": None}, "other": failed}})
    (alarm,) = found(config, "target", Outcome(1, 2, 1))
    assert alarm.key == "target:other"
    assert alarm.what == "The last run that published did not reach the target other: no room"


@pytest.mark.parametrize("targets", [None, [], {"main": "published"}])
def test_a_set_that_knows_no_targets_tells_of_none(config: Config, targets: object) -> None:
    write_set(config.reports, {"targets": targets})
    assert keys(config, "target") == []


def test_a_held_run_of_the_next_night_is_the_same_event(config: Config) -> None:
    reasons = [{"rule": "gate_vanished", "subject": "3", "percent": 100.0, "what": "instance 3 has none"}]
    write_held(config.reports, "2024-06-30", held_for=reasons)
    (alarm,) = found(config, "held")
    assert "2024-06-30: instance 3 has none" in alarm.what
    assert "held/2024-06-30" in alarm.remedy
    write_held(config.reports, "2024-07-01", started="2024-07-01 12:00:00", held_for=reasons)
    assert keys(config, "held") == [alarm.key]
    more = {"rule": "gate_rejected", "subject": "3/1", "percent": 100.0, "what": "all lines of 3/1 are rejected"}
    write_held(config.reports, "2024-07-02", started="2024-07-02 12:00:00", held_for=[*reasons, more])
    assert keys(config, "held") != [alarm.key]
    write_set(config.reports, {"started": "2024-07-03 12:00:00"})
    assert keys(config, "held") == []


def test_an_archive_in_quarantine_is_an_event_for_each_reason(config: Config) -> None:
    rows = [
        archive("3", "17", state="quarantined", reason="the hash\x1b is wrong"),
        archive("3", "18"),
        archive("4", "1", state="incomplete", reason="no json"),
    ]
    write_set(config.reports, archive=rows, instance=[{"instance_id": "3", "title": "Belgium", "owners": "[]"}])
    (alarm,) = found(config, "quarantine")
    assert alarm.what == r"Archive 17 of instance 3 (Belgium) is in quarantine: the hash\x1b is wrong"
    assert (alarm.instance_id, alarm.key) == ("3", "quarantine:3/17: the hash\x1b is wrong")


def test_an_instance_is_late_as_its_status_says(config: Config) -> None:
    rows = [status("a", days_silent=35), status("b", days_silent=36), status("c", days_silent=None)]
    write_set(config.reports, instance_status=rows)
    assert keys(config, "late") == ["late:b"]
    assert keys(Config(reports=config.reports, fresh_days=0), "late") == []


def test_a_warning_level_rises_and_does_not_fall(config: Config) -> None:
    def told(level: int) -> list[str]:
        write_set(config.reports, instance_status=[status("a", warning=level, quota_bytes=11, predicted_7d=12)])
        return keys(config, "warning")

    assert (told(1), told(2), told(3)) == ([], ["warning:a: 2"], ["warning:a: 2", "warning:a: 3"])
    assert len({alarm.what for alarm in found(config, "warning")}) == 1


def test_a_tool_began_to_fail_where_its_error_rate_rose(config: Config) -> None:
    rows = [
        change("bad", 0.01, 0.5),
        change("bad", 0.01, 0.5, instance_id="3"),
        change("better", 0.5, 0.01),
        change("slow", 0.01, 0.02, changed="runtime"),
        change("both", 0, 1, changed="error_rate runtime"),
        change("bad", 0.01, 0.5, tool_version="1"),
    ]
    write_set(config.reports, tool_change=rows)
    assert keys(config, "tool") == ["tool:* bad", "tool:3 bad", "tool:* both"]
    assert [alarm.instance_id for alarm in found(config, "tool")] == [None, "3", None]
    assert "50% of 50 jobs in the last 30 days, 1% before" in found(config, "tool")[0].what


def test_owners_have_the_addresses_of_their_metadata(config: Config) -> None:
    crowd = [f"m{n}@x.org" for n in range(99)]
    rows = [
        {"instance_id": "a", "title": "", "owners": '["Jo <jo@x.org>","Al","jo@x.org","al+grt@y.z.org"]'},
        {"instance_id": "b", "title": "", "owners": "[]"},
        {"instance_id": "c", "title": "", "owners": ",".join(crowd)},
        {"instance_id": "d", "title": "", "owners": '["a@b.org\\nBcc: all@b.org?x=y&to=z"]'},
    ]
    write_set(config.reports, instance=rows)
    assert owners(config) == {
        "a": ["jo@x.org", "al+grt@y.z.org"],
        "b": [],
        "c": crowd[:10],
        "d": ["a@b.org", "all@b.org"],
    }


def test_owners_have_the_addresses_of_the_directory_too(config: Config) -> None:
    write_set(
        config.reports,
        instance=[
            {"instance_id": "a", "title": "", "owners": '["Jo <jo@x.org>","al"]'},
            {"instance_id": "b", "title": "", "owners": '["bo"]'},
        ],
        instance_owner=[
            {"instance_id": "a", "owner": "Jo <jo@x.org>", "name": "Jo", "mail": "jo@x.org"},
            {"instance_id": "a", "owner": "al", "name": "Al", "mail": "al@y.org"},
            {"instance_id": "b", "owner": "bo", "name": "", "mail": "bo@y.org&cc=all@y.org"},
        ],
    )
    assert owners(config) == {"a": ["jo@x.org", "al@y.org"], "b": ["bo@y.org", "all@y.org"]}


def test_the_sample_has_tools_that_began_to_fail(ran: Config) -> None:
    told = alarms(ran, None)
    assert {alarm.kind for alarm in told} >= {"late", "warning", "tool"}
    assert len({alarm.key for alarm in told}) == len(told)
