"""What holds of the decoder and of the readers of documents, whatever they are given."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

from build import HEADERS

from grt_batch.core.config import Config
from grt_batch.core.errors import Quarantine
from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.leaves import leaves
from grt_batch.decode.param_values import unwrap
from grt_batch.decode.redaction import Redaction, redacted
from grt_batch.kernels.constants import KEY_BYTES
from grt_batch.ledger.ledger import json_text, utc
from grt_batch.schema.members import Kind, Layout, layout_of
from grt_batch.uploads.archive import Block
from grt_batch.uploads.metadata import read_instance, read_report

NAME = "1719800000"
REDACTION = Redaction(Config().redact_patterns, Config().redact_names)


# Lines


def layout_for(kind: Kind, header: bytes = b"") -> Layout:
    """The layout of a member with this header, or with the usual one."""
    return layout_of(kind, [header or HEADERS[kind].rstrip(b"\n")])[0]


def check_decoding(layout: Layout, text: bytes, wanted: Collection[str], cuts: Sequence[int] = ()) -> None:
    """Every line is accounted for, and it does not matter where the text is cut into blocks."""
    whole = decode(Block(layout, 0, text), wanted)
    check_accounts(whole, text)
    parts = [decode(Block(layout, 0, part), wanted) for part in cut(text, cuts)]
    assert sum(part.lines for part in parts) == whole.lines
    assert sum(part.accepted for part in parts) == whole.accepted
    assert sum(part.salvaged for part in parts) == whole.salvaged
    assert sum(part.replaced for part in parts) == whole.replaced
    assert joined_rejects(parts) == joined_rejects([whole])
    assert joined_records(parts) == joined_records([whole])
    redacted_ = redacted(whole, REDACTION)
    assert (redacted_.lines, redacted_.accepted) == (whole.lines, whole.accepted)
    check_accounts(redacted_, text)


def check_accounts(decoded: Decoded, text: bytes) -> None:
    """lines = accepted + rejected; of a line that is rejected the reject holds all, of one that is salvaged the rest."""
    fragments = [reject for reject in decoded.rejects if reject.fragment]
    lines = text.split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    assert decoded.lines == len(lines)
    assert decoded.lines == decoded.accepted + len(decoded.rejects) - len(fragments)
    assert len(fragments) <= decoded.salvaged <= decoded.accepted
    assert len({reject.line for reject in decoded.rejects}) == len(decoded.rejects)
    for reject in decoded.rejects:
        line = lines[reject.line].decode("utf-8", "replace").replace("\0", "\ufffd").encode()
        assert reject.reason
        assert line.startswith(reject.text) if reject.fragment else line == reject.text
    for name, column in decoded.columns.items():
        if name == "leaf":
            assert len(column) == decoded.columns["leaves"].sum()
        elif name not in ("records", "values", "seen") and (name != "id" or "values" not in decoded.columns):
            assert len(column) == decoded.accepted
    if "records" in decoded.columns:
        assert decoded.columns["records"].sum() == decoded.accepted
    for name, texts in decoded.texts.items():
        assert not len(decoded.columns[name]) or 0 <= decoded.columns[name].min() <= decoded.columns[name].max() < len(
            texts
        )
        assert all(part is None or b"\0" not in part.encode() for parts in texts for part in parts)


def cut(text: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    """The text cut at the ends of lines, behind these places."""
    begin = 0
    for place in sorted(cuts):
        end = text.find(b"\n", max(begin, place)) + 1
        if end > begin:
            yield text[begin:end]
            begin = end
    if begin < len(text):
        yield text[begin:]


def joined_rejects(parts: Sequence[Decoded]) -> list[tuple[int, str, bytes, bool]]:
    """The rejects of blocks that follow each other, with the lines of all of them together."""
    found, first = [], 0
    for part in parts:
        found += [(first + reject.line, reject.reason, reject.text, reject.fragment) for reject in part.rejects]
        first += part.lines
    return found


def joined_records(parts: Sequence[Decoded]) -> object:
    """The records of blocks that follow each other, in a form that does not know of blocks."""
    last: dict[int, dict[int, int]] = {}
    counts: Counter[int] = Counter()
    rows: list[tuple[object, ...]] = []
    first = 0
    for part in parts:
        columns: dict[str, list[Any]] = {name: column.tolist() for name, column in part.columns.items()}
        if "values" in columns:
            reduced = (columns.pop(name) for name in ("id", "records", "values", "seen"))
            for job, count, values, seen in zip(*reduced, strict=True):
                counts[job] += count
                known = last.setdefault(job, {})
                known.update((i, value) for i, value in enumerate(values) if seen >> i & 1)
        columns["line"] = [first + line for line in columns.get("line", [])] or [0] * len(columns.get("id", []))
        for name, texts in part.texts.items():
            columns[name] = [texts[code] for code in columns[name]]
        if "leaf" in columns:
            ends = list(accumulate(columns["leaves"]))
            columns["leaf"] = [
                {*columns["leaf"][end - count : end]} for end, count in zip(ends, columns["leaves"], strict=True)
            ]
        names = sorted(name for name in columns if columns[name])
        rows += [tuple(zip(names, row, strict=True)) for row in zip(*(columns[name] for name in names), strict=True)]
        first += part.lines
    # Where there is no number of the line, the order says nothing.
    ordered = bool(parts) and any("line" in part.columns or "record_id" in part.columns for part in parts)
    return last, counts, rows if ordered else sorted(rows, key=repr)


def check_value(name: str, raw: bytes) -> None:
    """The value of a parameter is a text that can be stored, or null; so are its leaves."""
    value, names_data = unwrap(name, raw)
    assert names_data is True or names_data is False
    assert value is None or b"\0" not in value.encode()
    found = leaves(name, raw)
    assert 0 < len(found) <= len(raw) + 1
    for part in (text for texts in found for text in texts if text is not None):
        assert b"\0" not in part.encode()
    assert all(len(one.encode()) <= max(KEY_BYTES, len(name.encode())) for one, *_ in found)


# Documents


def check_line(text: str) -> None:
    """It can be shown to anybody."""
    assert text
    assert text.isprintable()
    assert len(text) <= 500


def check_storable(value: object) -> None:
    """A text is UTF-8 without NUL, and so is all that is in a document."""
    match value:
        case str():
            assert b"\0" not in value.encode()
        case dict():
            for key, item in value.items():
                check_storable(key)
                check_storable(item)
        case list() | tuple():
            for item in value:
                check_storable(item)


def check_metadata(raw: bytes) -> bool:
    """What is kept of metadata.json can be stored; whether all of it was good."""
    found = read_instance(raw)
    check_storable(asdict(found))
    assert json.loads(json_text(found.other)) == found.other
    assert json.loads(json_text(found.owners)) == list(found.owners)
    assert found.latitude is None or -90 <= found.latitude <= 90
    assert found.longitude is None or -180 <= found.longitude <= 180
    assert found.public is True or found.public is False
    if found.problem is not None:
        check_line(found.problem)
    return found.problem is None


def check_report(raw: bytes) -> bool:
    """What is kept of N.json can be stored, or there is a reason; whether it was good."""
    try:
        report = read_report(raw, NAME)
    except Quarantine as error:
        check_line(error.reason)
        return False
    check_storable(report.document)
    document: Any = json.loads(json_text(report.document))
    assert document == report.document
    assert 1970 <= utc(report.generated).year <= 9999
    counts = (report.users_active, report.users_total, *report.jobs.values())
    assert all(count is None or 0 <= count < 2**63 for count in counts)
    return True
