"""The rows of a table that differ between two of its TSV files, found by its key."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

import polars as pl

from grt_batch.core.errors import BadReports
from grt_batch.schema.tables import Column, Table, Type

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
did. `ratio` says how much of the greater of two numbers lies between them; dates have LEAST, and other texts 1.
`share` is the part of its table that the row holds, by the table's first count (jobs, say), or else as one row of all.
"""


NUMBERS = (Type.BIGINT, Type.INTEGER, Type.DOUBLE, Type.NUMERIC)


DATES = (Type.DATE, Type.TIMESTAMP)


LEAST = 1e-18
"""The ratio of two numbers that differ by digits that a double has not, and of two dates: a ratio of them would say
nothing, and the last day of nearly everything changes every day."""


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
    try:
        return _differing(table, columns, before, after, ratio)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadReports(file=" or ".join(map(str, titles)), what=str(error).splitlines()[0]) from None


def _differing(
    table: Table, columns: Sequence[Column], before: Path | None, after: Path | None, ratio: float
) -> pl.DataFrame:
    others = [column.name for column in columns if column.name not in table.key]
    counts = [column.name for column in columns if column.type is Type.BIGINT and column.name in others]
    lines = _differing_lines(before, after)
    old, new = (_rows(lines[side], table.key, others, side) for side in ("before", "after"))
    share = _share(counts[:1], [file for file in (before, after) if file])
    both = pl.col("before").is_not_null() & pl.col("after").is_not_null()
    changes = [_ratio(column) for column in columns if column.name in others]
    return (
        old.join(new, on=table.key, how="full", coalesce=True)
        .with_columns(share=share, changes=pl.concat_list(pl.lit(0.0), *changes))
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
        .cast(ROWS)
        .collect()
    )


def _differing_lines(before: Path | None, after: Path | None) -> dict[str, bytes]:
    """Return the header, and the lines that only one of two files has; all lines, where the headers differ.

    Both are in the order of the key, so a line soon meets its like, and only lines that differ take memory.
    """
    with ExitStack() as opened:
        sides = {
            side: opened.enter_context(file.open("rb")) if file else io.BytesIO()
            for side, file in (("before", before), ("after", after))
        }
        headers = {side: lines.readline() for side, lines in sides.items()}
        if len(set(headers.values())) > 1:
            return {side: headers[side] + lines.read() for side, lines in sides.items()}
        alone = differing_lines(*sides.values())
    return {
        side: headers[side] + b"".join(line for line, count in alone.items() if count * sign > 0)
        for side, sign in (("before", 1), ("after", -1))
    }


def differing_lines(before: Iterable[bytes], after: Iterable[bytes]) -> dict[bytes, int]:
    """Return the lines that one has more often than the other, as they come, and how many more `before` has."""
    more: dict[bytes, int] = {}
    for pair in zip_longest(before, after):
        if pair[0] != pair[1]:
            for line, sign in zip(pair, (1, -1), strict=True):
                if line is not None:
                    more[line] = more.get(line, 0) + sign
                    if not more[line]:
                        del more[line]
    return more


def _titles(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            return next(lines, "").rstrip("\n").split("\t")
    except (OSError, UnicodeDecodeError) as error:
        raise BadReports(file=file, what=error) from None


def _rows(lines: bytes, key: Sequence[str], others: Sequence[str], side: str) -> pl.LazyFrame:
    """Return the rows of a report as texts, with a column for the `side` that is true, and named in all others."""
    if lines:
        rows = pl.scan_csv(lines, separator="\t", quote_char=None, infer_schema=False).fill_null("")
    else:
        rows = pl.LazyFrame(schema=dict.fromkeys([*key, *others], pl.String))
    named = [pl.col(name).alias(f"{side} {name}") for name in others]
    return rows.select(*key, *named, pl.lit(value=True).alias(side))


def _number(side: str, name: str) -> pl.Expr:
    return pl.col(f"{side} {name}").cast(pl.Float64, strict=False)


def _share(counts: Sequence[str], files: Sequence[Path]) -> pl.Expr:
    """Return the part of the greater of two files that the greater of two rows holds."""
    totals = []
    for file in files:
        rows = pl.scan_csv(file, separator="\t", quote_char=None, infer_schema=False)
        whole = pl.col(counts[0]).cast(pl.Float64, strict=False).sum() if counts else pl.len()
        totals.append(float(rows.select(whole).collect(engine="streaming").item()))
    held = pl.max_horizontal(_number("before", counts[0]), _number("after", counts[0])) if counts else pl.lit(1.0)
    return held.fill_null(0.0) / max(1.0, *totals)


def _ratio(column: Column) -> pl.Expr:
    """Return how much a column changed: 0 where its text is the same."""
    changed = pl.lit(LEAST if column.type in DATES else 1.0)
    if column.type in NUMBERS:
        old, new = _number("before", column.name), _number("after", column.name)
        greater = pl.max_horizontal(old.abs(), new.abs())
        # A number that was or is null has changed altogether, and so has one with another sign.
        changed = ((new - old).abs() / greater).clip(LEAST, 1).fill_null(1.0).fill_nan(1.0)
    return (
        pl.when(pl.col(f"before {column.name}").ne_missing(pl.col(f"after {column.name}"))).then(changed).otherwise(0.0)
    )


def _at_place(texts: Sequence[pl.Expr]) -> pl.Expr:
    """Return the text of the column at `place`, which counts from 1; nothing at 0."""
    return pl.concat_list(pl.lit(""), *texts).list.get(pl.col("place")).fill_null("")
