"""Joins the parameters, datasets and metrics of one archive with its jobs: one row a record, in the order of the jobs.

A table holds only the fields of the record, and the row of its job.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grt_batch.columns.columns import Array, Columns
from grt_batch.columns.texts import NO_TEXT, Codes, Texts
from grt_batch.join.bare_ids import bare_ids
from grt_batch.join.buffers import Collected, Dictionary, Order, Rows
from grt_batch.schema.members import NULL
from grt_batch.schema.records import ROW, SCALE, Dataset, Metric, Param


def datasets(collected: Collected, order: Order) -> Columns:
    """Return the rows of `Dataset`. `order` is that of the collected records."""
    from grt_batch.kernels import joins

    count, files, order_of = len(order.rows), collected.dictionary("file"), order.places
    extensions, names = files.coded(0), files.coded(1)
    identity, size = collected.take("dataset_id"), collected.take("size")
    output, file = collected.take("output", np.uint8), collected.take("file", np.int32)
    # Each column is put where the one before it stood.
    ids, sizes, types = np.empty(count, np.int64), identity[:count], file[:count]
    joins.place(order_of, identity, ids)
    joins.place(order_of, size, sizes)
    extension, name = size[:count].view(np.int32).reshape(2, count)
    joins.place_codes(order_of, file, np.stack([extensions[1], names[1]]), extension, name)
    joins.place(order_of, output, types)
    return Columns(
        {
            ROW: order.rows,
            Dataset.dataset_id.name: ids,
            Dataset.extension.name: extension,
            Dataset.file_size.name: sizes,
            Dataset.param_name.name: name,
            Dataset.type.name: types,
        },
        {
            Dataset.extension.name: extensions[0],
            Dataset.param_name.name: names[0],
            Dataset.type.name: Texts.of(["input", "output"]),
        },
    )


def params(collected: Collected, order: Order, inputs: Columns) -> Columns:
    """Return the rows of `Param`, as `datasets` does.

    `inputs` are the rows of `Dataset`: a value that is the bare id of an input of the same job and name only names
    data.
    """
    dictionary, codes = collected.dictionary("param"), order(collected.take("param"))
    names, known = dictionary.column(0, codes)
    kept = last(order.rows, names, len(known))
    codes = codes[kept]
    values, texts = dictionary.column(1, codes)
    table = Columns(
        {ROW: order.rows[kept], Param.name.name: names[kept], Param.value.name: values},
        {Param.name.name: known, Param.value.name: texts},
    )
    flags = names_data(dictionary, codes) | bare_ids(table, inputs)
    return table.extended({Param.names_data.name: flags})


def metrics(numbers: tuple[Collected, Order], texts: tuple[Collected, Order]) -> Columns:
    """Return the rows of `Metric`, as `datasets` does."""
    collected, order = numbers
    rows, names, kept = _metrics(collected, "record_name", order)
    of_numbers = names.extended(
        {
            ROW: rows,
            Metric.value.name: order(collected.take("record_value"))[kept],
            SCALE: order(collected.take("record_scale"))[kept].astype(np.int8),
            Metric.text.name: np.full(len(rows), NO_TEXT, np.int32),
        },
        {Metric.text.name: Texts.of([])},
    )
    collected, order = texts
    rows, names, kept = _metrics(collected, "name", order)
    codes, known = collected.dictionary("text").column(0, order(collected.take("text"))[kept])
    of_texts = names.extended(
        {
            ROW: rows,
            Metric.value.name: np.full(len(rows), NULL, np.int64),
            SCALE: np.zeros(len(rows), np.int8),
            Metric.text.name: codes,
        },
        {Metric.text.name: known},
    )
    both = Columns.concat([of_numbers, of_texts])
    by_job = Order.of(np.tile(both[ROW], 2), len(order.ends) - 1)
    return both.rows(by_job.places).extended({ROW: by_job.rows})


def _metrics(collected: Collected, name: str, order: Order) -> tuple[Rows, Columns, Array]:
    """Return the rows of the jobs of metrics, their plugins and names, and which of those `in order` are kept."""
    dictionary, codes = collected.dictionary(name), order(collected.take(name))
    kept = last(order.rows, codes, len(dictionary.codes))
    codes = codes[kept]
    (plugin, plugins), (metric, names) = dictionary.column(0, codes), dictionary.column(1, codes)
    known = {Metric.plugin.name: plugins, Metric.name.name: names}
    return order.rows[kept], Columns({Metric.plugin.name: plugin, Metric.name.name: metric}, known), kept


def last(rows: Rows, codes: Codes, count: int) -> npt.NDArray[np.bool_]:
    """Return which records no later one of the same job and code replaces."""
    from grt_batch.kernels import joins

    replaced = np.zeros(len(rows), np.uint8)
    joins.mark_replaced(rows, codes.astype(np.int32, copy=False), np.full(count, -1, np.int32), replaced)
    kept: npt.NDArray[np.bool_] = replaced == 0
    return kept


def names_data(dictionary: Dictionary, codes: Codes) -> npt.NDArray[np.int8]:
    """Return whether the text of each code is marked: such a value names datasets, and says nothing else."""
    return np.array([texts[2] is not None for texts in dictionary.codes], np.int8)[codes]
