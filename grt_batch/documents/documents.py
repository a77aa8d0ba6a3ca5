"""The documents of a report set: what its tables say of each tool of an instance, one object for each version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date

import orjson
import polars as pl

from grt_batch.documents.json_objects import JSON, by_name, lists, objects
from grt_batch.documents.mapping import AS_OF, METRICS, TOOL, VALUES, columns_of
from grt_batch.documents.set_rows import HISTOGRAM, METRIC, PARAM, PERIOD, USAGE, VALUE, SetRows, Tools
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.pages.tools import HISTOGRAMS
from grt_batch.schema.tables import Column, Type
from grt_batch.schema.tool_ids import SHED_ID, TOOL_ID, TOOL_VERSION

INDEX = "grt-tools"
"""The index that the files name. Where they are sent by `grt-batch documents`, it is an alias."""


MOST_PARAMS, MOST_VALUES = 50, 10
"""How many parameters of a tool, and values of each, a document has: the most used."""


_TOOLS_AT_A_TIME = 100


_KEY = (TOOL_ID, TOOL_VERSION)


_ID_BYTES = 512
"""The longest id that the servers take."""


def documents(rows: SetRows, as_of: date) -> Iterator[tuple[bytes, bytes]]:
    """Yield the action and the document of each instance, tool and version, in the order of these."""
    for instance_id in rows.instances:
        for tools in rows.tools(instance_id, _TOOLS_AT_A_TIME):
            for tool_id, version, document in _documents(rows, as_of, instance_id, tools).iter_rows():
                yield action(document_id(instance_id, tool_id, version)), document.encode()


def action(document_id: str, index: str = INDEX) -> bytes:
    """Return the line that stands before a document: it replaces the one with the same id."""
    return orjson.dumps({"index": {"_index": index, "_id": document_id}})


def document_id(instance_id: str, tool_id: str, version: str) -> str:
    """Return the id of a document: its key with `|` between, or a digest of the key where that is too long or can be
    read in two ways. It stays the same from run to run."""
    parts = (instance_id, tool_id, version)
    readable = "|".join(parts)
    if readable.count("|") == len(parts) - 1 and readable.isprintable() and len(readable.encode()) <= _ID_BYTES:
        return readable
    return f"sha256:{hashlib.sha256(orjson.dumps(parts)).hexdigest()}"


def _documents(rows: SetRows, as_of: date, instance_id: str, tools: Tools) -> pl.DataFrame:
    """Return the documents of some tools, with their ids and versions, in order."""
    usage = _usage(rows, instance_id, tools)
    parts = {
        "usage": usage,
        "metrics": _metrics(rows, instance_id, tools),
        "histograms": _histograms(rows, instance_id, tools),
    }
    if instance_id == ALL_INSTANCES:
        parts["params"] = _params(rows, tools)
    found = _tools(usage.select(_KEY).sort(_KEY), as_of, instance_id)
    for name, part in parts.items():
        found = found.join(part.rename({JSON: name}), on=_KEY, how="left", maintain_order="left")
    head = [Column(name, Type.TEXT, "") for name in found.columns if name not in parts]
    return objects(found, head, _KEY, *parts)


def _tools(keys: pl.DataFrame, as_of: date, instance_id: str) -> pl.DataFrame:
    """Return what stands first in the documents of some tools."""
    parts = pl.col(TOOL_ID).str.extract_groups(SHED_ID)
    return keys.select(
        pl.lit(instance_id).alias(INSTANCE),
        pl.lit(as_of.isoformat()).alias(AS_OF),
        *_KEY,
        pl.col(TOOL_ID).str.replace(SHED_ID, "${shed}/repos/${owner}/${repository}/${name}").alias(TOOL),
        *(parts.struct.field(name).alias(name) for name in ("shed", "owner", "repository")),
        parts.struct.field("name").fill_null(pl.col(TOOL_ID)).alias("name"),
    )


def _usage(rows: SetRows, instance_id: str, tools: Tools) -> pl.DataFrame:
    found = rows.rows(USAGE, instance_id, tools)
    return by_name(objects(found, columns_of(rows.table(USAGE)), (*_KEY, PERIOD)), PERIOD, _KEY)


def _metrics(rows: SetRows, instance_id: str, tools: Tools) -> pl.DataFrame:
    found = rows.rows(METRIC, instance_id, tools, pl.col("metric").is_in(METRICS))
    each = objects(found, columns_of(rows.table(METRIC)), (*_KEY, "metric", PERIOD))
    return by_name(by_name(each, PERIOD, (*_KEY, "metric")).sort(*_KEY, "metric"), "metric", _KEY)


def _histograms(rows: SetRows, instance_id: str, tools: Tools) -> pl.DataFrame:
    found = rows.rows(HISTOGRAM, instance_id, tools, pl.col("metric").is_in(HISTOGRAMS))
    each = objects(found, columns_of(rows.table(HISTOGRAM)), (*_KEY, "metric"))
    return by_name(lists(each, (*_KEY, "metric")), "metric", _KEY)


def _params(rows: SetRows, tools: Tools) -> pl.DataFrame:
    """Return the parameters of each tool that most jobs have, with their most used values. One without a value that may
    be seen says nothing."""
    of_param = (*_KEY, "name")
    values = _most_used(rows.rows(VALUE, ALL_INSTANCES, tools), of_param, "value", MOST_VALUES)
    shown = lists(objects(values, columns_of(rows.table(VALUE)), of_param), of_param).rename({JSON: VALUES})
    params = rows.rows(PARAM, ALL_INSTANCES, tools).join(shown, on=of_param, how="inner", maintain_order="left")
    params = _most_used(params, _KEY, "name", MOST_PARAMS)
    return lists(objects(params, columns_of(rows.table(PARAM)), _KEY, VALUES), _KEY)


def _most_used(rows: pl.DataFrame, key: Sequence[str], name: str, most: int) -> pl.DataFrame:
    """Return the rows of each key with the most jobs, these first."""
    order = (*key, "jobs", name)
    rows = rows.sort(order, descending=[column == "jobs" for column in order])
    return rows.group_by(key, maintain_order=True).head(most)
