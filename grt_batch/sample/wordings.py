"""The parameters of jobs as the exporter of a release writes them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grt_batch.sample.names import PARAMETERS
from grt_batch.sample.releases import Release


@dataclass(frozen=True)
class Wordings:
    """The fields name and value for every value of every parameter, as one release writes them.

    Parameter p has the wordings first[p] .. first[p + 1] - 1, the most frequent first. A wording with a
    number of the job is head, number, tail; any other is the head, and its tail is null.
    """

    first: NDArray[np.int64]
    head: pl.Series
    tail: pl.Series


def wordings_of(release: Release) -> Wordings:
    """Return every value of PARAMETERS in the shapes of `release`; one without shapes writes no parameters."""
    heads: list[str] = []
    tails: list[str | None] = []
    counts = [0]
    for (name, values), shape in zip(PARAMETERS.items(), itertools.cycle(release.shapes)):
        for value in values:
            before, after = shape.split(name, value)
            heads.append(f"{name}\t{before}")
            tails.append(after)
        counts.append(len(values))
    return Wordings(np.cumsum(counts), pl.Series(heads, dtype=pl.String), pl.Series(tails, dtype=pl.String))
