"""The tools of a sample: how often they run, how long, and with what success."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sample_archives import Archive

from grt_batch.sample.catalogue import (
    BROKEN_TOOLS,
    COMMON_PARAMETERS,
    ERROR_SHARE,
    TOOLS,
    VERSION_SHARES,
    Catalogue,
    make_catalogue,
)


def test_shares_of_tools_and_states(archives: list[Archive]) -> None:
    tools: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for archive in archives:
        states.update(archive.report["jobs"])
        for fields in archive.whole("jobs"):
            tools[fields[1].rpartition("/")[0] or fields[1]] += 1
    plain = sum(count for tool, count in tools.items() if "/repos/" not in tool)
    top = sum(count for _, count in tools.most_common(10))
    assert 0.35 < top / tools.total() < 0.45
    assert 0.33 < plain / tools.total() < 0.45
    assert 0.06 < states["error"] / states.total() < 0.10
    assert len(tools) > 250
    assert len(states) > 10
    assert any(" " in tool for tool in tools)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return make_catalogue(np.random.default_rng(3))


def test_a_catalogue_is_drawn_but_for_its_names(catalogue: Catalogue) -> None:
    again, other = (make_catalogue(np.random.default_rng(seed)) for seed in (3, 4))
    for name in vars(catalogue):
        assert np.array_equal(getattr(catalogue, name), getattr(again, name))
    assert not np.array_equal(catalogue.log_runtime, other.log_runtime)
    names, others = ({name.rpartition("/")[0] or name for name in drawn.variant_ids} for drawn in (catalogue, other))
    assert names == others


def test_shares_are_of_all_jobs_the_most_popular_tool_first(catalogue: Catalogue) -> None:
    assert len(catalogue.share) == TOOLS
    assert catalogue.share.sum() == pytest.approx(1)
    assert (np.diff(catalogue.share) < 0).all()
    assert catalogue.error_rate @ catalogue.share == pytest.approx(ERROR_SHARE, abs=0.02)
    assert catalogue.error_rate[-BROKEN_TOOLS:].tolist() == [1.0] * BROKEN_TOOLS


def test_every_tool_has_its_versions_and_parameters(catalogue: Catalogue) -> None:
    versions, parameters = np.diff(catalogue.first_variant), np.diff(catalogue.first_parameter)
    assert catalogue.first_variant[-1] == len(catalogue.variant_ids) == len(catalogue.variant_versions)
    assert catalogue.first_parameter[-1] == len(catalogue.parameter)
    assert {*versions.tolist()} == {*range(1, len(VERSION_SHARES) + 1)}
    for tool in range(TOOLS):
        own = catalogue.parameter[catalogue.first_parameter[tool] : catalogue.first_parameter[tool + 1]].tolist()
        assert own[:COMMON_PARAMETERS] == [*range(COMMON_PARAMETERS)]
        assert len({*own}) == len(own) == parameters[tool]
    variants = [*zip(catalogue.variant_ids, catalogue.variant_versions, strict=True)]
    assert len({*variants}) == len(variants)
    assert all(tool_id.endswith(f"/{version}") for tool_id, version in variants if "/repos/" in tool_id)
