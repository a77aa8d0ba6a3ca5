"""Leaves out what Galaxy adds to the parameters of a job by itself: the leaves with certain names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import translate

import numpy as np

from grt_batch.decode.columns import Decoded


def without(decoded: Decoded, patterns: Sequence[str]) -> Decoded:
    """Return a decoded block without the leaves that have one of the patterns as a piece of their name; counts them.

    Pieces are what is between the |; patterns are those of a shell.
    """
    if "leaf" not in decoded.texts or not patterns:
        return decoded
    matches = re.compile("|".join(map(translate, patterns))).match
    texts, leaf, counts = decoded.texts["leaf"], decoded.columns["leaf"], decoded.columns["leaves"]
    known = {name: not any(map(matches, (name or "").split("|"))) for name in {name for name, *_ in texts}}
    kept = np.array([known[name] for name, *_ in texts], np.bool_)
    if kept.all():
        return decoded
    left = kept[leaf]
    counts = np.diff(np.append(0, np.cumsum(left))[np.append(0, np.cumsum(counts))])
    columns = {**decoded.columns, "leaves": counts, "leaf": (np.cumsum(kept) - 1)[leaf[left]]}
    some = [text for text, stays in zip(texts, kept.tolist(), strict=True) if stays]
    count = int(np.count_nonzero(~left))
    return replace(decoded, columns=columns, texts={**decoded.texts, "leaf": some}, left_out=count)
