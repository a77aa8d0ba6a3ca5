"""The settings of the index and the types of all fields, by the declarations of the tables.

The mapping is strict: a document with any other field is refused, so nothing is indexed by a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grt_batch.documents.set_rows import HISTOGRAM, METRIC, PARAM, PERIOD, USAGE, VALUE
from grt_batch.modules.base import INSTANCE
from grt_batch.modules.helpers import PERIODS
from grt_batch.modules.reports.metrics import NEEDED
from grt_batch.pages.tools import HISTOGRAMS
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.tool_ids import TOOL_ID, TOOL_VERSION

AS_OF, TOOL, PARAMS, VALUES = "as_of", "tool", "params", "values"
"""The as-of date; the id of a tool without the version; the parameters of a tool, and the values of each."""


METRICS = tuple(one.name for one in NEEDED.of)


_TYPES = {
    Type.TEXT: "keyword",
    Type.BIGINT: "long",
    Type.INTEGER: "long",
    Type.DOUBLE: "double",
    Type.NUMERIC: "double",
    Type.BOOLEAN: "boolean",
    Type.TIMESTAMP: "date",
    Type.DATE: "date",
}


_TEXTS = (INSTANCE, TOOL_ID, TOOL, TOOL_VERSION, "shed", "owner", "repository", "name")


_LONGEST = 8191
"""Characters of a text that is indexed: in UTF-8 it may have four times as many bytes, and Lucene takes 32,766. What is
longer stays in the document, and is not found."""


_ONLY_SHOWN = {"index": False, "doc_values": False}
"""Nobody searches for a bin."""


def columns_of(table: Table) -> list[Column]:
    """Return the columns of a table that are in a document under their names: those that say more than where in the
    document they stand."""
    above = {INSTANCE, TOOL_ID, TOOL_VERSION, PERIOD, "metric"}
    names = {PARAM: above, VALUE: {*above, "name"}}.get(table.name, above)
    return [column for column in table.columns if column.name not in names]


def mapping(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return what an index for the documents is made with, from the tables by their names."""
    usage = _by_name(PERIODS, _properties(tables[USAGE]))
    metric = _by_name(PERIODS, _properties(tables[METRIC]))
    bins = {name: {**kind, **_ONLY_SHOWN} for name, kind in _properties(tables[HISTOGRAM]).items()}
    values = {"type": "nested", "properties": _properties(tables[VALUE])}
    fields = {
        **{name: _field(Type.TEXT) for name in _TEXTS},
        AS_OF: _field(Type.DATE),
        "usage": {"properties": usage},
        "metrics": {"properties": {name: {"properties": metric} for name in METRICS}},
        "histograms": {"properties": {name: {"properties": bins} for name in HISTOGRAMS}},
        PARAMS: {"type": "nested", "properties": {**_properties(tables[PARAM]), VALUES: values}},
    }
    return {"settings": {"number_of_shards": 1}, "mappings": {"dynamic": "strict", "properties": fields}}


def _properties(table: Table) -> dict[str, Any]:
    return {column.name: _field(column.type) for column in columns_of(table)}


def _by_name(names: Iterable[str], properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"properties": properties} for name in names}


def _field(kind: Type) -> dict[str, Any]:
    return {"type": _TYPES[kind]} | ({"ignore_above": _LONGEST} if kind is Type.TEXT else {})
