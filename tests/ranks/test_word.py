"""What ranks say to their launcher: the first code counts, and who was stopped has none."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from grt_batch.ranks.word import FOLDER_VARIABLE, Word, expect_word, note_code, note_committed, read_word


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    expect_word(tmp_path)
    return tmp_path


def test_nothing_is_said_at_first(folder: Path) -> None:
    assert read_word(folder) == Word(committed=False, code=None)


def test_the_commit_and_the_code_are_told(folder: Path) -> None:
    note_committed()
    assert read_word(folder) == Word(committed=True)
    note_code(1)
    assert read_word(folder) == Word(committed=True, code=1)


def test_the_first_code_counts(folder: Path) -> None:
    note_code(4)
    note_code(6)
    assert read_word(folder) == Word(code=4)


def test_who_was_stopped_has_no_code(folder: Path) -> None:
    note_code(128 + signal.SIGTERM)
    assert read_word(folder) == Word()


def test_who_has_no_launcher_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    note_code(0)
    note_committed()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "gone"))
    note_code(0)
    assert read_word(tmp_path / "gone") == Word()
