"""What must be right in [directory] before a server is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadConfig, NoLdap
from grt_batch.directory import settings
from grt_batch.directory.settings import directory_of

GOOD = Config(directory_url="ldap://localhost", directory_base="dc=example,dc=org")


def password(folder: Path, text: str | bytes, mode: int = 0o640) -> Config:
    file = folder / "password"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(mode)
    return replace(GOOD, directory_bind="cn=grt", directory_password_file=str(file))


def refused(config: Config) -> str:
    with pytest.raises(BadConfig) as caught:
        directory_of(config)
    return str(caught.value.what)


def test_without_a_url_there_is_no_directory(tmp_path: Path) -> None:
    assert directory_of(Config()) is None
    assert directory_of(replace(password(tmp_path, "x", 0o644), directory_url="")) is None


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    for text in ("s€ cret ", "s€ cret \n", "s€ cret \r\nof the directory\n"):
        found = directory_of(password(tmp_path, text))
        assert found is not None
        assert found.password == "s€ cret "


def test_a_password_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    said = refused(password(tmp_path, "secret", 0o644))
    assert said == f"[directory] directory_password_file: {tmp_path}/password can be read by everybody; run: " + (
        f"chmod o= {tmp_path}/password"
    )
    assert "secret" not in said
    assert directory_of(password(tmp_path, "secret", 0o640))


def test_a_password_file_that_has_none_is_refused(tmp_path: Path) -> None:
    assert "no password in its first line" in refused(password(tmp_path, "\nsecret\n"))
    assert "can't decode" in refused(password(tmp_path, b"\xff"))
    missing = replace(GOOD, directory_bind="cn=grt", directory_password_file=str(tmp_path / "none"))
    assert "No such file" in refused(missing)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"directory_filter": "(uid=jane)"}, "directory_filter"),
        ({"directory_url": "ldaps://localhost", "directory_start_tls": True}, "directory_start_tls"),
        ({"directory_bind": "cn=grt"}, "directory_bind"),
        ({"directory_password_file": "password"}, "directory_bind"),
        ({"directory_ca_file": "/nowhere/ca.pem"}, "directory_ca_file"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, object], key: str) -> None:
    assert refused(replace(GOOD, **changes)).startswith(f"[directory] {key}: ")  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["localhost", "http://localhost", "ldap://", "ldap://u:p@host", "ldap://host/dc=org"])
def test_a_url_is_that_of_a_server(url: str) -> None:
    with pytest.raises(BadConfig, match="directory_url"):
        load(None, environment={"GRT_BATCH_DIRECTORY_URL": url})
    assert load(None, environment={"GRT_BATCH_DIRECTORY_URL": "ldaps://[::1]:636/"}).directory_url


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PACKAGE", "no_such_package")
    assert directory_of(Config()) is None
    with pytest.raises(NoLdap, match=r"pip install 'grt-batch\[directory\]'"):
        directory_of(GOOD)
