"""When pages are made, and when those of an earlier set are taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.core.errors import NoPagePackage
from grt_batch.pages import making
from grt_batch.pages.making import make_pages, pages_of
from grt_batch.sample import UNTIL


def test_on_by_default() -> None:
    assert pages_of(Config(), UNTIL, asked_for=False) is not None
    assert pages_of(replace(Config(), html=False), UNTIL, asked_for=False) is None
    assert pages_of(replace(Config(), html=False), UNTIL, asked_for=True) is not None


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(making, "PACKAGES", ("jinja2", "no_such_package"))
    with caplog.at_level("INFO", logger="grt_batch"):
        assert pages_of(Config(), UNTIL, asked_for=False) is None
    assert "no report pages: no_such_package is not installed" in caplog.text
    with pytest.raises(NoPagePackage, match="no_such_package"):
        pages_of(Config(), UNTIL, asked_for=True)


def test_what_did_not_change_is_linked(html: Path, report_set: Path, tmp_path: Path) -> None:
    for config, as_of, same in (
        (Config(), UNTIL, True),
        (Config(), UNTIL + timedelta(1), False),
        (replace(Config(), public_value_jobs=50), UNTIL, False),
    ):
        folder = tmp_path / f"{as_of}{config.public_value_jobs}"
        folder.mkdir()
        make_pages(report_set, folder, html, config, as_of)
        assert (folder / "index.html").samefile(html / "index.html") == same
        # The largest file by far is never written again.
        assert (folder / "static" / "plotly.min.js").samefile(html / "static" / "plotly.min.js")


def test_pages_that_cannot_be_made_leave_none_and_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(reports: Path, folder: Path, before: Path | None, **_: object) -> None:
        (folder / "static").mkdir()
        (folder / "index.html").touch()
        raise KeyError("a column")

    monkeypatch.setattr(making, "make_pages", fails)
    make = pages_of(Config(), UNTIL, asked_for=False)
    assert make is not None
    folder = tmp_path / "html"
    folder.mkdir()
    make(tmp_path, folder, None)
    assert not list(folder.iterdir())
    assert "no report pages: making them failed: KeyError: 'a column'" in caplog.text
