"""Keys are shown once, kept as hashes in a file of its owner, and compared without saying how wrong they are."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from grt_batch.core.errors import BadKeys
from grt_batch.core.logs import logger
from grt_batch.service import keys
from grt_batch.service.keys import ADMIN, MOST_KEYS, KeyStore


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "uploads.keys.json", tmp_path)


def test_a_key_is_good_for_its_instance(store: KeyStore) -> None:
    one, two = store.add("7"), store.add("9f1b")
    assert store.authenticate(f"7:{one}") == "7"
    assert store.authenticate(f"9f1b:{two}") == "9f1b"
    for wrong in (
        None,
        "",
        ":",
        "7",
        "7:",
        f"7:{two}",
        f"9f1b:{one}",
        f":{one}",
        f"7:{one} ",
        f" 7:{one}",
        f"07:{one}",
    ):
        assert store.authenticate(wrong) is None
    assert store.instances() == ["7", "9f1b"]


def test_administrators_are_the_instance_of_all(store: KeyStore) -> None:
    assert store.authenticate(f"*:{store.add(ADMIN)}") == ADMIN == "*"


def test_a_key_is_long_and_kept_nowhere(store: KeyStore) -> None:
    texts = {store.add("7") for _ in range(MOST_KEYS)}
    assert len(texts) == MOST_KEYS
    assert all(len(text) >= 43 for text in texts)
    written = store.file.read_text()
    assert not [text for text in texts if text in written or text.removeprefix("grt_") in written]


def test_only_the_owner_reads_the_file(store: KeyStore) -> None:
    for _ in range(2):
        store.add("7")
        assert store.file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in store.file.parent.iterdir()) == [".uploads.keys.json.lock", store.file.name]


def test_several_keys_are_good_until_they_are_revoked(store: KeyStore) -> None:
    old, new = store.add("7"), store.add("7")
    first, second = store.of("7")
    assert store.authenticate(f"7:{old}") == store.authenticate(f"7:{new}") == "7"
    assert store.revoke("7", first.name) == 1
    assert store.authenticate(f"7:{old}") is None
    assert store.authenticate(f"7:{new}") == "7"
    assert store.revoke("7", "nothing") == 0
    assert store.of("7") == [second]
    assert store.revoke("7") == 1
    assert store.authenticate(f"7:{new}") is None
    assert store.instances() == []
    assert store.revoke("8") == 0


def test_there_are_not_too_many(store: KeyStore) -> None:
    for _ in range(MOST_KEYS):
        last = store.add("7")
    with pytest.raises(BadKeys, match="revoke one first"):
        store.add("7")
    assert store.authenticate(f"7:{last}") == "7"


def test_what_another_process_changes_is_noticed(store: KeyStore) -> None:
    assert store.authenticate("7:x") is None
    other = KeyStore(store.file, store.file.parent)
    key = other.add("7")
    assert store.authenticate(f"7:{key}") == "7"
    store.file.unlink()
    assert store.authenticate(f"7:{key}") is None


def test_many_processes_change_it_at_once(store: KeyStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: KeyStore(store.file, store.file.parent).add(str(number)), range(32)))
    assert all(store.authenticate(f"{number}:{key}") == str(number) for number, key in enumerate(found))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys": [1]}', b'{"keys": {"7": [{"name": "x"}]}}', b"\xff"])
def test_a_damaged_file_is_an_error_but_the_service_keeps_what_it_knew(
    store: KeyStore, content: bytes, log: pytest.CaptureFixture[str]
) -> None:
    logger.propagate = False
    key = store.add("7")
    assert store.authenticate(f"7:{key}") == "7"
    store.file.write_bytes(content)
    assert store.authenticate(f"7:{key}") == "7"
    with pytest.raises(BadKeys):
        store.of("7")
    with pytest.raises(BadKeys):
        store.add("7")
    assert store.file.read_bytes() == content


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadKeys, match="No such file"):
        KeyStore(tmp_path / "missing" / "keys.json", tmp_path).add("7")
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(BadKeys, match="directory"):
        KeyStore(tmp_path / "keys.json", tmp_path).of("7")


def test_a_wrong_key_and_an_unknown_instance_cost_the_same_work(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = store.add("7")
    store.add("7")
    work: list[str] = []

    def counting(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            work.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(hmac, "compare_digest", counting("compare", hmac.compare_digest))
    monkeypatch.setattr(keys, "_hash", counting("hash", keys._hash))
    done = {}
    for header in (f"7:{key}", f"7:{key}x", "7:", f"8:{key}", f"*:{key}", "", f":{key}"):
        work.clear()
        store.authenticate(header)
        done[header] = list(work)
    assert set(map(tuple, done.values())) == {("hash", *["compare"] * MOST_KEYS)}


def test_the_file_says_when_keys_were_made(store: KeyStore) -> None:
    store.add("7")
    (key,) = orjson.loads(store.file.read_bytes())["keys"]["7"]
    assert key.keys() == {"name", "sha256", "created"}
    assert key["created"].endswith("+00:00")


def test_headers_of_any_bytes_are_looked_at(store: KeyStore) -> None:
    for header in ("\udcff:\udcff", "7:\x00", "\N{SNOWMAN}:\N{SNOWMAN}", "7:" + "x" * 100_000):
        assert store.authenticate(header) is None
