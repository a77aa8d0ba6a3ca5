"""The probes of the configuration and of the folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from calling import Call
from examining import examined, statuses

from grt_batch.core.config import Config
from grt_batch.core.config_file import origins
from grt_batch.doctor.findings import Status
from grt_batch.doctor.places import ENOUGH_BYTES, configured, readable, writable


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_uploads_that_cannot_be_read_are_a_problem(
    call: Call, options: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRT_BATCH_UPLOADS", str(tmp_path / name))
    code, findings = examined(call, *options[2:])
    assert (code, statuses(findings, "uploads")) == (3, {"problem"})


@pytest.mark.parametrize("text", ["[paths", "[paths]\nwrk = 'w'", None], ids=["malformed", "unknown key", "missing"])
def test_a_bad_configuration_is_a_problem_beside_the_others(
    call: Call, options: list[object], tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "my.toml"
    if text is not None:
        file.write_text(text)
    code, findings = examined(call, *options, "--config", file)
    assert code == 2
    (found,) = findings["configuration"]
    assert found["status"] == "problem" and str(file) in found["found"]
    assert statuses(findings, "database") == {"ok"}


@pytest.mark.parametrize("place", ["work", "reports"])
def test_a_folder_that_cannot_be_written_is_a_problem(
    call: Call, good: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv(f"GRT_BATCH_{place.upper()}", str(folder))
        code, findings = examined(call, "--uploads", good, "--database", database)
        assert (code, statuses(findings, place)) == (4, {"problem"})


def test_the_origin_of_each_value_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my.toml"
    file.write_text('[paths]\nuploads = "u"\nwork = "w"\nreports = "r"\n')
    found = origins(file, {"uploads": Path("x"), "database": None}, {"GRT_BATCH_UPLOADS": "e", "GRT_BATCH_WORK": "e"})
    assert found.keys() == Config.__dataclass_fields__.keys()
    wanted = {"uploads": "--uploads", "work": "GRT_BATCH_WORK", "reports": str(file), "database": "default"}
    assert {name: found[name] for name in wanted} == wanted


def test_a_variable_that_has_no_effect_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRT_BATCH_UPLOAD", "u")
    *_, last = configured(None, {})[1]
    assert last.status is Status.WARNING
    assert "GRT_BATCH_UPLOAD (is GRT_BATCH_UPLOADS meant?)" in last.found


def test_the_values_of_the_configuration_show_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"postgresql://user:{'hunter2' * 40}@127.0.0.1:1/none"
    config, findings = configured(None, {"database": url, "work": tmp_path / ("w" * 200)})
    assert config.database == url
    found = {finding.found.partition(" = ")[0]: finding.found for finding in findings}
    assert found.keys() == Config.__dataclass_fields__.keys()
    assert found["database"] == "database = 'postgresql://user@127.0.0.1:1/none'  (--database)"
    assert found["work"].endswith("w…  (--work)")


def test_what_may_hold_a_token_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRT_BATCH_NOTIFY_RECIPIENTS", '[{to = "slack://token"}]')
    _, findings = configured(None, {})
    told = [finding.found for finding in findings if finding.found.startswith("notify_")]
    assert told[0] == "notify_recipients = (set, and not shown)  (GRT_BATCH_NOTIFY_RECIPIENTS)"
    assert told[1] == "notify_owners = ''  (default)"


def test_a_bad_file_leaves_the_defaults_and_the_options(tmp_path: Path) -> None:
    config, (finding,) = configured(tmp_path / "missing.toml", {"work": tmp_path, "database": None})
    assert config == Config(work=tmp_path)
    assert (finding.status, finding.exit_code) == (Status.PROBLEM, 2)


def test_the_folders_of_instances_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "file").touch()
    (finding,) = readable(tmp_path)
    assert finding.status is Status.OK
    assert finding.found.startswith(f"{tmp_path}, 2 folders, ")


def test_folders_without_read_permission_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    # Root may read everything.
    monkeypatch.setattr("os.access", lambda path, _: not path.endswith("a"))
    (finding,) = readable(tmp_path)
    assert finding.status is Status.WARNING
    assert finding.found == f"{tmp_path} has folders without read permission: a"


def test_a_folder_is_not_made_where_it_could_be(tmp_path: Path) -> None:
    (finding,) = writable("work", tmp_path / "a" / "b")
    assert finding.subject == "work"
    assert finding.found.startswith(f"{tmp_path}/a/b, which the first run makes, ")
    assert list(tmp_path.iterdir()) == []


def test_little_space_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    for free, status in ((ENOUGH_BYTES, Status.OK), (ENOUGH_BYTES - 1, Status.WARNING)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: usage._replace(free=free))
        (finding,) = writable("work", tmp_path)
        assert finding.status is status
        assert " 1.0 GiB free" in finding.found
