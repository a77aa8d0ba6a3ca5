"""The tools of a sample: their names, how often they run, and what a run costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from grt_batch.sample.names import CONVERTED_TYPES, PARAMETERS, PLAIN_TOOLS, SHED_REPOSITORIES

TOOLS = 300


PLAIN_SHARE = 0.39


# With 300 tools and shares proportional to rank ** -0.9, the first ten have 40 %.
ZIPF_EXPONENT = 0.9


VERSION_SHARES = (0.6, 0.25, 0.1, 0.05)


MEDIAN_RUNTIME = 16.0


P95_RUNTIME = 1800.0


# Runtimes are log-normal over all jobs: part of the spread is between tools, the rest within them.
SIGMA = float(np.log(P95_RUNTIME / MEDIAN_RUNTIME)) / NormalDist().inv_cdf(0.95)


TOOL_SIGMA = 0.75 * SIGMA


JOB_SIGMA = float(np.sqrt(SIGMA**2 - TOOL_SIGMA**2))


ERROR_SHARE = 0.08


BROKEN_TOOLS = 3


COMMON_PARAMETERS = 2
"""The number of PARAMETERS, from the first, that every tool has."""


MAX_FURTHER_PARAMETERS = 5


@dataclass(frozen=True)
class Catalogue:
    """The tools. Each field but the lists has one value for each tool, the most popular first.

    A variant is a tool in one version: tool t has the variants first_variant[t] .. first_variant[t + 1] - 1,
    the most used first. Its parameters are parameter[first_parameter[t]] .. in the same way.
    """

    share: NDArray[np.float64]
    """of the jobs; sums to 1"""
    log_runtime: NDArray[np.float64]
    """logarithm of the median runtime in seconds"""
    cores: NDArray[np.int64]
    memory: NDArray[np.float64]
    """bytes of a run without input"""
    growth: NDArray[np.float64]
    """bytes of memory for each byte of input; 0 for most tools, and for a few so many that jobs run out of memory"""
    error_rate: NDArray[np.float64]
    inputs: NDArray[np.float64]
    """mean number of input datasets; from 2 on they are one input that takes several"""
    outputs: NDArray[np.float64]
    """mean number of output datasets, at least 1"""
    first_variant: NDArray[np.int64]
    variant_ids: tuple[str, ...]
    """the tool_id of each variant"""
    variant_versions: tuple[str, ...]
    first_parameter: NDArray[np.int64]
    parameter: NDArray[np.int64]
    """index in PARAMETERS"""


def make_catalogue(rng: np.random.Generator) -> Catalogue:
    """Draw the tools. The names do not depend on `rng`; equal states of it give equal tools."""
    share = np.arange(1, TOOLS + 1, dtype=np.float64) ** -ZIPF_EXPONENT
    share /= share.sum()
    names = _names(share)
    shed = np.array(["/" in name for name in names])
    versions = rng.integers(1, len(VERSION_SHARES) + 1, TOOLS)
    variants = [
        (name, version) for name, count in zip(names, versions, strict=True) for version in _versions(name, count)
    ]
    parameters = [_parameters(rng) for _ in names]
    # Tools of the Tool Shed take longer, and what takes longer gets more cores.
    log_runtime = _spread(share, rng.normal(size=TOOLS) + shed)
    return Catalogue(
        share=share,
        log_runtime=log_runtime,
        cores=np.where(log_runtime > np.log(60), rng.choice([1, 2, 4, 8, 16], TOOLS), 1),
        memory=np.exp(rng.normal(np.log(2e8), 1.0, TOOLS)),
        growth=np.where(shed, rng.choice([0.0, 0.0, 0.6, 25.0], TOOLS), 0.0),
        error_rate=_error_rates(share, rng),
        inputs=np.where(np.array(names) == "upload1", 0.0, rng.choice([1.0, 1.5, 2.5], TOOLS)),
        outputs=rng.choice([1.0, 1.5, 2.0], TOOLS),
        first_variant=np.concatenate([[0], np.cumsum(versions)]),
        variant_ids=tuple(f"{name}/{version}" if "/" in name else name for name, version in variants),
        variant_versions=tuple(version for _, version in variants),
        first_parameter=np.cumsum([0, *map(len, parameters)]),
        parameter=np.concatenate(parameters),
    )


def _names(share: NDArray[np.float64]) -> list[str]:
    """Return a name for each share; in every prefix, about PLAIN_SHARE have plain names."""
    plain, shed = _plain_names(), _shed_names()
    names: list[str] = []
    plain_so_far = 0.0
    for so_far, mine in zip(np.cumsum(share), share, strict=True):
        if plain_so_far + mine / 2 <= PLAIN_SHARE * so_far:
            names.append(next(plain))
            plain_so_far += mine
        else:
            names.append(next(shed))
    return names


def _plain_names() -> Iterator[str]:
    """Yield the ids of Galaxy's own tools, then converters without end."""
    yield from PLAIN_TOOLS.replace("\n", " ").strip().split(", ")
    for source, target in itertools.permutations(CONVERTED_TYPES, 2):
        yield f"CONVERTER_{source}_to_{target}"


def _shed_names() -> Iterator[str]:
    """Yield Tool Shed ids without their version."""
    for line in SHED_REPOSITORIES.replace("\n    ", " ").strip().splitlines():
        repository, _, tools = line.partition(":")
        for tool in tools.split() or [repository.rpartition("/")[2]]:
            yield f"toolshed.g2.bx.psu.edu/repos/{repository}/{tool}"


def _versions(name: str, count: int) -> list[str]:
    """Return `count` versions, newest first, in the style of the Tool Shed or of Galaxy's own tools."""
    if "/" in name:
        return [f"{len(name) % 4}.{7 + step}.{step % 3}+galaxy{step % 2}" for step in reversed(range(count))]
    return [f"1.{step}.{len(name) % 5}" for step in reversed(range(count))]


def _parameters(rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw about five parameters for a tool."""
    further = rng.choice(
        len(PARAMETERS) - COMMON_PARAMETERS, rng.integers(1, MAX_FURTHER_PARAMETERS + 1), replace=False
    )
    return np.concatenate([np.arange(COMMON_PARAMETERS), COMMON_PARAMETERS + further])


def _spread(share: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw median log runtimes in the order of `weight`, normally distributed over the jobs, not the tools."""
    order = np.argsort(weight)
    middle = np.cumsum(share[order]) - share[order] / 2
    normal = NormalDist(float(np.log(MEDIAN_RUNTIME)), TOOL_SIGMA)
    result = np.empty(len(share))
    result[order] = [normal.inv_cdf(float(quantile)) for quantile in middle]
    return result


def _error_rates(share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw error rates with the mean ERROR_SHARE over all jobs; a few rare tools never work."""
    rates = rng.gamma(1.5, size=len(share))
    rates *= ERROR_SHARE / (rates @ share)
    rates = np.minimum(rates, 0.6)
    rates[-BROKEN_TOOLS:] = 1.0
    return rates
