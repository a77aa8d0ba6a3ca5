"""The settings of jobs: what their parameters hold, each value by its name."""

from __future__ import annotations

import numpy as np
import polars as pl

from grt_batch.decode.coded_leaves import Spans
from grt_batch.decode.columns import Integers
from grt_batch.decode.leaves import DATA
from grt_batch.frames.dictionaries import categories, encoded
from grt_batch.join.bare_ids import bare_ids
from grt_batch.join.buffers import Collected, Dictionary, DictionaryCodes, Rows
from grt_batch.join.child_records import flags, last
from grt_batch.schema.records import Dataset, Leaf


def leaves(collected: Collected, rows: Rows, order: Integers, jobs: Integers, inputs: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `Leaf`, as `grt_batch.join.child_records.params` does those of `Param`."""
    dictionary, names = collected.dictionary("leaf"), collected.take("name")[order]
    kept = last(rows, names, len(collected.dictionary("name").codes))
    rows, order, counts = rows[kept], order[kept], collected.take("leaves")
    spans = Spans((np.cumsum(counts) - counts)[order], counts[order])
    codes = collected.take("leaf")[spans.places()]
    rows = np.repeat(rows, spans.counts)
    frame = pl.DataFrame(
        {
            Leaf.job_id.name: jobs[rows],
            Leaf.name.name: dictionary.column(0, codes),
            Leaf.value.name: dictionary.column(1, codes),
            Leaf.names_data.name: flags(dictionary, codes),
        }
    )
    bare = bare_ids(frame, _with_repeats(inputs))
    if bare.any():
        codes = _naming_data(dictionary, codes, bare)
        frame = frame.with_columns(frame[Leaf.value.name].set(bare, None), frame[Leaf.names_data.name] | bare)
    kept = last(rows, codes, len(dictionary.codes))
    rows, frame = rows[kept], frame.filter(pl.Series(kept))
    name = frame[Leaf.name.name]
    # Backwards, the first row of a name is the last.
    first = last(rows[::-1].copy(), name.to_physical().to_numpy()[::-1], len(categories(name)))[::-1]
    return frame.with_columns(pl.Series(Leaf.first.name, first))


def _naming_data(dictionary: Dictionary, codes: DictionaryCodes, bare: pl.Series) -> DictionaryCodes:
    """Replace the codes of the `bare` ids by those of leaves that only name data."""
    texts, places = list(dictionary.codes), bare.arg_true().to_numpy()
    found = {code: (texts[code][0], None, DATA) for code in np.unique(codes[places]).tolist()}
    known = {code: dictionary.codes.setdefault(text, len(dictionary.codes)) for code, text in found.items()}
    codes[places] = [known[code] for code in codes[places].tolist()]
    return codes


def _with_repeats(inputs: pl.DataFrame) -> pl.DataFrame:
    """Add the datasets of repeats under the names of leaves: `queries_0|input` is one of `queries|input`."""
    name = Dataset.param_name.name
    known = categories(inputs[name])
    plain = known.str.replace_all(r"_[0-9]+\|", "|")
    other = inputs.filter((known != plain)[inputs[name].to_physical()].fill_null(False))
    if not other.height:
        return inputs
    numbered = other.with_columns(plain[other[name].to_physical()].alias(name))
    both = pl.concat([inputs.with_columns(pl.col(name).cast(pl.String)), numbered])
    return both.with_columns(encoded(both[name]))
