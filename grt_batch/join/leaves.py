"""The settings of jobs: what their parameters hold, each value by its name."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from grt_batch.columns.columns import Columns
from grt_batch.columns.texts import Codes
from grt_batch.decode.coded_leaves import Spans
from grt_batch.decode.leaves import DATA
from grt_batch.join.bare_ids import bare_ids
from grt_batch.join.buffers import Collected, Dictionary, Order
from grt_batch.join.child_records import last, names_data
from grt_batch.schema.records import ROW, Leaf

_NUMBERED = re.compile(r"_[0-9]+\|")


def leaves(collected: Collected, order: Order, inputs: Columns) -> Columns:
    """Return the rows of `Leaf`, as `grt_batch.join.child_records.params` does those of `Param`."""
    names = order(collected.take("name"))
    kept = last(order.rows, names, len(collected.dictionary("name").codes))
    counts = collected.take("leaves")
    spans = Spans(order(np.cumsum(counts) - counts)[kept], order(counts)[kept])
    dictionary, codes = collected.dictionary("leaf"), collected.take("leaf")[spans.places()]
    rows = np.repeat(order.rows[kept], spans.counts)
    table = _table(dictionary, codes, rows)
    bare = bare_ids(table, inputs, _plain)
    if bare.any():
        codes = _naming_data(dictionary, codes, bare)
        table = _table(dictionary, codes, rows)
    kept = last(rows, codes, len(dictionary.codes))
    table = table.rows(kept)
    # Backwards, the first row of a name is the last.
    rows, names = (table[name][::-1].copy() for name in (ROW, Leaf.name.name))
    first = last(rows, names, len(table.texts[Leaf.name.name]))[::-1].astype(np.int8, order="C")
    return table.extended({Leaf.names_data.name: names_data(dictionary, codes[kept]), Leaf.first.name: first})


def _table(dictionary: Dictionary, codes: Codes, rows: Codes) -> Columns:
    """Return the names and values of leaves, and the rows of their jobs."""
    (name, names), (value, values) = dictionary.column(0, codes), dictionary.column(1, codes)
    arrays = {ROW: rows, Leaf.name.name: name, Leaf.value.name: value}
    return Columns(arrays, {Leaf.name.name: names, Leaf.value.name: values})


def _naming_data(dictionary: Dictionary, codes: Codes, bare: npt.NDArray[np.bool_]) -> Codes:
    """Replace the codes of the `bare` ids by those of leaves that only name data."""
    texts, places = list(dictionary.codes), np.flatnonzero(bare)
    different, which = np.unique(codes[places], return_inverse=True)
    data = [(texts[code][0], None, DATA) for code in different.tolist()]
    known = [dictionary.codes.setdefault(text, len(dictionary.codes)) for text in data]
    codes[places] = np.array(known, np.int32)[which]
    return codes


def _plain(name: str) -> str:
    """Return an input's name under which leaves have it: `queries_0|input`, of a repeat, is one of `queries|input`."""
    return _NUMBERED.sub("|", name)
