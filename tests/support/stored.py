"""What an entry of the store says, whatever its bytes: isal may compress the same in two ways, equally well."""

from __future__ import annotations

from typing import Any

from grt_batch.columns.packing import unpack
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import IDS, MERGED, PARTIAL, SUPERSEDED
from grt_batch.store.job_ids import unpack_ids


def said(kind: str, raw: bytes) -> Any:
    """The content of an entry. Of a partial: the columns and texts of each cube, or the parts of an export."""
    if kind in (IDS, SUPERSEDED):
        return unpack_ids(raw).tolist()
    if kind not in (PARTIAL, MERGED):
        return raw
    try:
        tables = unpack(raw)
    except ValueError:
        return discover()["records"].unpack(raw)
    return {
        name: (
            {column: array.tolist() for column, array in table.arrays.items()},
            {column: texts.names.to_list() for column, texts in table.texts.items()},
        )
        for name, table in tables.items()
    }
