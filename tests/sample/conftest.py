"""Samples that the tests of this folder read."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_archives import JOBS, Archive, read

from grt_batch.sample import SampleSummary, history, write_sample


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleSummary]:
    folder = tmp_path_factory.mktemp("sample") / "uploads"
    return folder, write_sample(folder, jobs=JOBS)


@pytest.fixture(scope="session")
def archives(written: tuple[Path, SampleSummary]) -> list[Archive]:
    return read(written[0])


@pytest.fixture(scope="session")
def in_small_chunks(tmp_path_factory: pytest.TempPathFactory) -> list[Archive]:
    """A sample whose archives take several chunks each, as those of a large one do."""
    folder = tmp_path_factory.mktemp("chunks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "CHUNK", 150)
        write_sample(folder, jobs=4000)
    return read(folder)
