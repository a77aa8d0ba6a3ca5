"""Metrics in Prometheus' text format, of the last run and of each instance; the example rules on them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from places import ROOT
from promtool import promtool
from report_sets import FINISHED, archive, status, write_set

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.monitoring.metrics import Family, metrics_text, of_instances, pairs, write_metrics
from grt_batch.monitoring.outcome import Outcome, note
from grt_batch.monitoring.published import Published

RULES = ROOT / "config" / "prometheus" / "grt_batch.rules.yml"


def samples(text: str) -> list[str]:
    return [line.removeprefix("grt_batch_") for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture
def site(tmp_path: Path) -> Config:
    """A site with two instances, one with a quota, and its last run."""
    write_set(
        tmp_path,
        {"targets": {"main": {"state": "published", "reason": None}, "other": {"state": "failed", "reason": "gone"}}},
        instance_status=[status('b"\\', without_metrics=None), status("a", quota_bytes=2000, warning=3)],
        archive=[
            archive("a", "1"),
            archive("a", "2", generated="2024-06-30 12:00:00.250000", state="quarantined"),
            archive("a", "3", generated="2034-06-30 12:00:00.000000"),
            archive("c", "4", generated=None),
        ],
    )
    return Config(reports=tmp_path, work=tmp_path)


def test_a_family_is_lines_of_text() -> None:
    family = Family("a_total", "counter", "What is counted.", {pairs(b='x"\\\n', c="1"): 2.0, pairs(b="y"): 0.5})
    assert str(family) == (
        "# HELP a_total What is counted.\n"
        "# TYPE a_total counter\n"
        'a_total{b="x\\"\\\\\\n",c="1"} 2\n'
        'a_total{b="y"} 0.5\n'
    )
    assert str(Family("a", "gauge", "Nothing.", {})) == ""


def test_all_that_is_known_is_told(site: Config) -> None:
    note(site.work, Outcome(FINISHED + 100, FINISHED + 110.5, 4, "no room", FINISHED + 1))
    assert samples(metrics_text(site)) == [
        f'build_info{{version="{__version__}"}} 1',
        f"last_success_timestamp_seconds {FINISHED + 1}",
        f"last_completion_timestamp_seconds {FINISHED + 110.5:.0f}",
        "last_exit_code 4",
        "last_duration_seconds 10.5",
        'stage_duration_seconds{stage="plan"} 0.5',
        'stage_duration_seconds{stage="reduce"} 80',
        "jobs 77",
        'archives{state="incomplete"} 0',
        'archives{state="published"} 3',
        'archives{state="quarantined"} 1',
        'target_published{target="main"} 1',
        'target_published{target="other"} 0',
        "rejected_lines 5",
        'instance_last_archive_timestamp_seconds{instance_id="a"} 1719748800.25',
        'instance_uploads_bytes{instance_id="a"} 10',
        'instance_uploads_bytes{instance_id="b\\"\\\\"} 10',
        'instance_quota_bytes{instance_id="a"} 2000',
        'instance_warning_level{instance_id="a"} 3',
        'instance_warning_level{instance_id="b\\"\\\\"} 1',
        'instance_recent_jobs{instance_id="a",window="30d"} 4',
        'instance_recent_jobs{instance_id="a",window="7d"} 3',
        'instance_recent_jobs{instance_id="b\\"\\\\",window="30d"} 4',
        'instance_recent_jobs{instance_id="b\\"\\\\",window="7d"} 3',
        'instance_without_metrics_ratio{instance_id="a"} 0.25',
    ]


def test_who_has_looked_at_the_uploads_knows_better(site: Config) -> None:
    (newest, *_) = of_instances(Published(site.reports), {"z": 5.0})
    assert newest.samples == {pairs(instance_id="z"): 5.0}


def test_without_a_note_the_reports_tell_when_the_last_run_published(site: Config) -> None:
    told = samples(metrics_text(site))
    assert f"last_success_timestamp_seconds {FINISHED}" in told
    assert "last_duration_seconds 90.5" in told
    assert not [line for line in told if line.startswith(("last_exit_code", "last_completion"))]


def test_a_run_that_could_not_note_its_end_tells_it_all_the_same(site: Config) -> None:
    assert "last_exit_code 6" in samples(metrics_text(site, Outcome(1, 2, 6)))


def test_before_the_first_run_there_is_nothing_but_the_version(tmp_path: Path) -> None:
    config = Config(reports=tmp_path / "none", work=tmp_path)
    assert samples(metrics_text(config)) == [f'build_info{{version="{__version__}"}} 1']


def test_a_set_of_odd_values_is_no_end(site: Config) -> None:
    odd = {"archives": [], "jobs": "many", "seconds": None, "as_of": "9999-12-31", "started": 1, "finished": None}
    write_set(site.reports, odd)
    assert samples(metrics_text(site))[1].startswith("rejected_lines")


def test_the_file_is_written_as_a_whole_and_everybody_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "grt.prom"
    os.umask(0o077)
    for text in ("one\n", "two\n"):
        write_metrics(file, text)
        assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o644)
    with pytest.raises(OSError, match="No such file"):
        write_metrics(tmp_path / "none" / "grt.prom", "three")
    (tmp_path / "folder.prom").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_metrics(tmp_path / "folder.prom", "four")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["folder.prom", "grt.prom"]


def test_promtool_has_nothing_to_say(site: Config, ran: Config) -> None:
    for config in (site, ran):
        text = metrics_text(config, Outcome(1.25, 2, 0, "", 2))
        assert "instance_warning_level" in text
        assert promtool("check", "metrics", text=text) == (0, "")


def test_the_rules_name_what_there_is(site: Config) -> None:
    assert promtool("check", "rules", RULES)[0] == 0
    told = metrics_text(replace(site), Outcome(1, 2, 0, "", 2))
    named = {word for word in RULES.read_text().replace("{", " ").split() if word.startswith("grt_batch_")}
    assert named
    assert not [name for name in named if f"TYPE {name.partition('[')[0].rstrip(')')} " not in told]


def test_the_rules_alarm_where_something_is_wrong(tmp_path: Path) -> None:
    cases = (Path(__file__).parent / "rules.yml").read_text().replace("GRT_BATCH_RULES", str(RULES))
    (tmp_path / "cases.yml").write_text(cases)
    code, said = promtool("test", "rules", tmp_path / "cases.yml")
    assert code == 0, said
