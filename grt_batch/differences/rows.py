"""The rows of a table that differ between two of its TSV files, found by its key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from grt_batch.core.errors import BadReports
from grt_batch.schema.tables import Table, Type

CAME, WENT, CHANGED = "came", "went", "changed"


ROWS = pl.Schema(
    {
        "table": pl.String(),
        "key": pl.List(pl.String()),
        "what": pl.String(),
        "column": pl.String(),
        "before": pl.String(),
        "after": pl.String(),
        "columns": pl.UInt32(),
        "ratio": pl.Float64(),
        "share": pl.Float64(),
    }
)
"""A row that came, went or changed, with the values of its key.

Of one that changed, `column` is the column that changed most, from `before` to `after`, and `columns` counts all that
did. `ratio` says how much of the greater of two numbers lies between them; it is 1 for anything else that differs.
`share` is the part of its table that the row holds, by the table's first count (jobs, say), or else as one row of all.
"""


NUMBERS = (Type.BIGINT, Type.INTEGER, Type.DOUBLE, Type.NUMERIC)


_LEAST = 1e-18
"""The ratio of two numbers that differ by digits that a double has not."""


def differing_rows(table: Table, before: Path | None, after: Path | None, ratio: float = 0.0) -> pl.DataFrame:
    """Return the rows that differ between two files of a table, as ROWS in the order of the key; None stands for a file
    without rows. Rows that changed are left out where no column changed by more than `ratio`.

    Raises BadReports for a file that no run of this program wrote.
    """
    titles = {file: _titles(file) for file in (before, after) if file}
    for file, names in titles.items():
        if missing := set(table.key) - set(names):
            raise BadReports(file=file, what=f"it has no column {', '.join(sorted(missing))}")
    columns = [column for column in table.columns if all(column.name in names for names in titles.values())]
    others = [column.name for column in columns if column.name not in table.key]
    numbers = {column.name for column in columns if column.type in NUMBERS}
    counts = [column.name for column in columns if column.type is Type.BIGINT and column.name in others]
    old, new = _rows(before, table.key, others, "before"), _rows(after, table.key, others, "after")
    both = pl.col("before").is_not_null() & pl.col("after").is_not_null()
    changes = [_ratio(name, number=name in numbers) for name in others]
    found = (
        old.join(new, on=table.key, how="full", coalesce=True)
        .with_columns(share=_share(counts), changes=pl.concat_list(pl.lit(0.0), *changes))
        .with_columns(ratio=pl.when(both).then(pl.col("changes").list.max()).otherwise(1.0))
        .filter(~both | (pl.col("ratio") > ratio))
        .sort(table.key)
        .with_columns(place=pl.when(both).then(pl.col("changes").list.arg_max()).otherwise(0))
        .select(
            table=pl.lit(table.name),
            key=pl.concat_list(table.key),
            what=pl.when(both).then(pl.lit(CHANGED)).when("before").then(pl.lit(WENT)).otherwise(pl.lit(CAME)),
            column=_at_place([pl.lit(name) for name in others]),
            before=_at_place([pl.col(f"before {name}") for name in others]),
            after=_at_place([pl.col(f"after {name}") for name in others]),
            columns=pl.when(both).then(pl.col("changes").list.eval(pl.element() > 0).list.sum()).otherwise(0),
            ratio="ratio",
            share="share",
        )
    )
    try:
        return found.collect().cast(ROWS)
    except pl.exceptions.PolarsError as error:
        files = " or ".join(str(file) for file in titles)
        raise BadReports(file=files, what=str(error).splitlines()[0]) from None


def _titles(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            return next(lines, "").rstrip("\n").split("\t")
    except (OSError, UnicodeDecodeError) as error:
        raise BadReports(file=file, what=error) from None


def _rows(file: Path | None, key: Sequence[str], others: Sequence[str], side: str) -> pl.LazyFrame:
    """Return the rows of a file as texts, with a column for the `side` that is true, and named in all others."""
    if file is None:
        rows = pl.LazyFrame(schema=dict.fromkeys([*key, *others], pl.String))
    else:
        rows = pl.scan_csv(file, separator="\t", quote_char=None, infer_schema=False).fill_null("")
    named = [pl.col(name).alias(f"{side} {name}") for name in others]
    return rows.select(*key, *named, pl.lit(value=True).alias(side))


def _number(side: str, name: str) -> pl.Expr:
    return pl.col(f"{side} {name}").cast(pl.Float64, strict=False)


def _share(counts: Sequence[str]) -> pl.Expr:
    if not counts:
        return 1.0 / pl.len()
    held = pl.max_horizontal(_number("before", counts[0]), _number("after", counts[0])).fill_null(0.0)
    return held / pl.when(held.sum() > 0).then(held.sum()).otherwise(1.0)


def _ratio(name: str, *, number: bool) -> pl.Expr:
    """Return how much a column changed: 0 where its text is the same."""
    changed = pl.lit(1.0)
    if number:
        old, new = _number("before", name), _number("after", name)
        greater = pl.max_horizontal(old.abs(), new.abs())
        # A number that was or is null has changed altogether, and so has one with another sign.
        changed = ((new - old).abs() / greater).clip(_LEAST, 1).fill_null(1.0).fill_nan(1.0)
    return pl.when(pl.col(f"before {name}").eq_missing(pl.col(f"after {name}"))).then(0.0).otherwise(changed)


def _at_place(texts: Sequence[pl.Expr]) -> pl.Expr:
    """Return the text of the column at `place`, which counts from 1; nothing at 0."""
    return pl.concat_list(pl.lit(""), *texts).list.get(pl.col("place")).fill_null("")
