"""The commands for instances and their keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calling import Answer, Call
from galaxy_client import archive

from grt_batch.service.keys import KeyStore


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def keys(uploads: Path) -> KeyStore:
    return KeyStore(Path(f"{uploads}.keys.json"), uploads)


def good(answer: Answer) -> list[str]:
    assert (answer.code, answer.err) == (0, "")
    return answer.out.splitlines()


def test_add_prints_id_and_key(call: Call, uploads: Path, keys: KeyStore) -> None:
    instance_id, key = good(
        call(
            "instance", "add", "--title", "Galaxy", "--url", "https://galaxy.example.org", "--public", "--owner", "ann",
            "--owner", "ben", "--latitude", 48, "--longitude=-7.5", "--uploads", uploads,
        )
    )  # fmt: skip
    assert keys.authenticate(f"{instance_id}:{key}") == instance_id
    assert json.loads((uploads / instance_id / "metadata.json").read_text()) == {
        "title": "Galaxy",
        "url": "https://galaxy.example.org",
        "public": True,
        "latitude": 48.0,
        "longitude": -7.5,
        "owners": ["ann", "ben"],
    }
    assert good(call("instance", "add", "--title", "old", "--id", 7, "--uploads", uploads))[0] == "7"
    answer = call("instance", "add", "--title", "x", "--id", 7, "--uploads", uploads)
    assert (answer.code, "there is an instance 7" in answer.complaint) == (2, True)


def test_list_and_show(call: Call, uploads: Path) -> None:
    call("instance", "add", "--title", "Galaxy", "--id", 7, "--public-after-days", 365, "--uploads", uploads)
    sent = archive("15.5")
    (uploads / "7" / "archives" / "15.5.json").write_bytes(sent.meta)
    (uploads / "7" / "archives" / "15.5.tar.gz").write_bytes(bytes(100))
    head, line = good(call("instance", "list", "--uploads", uploads))
    assert head.split() == ["id", "title", "public", "keys", "archives", "bytes", "newest"]
    assert line.split() == ["7", "Galaxy", "no", "1", "1", "100", "15.5"]
    shown = "\n".join(good(call("instance", "show", 7, "--uploads", uploads)))
    for text in ("title              Galaxy", "public_after_days  365", "1, 100 bytes, the newest 15.5", "made 20"):
        assert text in shown
    assert call("instance", "show", 8, "--uploads", uploads).code == 2


def test_show_says_what_is_wrong(call: Call, uploads: Path) -> None:
    call("instance", "add", "--title", "Galaxy", "--id", 7, "--uploads", uploads)
    (uploads / "7" / "metadata.json").write_text('{"title": 7, "latitude": 7}')
    answer = call("instance", "show", 7, "--uploads", uploads)
    assert (answer.code, answer.err) == (0, "metadata.json has values of a wrong type: title\n")


def test_edit(call: Call, uploads: Path) -> None:
    call("instance", "add", "--title", "Galaxy", "--id", 7, "--public", "--owner", "ann", "--uploads", uploads)
    assert good(call("instance", "edit", 7, "--no-public", "--url", "u", "--uploads", uploads)) == []
    assert json.loads((uploads / "7" / "metadata.json").read_text()) == {
        "title": "Galaxy",
        "public": False,
        "url": "u",
        "owners": ["ann"],
    }


def test_a_key_is_changed_without_a_gap(call: Call, uploads: Path, keys: KeyStore) -> None:
    _, old = good(call("instance", "add", "--title", "Galaxy", "--id", 7, "--uploads", uploads))
    (new,) = good(call("instance", "key", 7, "--uploads", uploads))
    assert keys.authenticate(f"7:{old}") == keys.authenticate(f"7:{new}") == "7"
    name = keys.of("7")[0].name
    assert good(call("instance", "key", 7, "--revoke", name, "--uploads", uploads)) == ["1 key revoked"]
    assert (keys.authenticate(f"7:{old}"), keys.authenticate(f"7:{new}")) == (None, "7")
    answer = call("instance", "key", 7, "--revoke", name, "--uploads", uploads)
    assert (answer.code, f"7 has no key {name}" in answer.complaint) == (2, True)
    call("instance", "key", 7, "--uploads", uploads)
    assert good(call("instance", "key", 7, "--revoke-all", "--uploads", uploads)) == ["2 keys revoked"]


def test_keys_of_administrators(call: Call, uploads: Path, keys: KeyStore) -> None:
    uploads.mkdir()
    (key,) = good(call("instance", "key", "--admin", "--uploads", uploads))
    assert keys.authenticate(f"*:{key}") == "*"
    assert good(call("instance", "key", "--admin", "--revoke-all", "--uploads", uploads)) == ["1 key revoked"]


@pytest.mark.parametrize("arguments", [[], ["7", "--admin"], ["7", "--revoke", "x", "--revoke-all"]])
def test_arguments_that_contradict_each_other(call: Call, uploads: Path, arguments: list[str]) -> None:
    answer = call("instance", "key", *arguments, "--uploads", uploads)
    assert (answer.code, "either" in answer.complaint) == (2, True)


def test_a_key_for_nobody(call: Call, uploads: Path) -> None:
    assert call("instance", "key", 7, "--uploads", uploads).code == 2
    assert call("instance", "remove", 7, "--uploads", uploads).code == 2


def test_remove_keeps_the_archives_unless_it_is_told(call: Call, uploads: Path, keys: KeyStore) -> None:
    call("instance", "add", "--title", "Galaxy", "--id", 7, "--uploads", uploads)
    assert good(call("instance", "remove", 7, "--uploads", uploads)) == ["1 key revoked"]
    assert (uploads / "7" / "metadata.json").exists()
    answer = call("instance", "remove", 7, "--archives", "--uploads", uploads)
    assert answer.code != 0
    assert (uploads / "7").exists()
    assert good(call("instance", "remove", 7, "--archives", "--yes", "--uploads", uploads)) == ["0 keys revoked"]
    assert not (uploads / "7").exists()
    assert keys.instances() == []


def test_a_damaged_file_of_keys_is_one_line(call: Call, uploads: Path, keys: KeyStore) -> None:
    uploads.mkdir()
    keys.file.write_text("{")
    answer = call("instance", "key", "--admin", "--uploads", uploads)
    assert (answer.code, str(keys.file) in answer.complaint) == (4, True)


def test_the_file_of_the_keys_is_configured(call: Call, uploads: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(f'[service]\nkeys_file = "{tmp_path}/secret"\n')
    good(call("instance", "add", "--title", "x", "--uploads", uploads, "--config", tmp_path / "my.toml"))
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
