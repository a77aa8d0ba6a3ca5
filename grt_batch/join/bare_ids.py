"""Finds values that are the bare ids of datasets: they only name data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grt_batch.aggregate.grouping import Groups
from grt_batch.columns.columns import Array, Columns
from grt_batch.columns.texts import Codes, Texts
from grt_batch.decode.coded_leaves import Spans
from grt_batch.decode.columns import Integers
from grt_batch.schema.records import ROW, Dataset, Param

Flags = npt.NDArray[np.bool_]


_ID = "(?:0|[1-9][0-9]{0,17})"


_IDS = re.compile(f"{_ID}(?:, ?{_ID})*|\\[{_ID}(?:, ?{_ID})*\\]")
"""A bare dataset id as the value of a parameter, or several."""


_NUMBER = re.compile("[0-9]+")


@dataclass(frozen=True)
class _Lists(Spans):
    """A list of integers, a part of `values`, for each of several rows."""

    values: Integers

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> _Lists:
        """Return the lists of all rows."""
        counts = np.array([len(one) for one in lists], np.int64)
        return cls(np.cumsum(counts) - counts, counts, np.array([value for one in lists for value in one], np.int64))

    def rows(self, which: Array) -> _Lists:
        """Return the lists of some rows."""
        return _Lists(self.begins[which], self.counts[which], self.values)

    def all(self) -> Integers:
        """Return the integers of all lists, one after the other."""
        return self.values[self.places()]


def bare_ids(table: Columns, inputs: Columns, plain: Callable[[str], str] = str) -> Flags:
    """Return which values in a table of parameters are the ids of `inputs` of the same job and name.

    Galaxy numbers the datasets of a multiple parameter: those of `input` are called input1, input2 and so on. Those of
    an input count under its `plain` name too.
    """
    stems = _stems(inputs.texts[Dataset.param_name.name], table.texts[Param.name.name], plain)
    # Null is a negative code, and becomes the last one, which no text has.
    named = np.isin(np.arange(len(table.texts[Param.name.name]) + 1), stems.values)
    places = np.flatnonzero(named[np.maximum(table[Param.name.name], -1)] & (table[Param.value.name] >= 0))
    ids = _ids(table.texts[Param.value.name], table[Param.value.name][places])
    places, ids = places[ids.counts > 0], ids.rows(ids.counts > 0)
    bare = np.zeros(table.height, np.bool_)
    if not len(places):
        return bare
    wanted = {
        ROW: np.repeat(table[ROW][places], ids.counts),
        "id": ids.all(),
        "name": np.repeat(table[Param.name.name][places], ids.counts),
    }
    known = _known(inputs, np.unique(ids.values), stems)
    both = Columns({name: np.concatenate([column, known[name]]) for name, column in wanted.items()})
    groups = Groups.of(both, list(wanted))
    is_known = groups.added(np.arange(both.height) >= len(wanted[ROW])) > 0
    found = np.empty(both.height, np.bool_)
    found[groups.order] = np.repeat(is_known, groups.sizes)
    bare[places] = np.logical_and.reduceat(found[: len(wanted[ROW])], np.cumsum(ids.counts) - ids.counts)
    return bare


def _known(inputs: Columns, ids: Integers, stems: _Lists) -> dict[str, Array]:
    """Return the inputs with these ids, each with all names that it stands for."""
    name, identity = inputs[Dataset.param_name.name], inputs[Dataset.dataset_id.name]
    is_input = inputs[Dataset.type.name] == inputs.texts[Dataset.type.name].codes_of(["input"])
    at = np.minimum(np.searchsorted(ids, identity), len(ids) - 1)
    places = np.flatnonzero(is_input & (name >= 0) & (ids[at] == identity))
    names = stems.rows(name[places])
    return {
        ROW: np.repeat(inputs[ROW][places], names.counts),
        "id": np.repeat(identity[places], names.counts),
        "name": names.all().astype(np.int32),
    }


def _stems(inputs: Texts, names: Texts, plain: Callable[[str], str]) -> _Lists:
    """Return of each input the codes of the `names` that equal it without some of its last digits, or with all."""
    codes = {name: code for code, name in enumerate(names.names.to_list())}
    lists = []
    for text in inputs.names.to_list():
        found = set()
        for spelling in {text, plain(text)}:
            digits = len(spelling) - len(spelling.rstrip("0123456789"))
            ends = range(len(spelling) - digits, len(spelling) + 1)
            found |= {codes[spelling[:end]] for end in ends if spelling[:end] in codes}
        lists.append(sorted(found))
    return _Lists.of(lists)


def _ids(texts: Texts, codes: Codes) -> _Lists:
    """Return the ids that each of some values consists of, none where it says anything else."""
    different, rows = np.unique(codes, return_inverse=True)
    values = texts.names.gather(different).to_list()
    lists = [[int(one) for one in _NUMBER.findall(value)] if _IDS.fullmatch(value) else [] for value in values]
    return _Lists.of(lists).rows(rows)
