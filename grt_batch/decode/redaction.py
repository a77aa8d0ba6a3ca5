"""Replaces addresses, home folders, keys, tokens and passwords in values by `[redacted]`.

It follows the decoding immediately, so nothing of them is stored. It checks the distinct values of a block, not its
records: a million records have some thousand values, and hardly one has anything to hide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.core.errors import BadConfig
from grt_batch.decode.columns import Decoded
from grt_batch.decode.param_values import OPENINGS, REDACTED, VALUE_BYTES, dump, parse, shortened

_DEEPEST = 100
"""JSON that is nested more deeply is redacted as any other text."""


_INVOCATION, _INVOCATION_ID = "__workflow_invocation_uuid__", "^[0-9a-f]{32}$"
"""A value by Galaxy itself, which tells what jobs belong together. It looks like a key, and is none."""


_BEHIND = r"(?:$|[^A-Za-z]|[A-Z][a-z])"


_VALUE = (
    r"""(?:"(?:[^"\\]|\\(?s:.))*"?|'(?:[^'\\]|\\(?s:.))*'?|\\+["'][^"'\\]*(?:\\+["'])?"""
    r"""|\[[^\]]*\]?|\{[^}]*\}?|[^\s"'\\,;&\[\]{}]+)"""
)
"""The value after a name in a text: something in quotes or brackets, or a word."""


@dataclass(frozen=True)
class Redaction:
    """The rules of redaction.

    `patterns` are applied one after another; their matches are replaced. They use the syntax of Rust's crate regex,
    whose time is proportional to the text, whatever the pattern.

    `names` are words. A parameter or text metric whose name has one of them loses its value; within a value, so does a
    key of an object or a name in a text (`--token=…`, `password: …`). A word must stand by itself: token is found in
    `api_token_2` and `apiToken`, not in `max_tokens`. Case and the sign between the parts of a word do not matter:
    api_key is found in `API-Key`.
    """

    patterns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise BadConfig for an unusable pattern or name."""
        # Each archive asks for that again, and to compile the patterns takes longer than a small one.
        _check(self)

    def named(self, names: pl.Series) -> pl.Series:
        """Return which of these names have one of the words; null has none."""
        if not self.names:
            return pl.repeat(False, len(names), dtype=pl.Boolean, eager=True)
        return names.str.contains(self._word).fill_null(False)

    def values(self, values: pl.Series) -> pl.Series:
        """Redact texts; null stays null."""
        places = self.named(values).arg_true()
        if len(places):
            values = _put(values, places, self._inside(values.gather(places).to_list()))
        return self.without_patterns(values)

    def lines(self, lines: pl.Series) -> pl.Series:
        """Redact raw lines that are no records: a line with one of the names loses everything after it."""
        places = self.named(lines).arg_true()
        if len(places):
            ends = lines.gather(places).str.replace_all(f"(?s)({self._word}).*", f"${{1}}{REDACTED}")
            lines = _put(lines, places, ends)
        return self.without_patterns(lines)

    def without_patterns(self, texts: pl.Series) -> pl.Series:
        """Replace what the patterns match. Few texts match, and searching is faster than replacing."""
        # An alternation of all patterns would have no common letters for a search to begin with, and takes up to a
        # thousand times as long.
        found = (pl.col("text").str.contains(pattern) for pattern in self.patterns)
        places = pl.DataFrame({"text": texts}).select(pl.any_horizontal(False, *found)).to_series().arg_true()
        if not len(places):
            return texts
        some = texts.gather(places)
        for pattern in self.patterns:
            some = some.str.replace_all(pattern, REDACTED)
        return _put(texts, places, some)

    @cached_property
    def _words(self) -> tuple[str, str]:
        """The words after a sign other than a letter, and after a small letter."""
        words = [_spelled(name) for name in self.names]
        return f"(?i:{'|'.join(words)})", "|".join(f"{word[0].upper()}(?i:{word[1:]})" for word in words)

    @cached_property
    def _word(self) -> str:
        """A name that has one of the words."""
        word, capital = self._words
        return f"(?:(?:^|[^A-Za-z]){word}|[a-z](?:{capital})){_BEHIND}"

    @cached_property
    def _given(self) -> str:
        """A name with a sign after it, or an option, and the value that follows."""
        word, capital = self._words
        rest = r"""(?:[^A-Za-z\s"'\\=:\]][\w.-]*|[A-Z][a-z][\w.-]*)?"""
        sign = r"""["'\\\]]*\s*(?:=>|:=|[=:])\s*"""
        name = f"(?:(?:^|[^A-Za-z]){word}|[a-z](?:{capital})){rest}{sign}"
        option = rf"(?:^|\s)--?(?:[\w-]*[^A-Za-z])?{word}(?:[^A-Za-z\s=:][\w-]*)?\s+"
        return f"({name}|{option}){_VALUE}"

    def _inside(self, texts: Sequence[str]) -> list[str]:
        """Redact texts that contain one of the names: JSON or anything else."""
        documents = {text: _Document.read(text) for text in texts}
        # One search for all strings: a search for each would take longer, and a list may hold a million.
        strings = dict.fromkeys(string for document in documents.values() if document for string in document.strings)
        series = pl.Series(list(strings), dtype=pl.String)
        named = series.filter(self.named(series)).to_list()
        known = dict(zip(named, self._inside(named), strict=True)) if named else {}
        others = pl.Series([text for text, document in documents.items() if document is None], dtype=pl.String)
        found = dict(zip(others, others.str.replace_all(self._given, f"${{1}}{REDACTED}"), strict=True))
        found |= {text: document.cleaned(text, known) for text, document in documents.items() if document}
        return [found[text] for text in texts]


@dataclass(frozen=True)
class _Document:
    """A parsed JSON text, its keys and texts, and its form as `dump` writes it."""

    value: Any
    strings: Sequence[str]
    form: str

    @classmethod
    def read(cls, text: str) -> _Document | None:
        """Parse a text. Return None if it is no JSON, or nested too deeply."""
        if not text.startswith(OPENINGS):
            return None
        try:
            value = parse(text)
            return cls(value, list(_strings(value, 0)), dump(value))
        except (ValueError, TypeError, RecursionError):
            return None

    def cleaned(self, text: str, named: Mapping[str, str]) -> str:
        """Return the text redacted. `named` maps its keys and texts that have one of the names to redacted ones."""
        form = dump(_cleaned(self.value, named))
        return text if form == self.form else form


def _strings(value: Any, depth: int) -> Iterator[str]:
    """Yield the keys and texts of a JSON value. Raises ValueError if it is nested too deeply."""
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item, depth + 1)


def _cleaned(value: Any, named: Mapping[str, str]) -> Any:
    """Redact a JSON value or a part of it, as `_Document.cleaned` does."""
    if isinstance(value, dict):
        return {
            key: REDACTED if key in named and item not in (None, "") else _cleaned(item, named)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(item, named) for item in value]
    return named.get(value, value) if isinstance(value, str) else value


def redacted(decoded: Decoded, redaction: Redaction) -> Decoded:
    """Return a decoded block with its values and the names of its leaves redacted, and the values of its parameters
    `shortened`.
    """
    if {"param", "leaf"} & decoded.texts.keys():
        return _params(decoded, redaction)
    if "text" in decoded.texts:
        return _metrics(decoded, redaction)
    return decoded


def _params(decoded: Decoded, redaction: Redaction) -> Decoded:
    """Redact parameters, their leaves or both: each leaf is a name and a text like any other."""
    columns, texts = decoded.columns, dict(decoded.texts)
    records = np.zeros(len(columns["id"]), np.bool_)
    if "param" in texts:
        texts["param"], changed = _named(texts["param"], None, redaction)
        records |= changed[columns["param"]]
    if "leaf" in texts:
        # Keys of an object may be anything.
        names = _column(texts["leaf"], 0)
        texts["leaf"], changed = _named(texts["leaf"], redaction.without_patterns(names), redaction)
        if changed.any():
            leaves = np.append(0, np.cumsum(changed[columns["leaf"]]))[np.append(0, np.cumsum(columns["leaves"]))]
            records |= np.diff(leaves) > 0
    if all(some is decoded.texts[name] for name, some in texts.items()):
        return decoded
    return replace(decoded, texts=texts, redacted=int(records.sum()))


def _named(
    texts: list[tuple[str | None, ...]], new_names: pl.Series | None, redaction: Redaction
) -> tuple[list[tuple[str | None, ...]], npt.NDArray[np.bool_]]:
    """Return names with their values, redacted and shortened, and which of them are redacted."""
    names, before = _column(texts, 0), _column(texts, 1)
    values = _hidden(redaction.values(before), redaction.named(names))
    invocation = (names == _INVOCATION) & before.str.contains(_INVOCATION_ID)
    values = values.zip_with(~invocation.fill_null(False), before)
    changed = values.ne_missing(before)
    if new_names is not None:
        changed |= new_names.ne_missing(names)
        names = new_names
    places = (changed | (values.str.len_bytes() > VALUE_BYTES).fill_null(False)).arg_true()
    found = list(texts) if len(places) else texts
    some = zip(places.to_list(), names.gather(places).to_list(), values.gather(places).to_list(), strict=True)
    for place, name, value in some:
        # Values are shortened only now: half a secret would not be found.
        found[place] = name, value and shortened(value), texts[place][2]
    return found, changed.to_numpy()


def _metrics(decoded: Decoded, redaction: Redaction) -> Decoded:
    """Redact text metrics. Names and texts have separate codes: only the records tell which text has a secret name."""
    before, texts = decoded.columns["text"], _column(decoded.texts["text"], 0)
    values = redaction.values(texts)
    changed = values.ne_missing(texts).to_numpy()[before]
    secret = redaction.named(_column(decoded.texts["name"], 1)).to_numpy()[decoded.columns["name"]]
    secret &= texts.fill_null("").ne("").to_numpy()[before]
    count = int((changed | secret).sum())
    if not count:
        return decoded
    columns = {**decoded.columns, "text": np.where(secret, len(values), before)}
    known: list[tuple[str | None, ...]] = [*((value,) for value in values), (REDACTED,)]
    return replace(decoded, columns=columns, texts={**decoded.texts, "text": known}, redacted=count)


def _hidden(values: pl.Series, secret: pl.Series) -> pl.Series:
    """Replace the `secret` values; null and the empty text reveal nothing."""
    return values.set(secret & values.fill_null("").ne(""), REDACTED) if secret.any() else values


def _column(texts: Sequence[tuple[str | None, ...]], place: int) -> pl.Series:
    return pl.Series([text[place] for text in texts], dtype=pl.String)


@cache
def _check(redaction: Redaction) -> None:
    for pattern in redaction.patterns:
        try:
            empty = pl.Series([""]).str.contains(pattern).item()
        except pl.exceptions.ComputeError as error:
            reasons = (line.removeprefix("error: ") for line in str(error).splitlines() if line.startswith("error: "))
            reason = next(reasons, "it cannot be read")
            raise BadConfig(file="redact_patterns", what=f"{pattern!r} is no regular expression: {reason}") from None
        if empty:
            raise BadConfig(file="redact_patterns", what=f"{pattern!r} matches where there is nothing")
    for name in redaction.names:
        if not _spelled(name):
            raise BadConfig(file="redact_names", what=f"{name!r} has no letter")


def _spelled(name: str) -> str:
    """Return a regular expression for a word: its parts, with any or no sign between them."""
    return "[^A-Za-z0-9]?".join(re.findall(r"[^\W_]+", name))


def _put(texts: pl.Series, places: pl.Series, new: pl.Series | list[str]) -> pl.Series:
    # `scatter` changes the series in place.
    return texts.clone().scatter(places, new)
