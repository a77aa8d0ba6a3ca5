"""Joins the parameters, datasets and metrics of one archive with its jobs: one row a record, in the order of the jobs.

A frame holds only the fields of the record and the id of its job. `attached` adds the fields of the job when a module
reads the records, so that they need not be stored.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.decode.columns import Integers
from grt_batch.frames.dictionaries import categories
from grt_batch.join.bare_ids import bare_ids
from grt_batch.join.buffers import Collected, Dictionary, Rows, nullable
from grt_batch.schema.members import NULL, SECONDS_SCALE
from grt_batch.schema.records import Dataset, Job, Metric, Param, Record

_OF_THE_JOB = (Record.tool_id, Record.tool_version, Record.state, Record.day, Record.month)


_DIRECTIONS = pl.Enum(["input", "output"])


def attached(jobs: pl.DataFrame, details: pl.DataFrame) -> pl.DataFrame:
    """Return the records of `jobs` with the fields of their jobs."""
    # Both are sorted by job id, and every record has its job.
    begins = np.searchsorted(details[Job.job_id.name].to_numpy(), jobs[Job.job_id.name].to_numpy())
    rows = np.repeat(np.arange(jobs.height, dtype=np.uint32), np.diff(begins, append=details.height))
    return pl.concat([details, jobs.select(field.name for field in _OF_THE_JOB)[rows]], how="horizontal")


def datasets(collected: Collected, jobs: Integers) -> pl.DataFrame:
    """Return the rows of `Dataset`, without the fields of their jobs. The collected rows refer to `jobs`."""
    rows, order = in_order(collected.take("row"))
    size = collected.take("size")[order]
    size[size < 0] = NULL
    identity = nullable(collected.take("dataset_id")[order])
    files, output = collected.take("file")[order], collected.take("output")[order]
    # It is as large as any column.
    del order
    return pl.DataFrame(
        {
            Dataset.job_id.name: jobs[rows],
            Dataset.dataset_id.name: identity,
            Dataset.extension.name: collected.dictionary("file").column(0, files),
            Dataset.file_size.name: nullable(size),
            Dataset.param_name.name: collected.dictionary("file").column(1, files),
            Dataset.type.name: pl.Series(["input", "output"], dtype=_DIRECTIONS)[output],
        }
    )


def params(collected: Collected, rows: Rows, order: Integers, jobs: Integers, inputs: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `Param`, as `datasets` does. The collected records are put `in_order`.

    `inputs` are the rows of `Dataset`: a value that is the bare id of an input of the same job and name only names
    data.
    """
    dictionary, codes = collected.dictionary("param"), collected.take("param")[order]
    name = dictionary.column(0, codes)
    kept = last(rows, name.to_physical().to_numpy(), len(categories(name)))
    codes = codes[kept]
    frame = pl.DataFrame(
        {
            Param.job_id.name: jobs[rows[kept]],
            Param.name.name: name.filter(pl.Series(kept)),
            Param.value.name: dictionary.column(1, codes),
            Param.names_data.name: flags(dictionary, codes),
        }
    )
    return frame.with_columns(bare_ids(frame, inputs) | pl.col(Param.names_data.name))


def metrics(numeric: Collected, text: Collected, jobs: Integers) -> pl.DataFrame:
    """Return the rows of `Metric`, as `datasets` does."""
    frames = []
    for collected, prefix in ((numeric, "record_"), (text, "")):
        rows, order = in_order(collected.take("row"))
        dictionary, names = collected.dictionary(f"{prefix}name"), collected.take(f"{prefix}name")[order]
        kept = last(rows, names, len(dictionary.codes))
        order, names = order[kept], names[kept]
        if prefix:
            values = _decimals(collected.take("record_value")[order], collected.take("record_scale")[order])
            texts = pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
        else:
            texts = collected.dictionary("text").column(0, collected.take("text")[order]).cast(pl.String)
            values = pl.Series([None], dtype=Metric.value.type).new_from_index(0, len(texts))
        frames.append(
            pl.DataFrame(
                {
                    Metric.job_id.name: jobs[rows[kept]],
                    Metric.plugin.name: dictionary.column(0, names).cast(pl.String),
                    Metric.name.name: dictionary.column(1, names).cast(pl.String),
                    Metric.value.name: values,
                    Metric.text.name: texts,
                }
            )
        )
    return pl.concat(frames).sort(Metric.job_id.name, maintain_order=True)


def in_order(rows: Rows) -> tuple[Rows, Integers]:
    """Return the rows of records, and the places where the records were, by rising job; without orphans."""
    from grt_batch.kernels import joins

    order = np.empty(len(rows), np.int64)
    order = order[: joins.put_in_order(rows, np.zeros(rows.max(initial=-1) + 2, np.int64), order)]
    return rows[order], order


def last(rows: Rows, codes: npt.NDArray[Any], count: int) -> npt.NDArray[np.bool_]:
    """Return which records no later one of the same job and code replaces."""
    from grt_batch.kernels import joins

    replaced = np.zeros(len(rows), np.uint8)
    joins.mark_replaced(rows, codes.astype(np.int64), np.full(count, -1, np.int64), replaced)
    kept: npt.NDArray[np.bool_] = replaced == 0
    return kept


def flags(dictionary: Dictionary, codes: Integers) -> pl.Series:
    """Return whether the text of each code is marked: such a value names datasets, and says nothing else."""
    return pl.Series([texts[2] is not None for texts in dictionary.codes], dtype=pl.Boolean)[codes]


def _decimals(value: Integers, scale: Integers) -> pl.Series:
    """Return value × 10 ** -scale as exact decimals; the scale is SECONDS_SCALE or 0."""
    whole = nullable(value).cast(pl.Int128)
    raised = pl.Series(np.where(scale == 0, 10**SECONDS_SCALE, 1)).cast(pl.Int128)
    unit = pl.Series([Decimal(1).scaleb(-SECONDS_SCALE)], dtype=pl.Decimal(38, SECONDS_SCALE))
    return (whole * raised).cast(pl.Decimal(38, 0)) * unit
