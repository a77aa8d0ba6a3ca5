"""Redaction: addresses, home folders, keys, tokens and passwords that stand in a value become `[redacted]`.

It comes right after the decoding, so that nothing of them is stored. The different values of a block are looked at,
not its records: of a million records there are some thousand values, hardly one of which has anything to hide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from grt_batch.core.errors import BadConfig
from grt_batch.decode.columns import Decoded
from grt_batch.decode.param_values import OPENINGS, REDACTED, VALUE_BYTES, dump, parse, shortened

_DEEPEST = 100
"""Of JSON that is nested deeper, what follows a name is redacted as in any other text."""


_INVOCATION, _INVOCATION_ID = "__workflow_invocation_uuid__", "^[0-9a-f]{32}$"
"""What Galaxy itself tells of a job: which others belong to it. It looks like one of its keys, and is none."""


_BEHIND = r"(?:$|[^A-Za-z]|[A-Z][a-z])"


_VALUE = (
    r"""(?:"(?:[^"\\]|\\(?s:.))*"?|'(?:[^'\\]|\\(?s:.))*'?|\\+["'][^"'\\]*(?:\\+["'])?"""
    r"""|\[[^\]]*\]?|\{[^}]*\}?|[^\s"'\\,;&\[\]{}]+)"""
)
"""What is given to a name in a text: something in quotes or brackets, or a word."""


@dataclass(frozen=True)
class Redaction:
    """What is redacted, and how.

    What one of the `patterns` matches in a value, one pattern after another. They are regular expressions as Rust's
    crate regex has them, which takes no longer than in proportion to the text, whatever the pattern.

    What has a name with one of the words `names`: the value of such a parameter or text metric, and in a value what
    an object has under such a key, or a text after it (`--token=…`, `password: …`). A word stands by itself, so that
    token is found in `api_token_2` and `apiToken`, not in `max_tokens`; upper or lower case, and the sign between the
    parts of a word, do not count: api_key is found in `API-Key`.
    """

    patterns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise BadConfig for a pattern that cannot be used."""
        for pattern in self.patterns:
            try:
                empty = pl.Series([""]).str.contains(pattern).item()
            except pl.exceptions.ComputeError as error:
                reasons = (
                    line.removeprefix("error: ") for line in str(error).splitlines() if line.startswith("error: ")
                )
                reason = next(reasons, "it cannot be read")
                raise BadConfig(
                    file="redact_patterns", what=f"{pattern!r} is no regular expression: {reason}"
                ) from None
            if empty:
                raise BadConfig(file="redact_patterns", what=f"{pattern!r} matches where there is nothing")
        for name in self.names:
            if not _spelled(name):
                raise BadConfig(file="redact_names", what=f"{name!r} has no letter")

    def named(self, names: pl.Series) -> pl.Series:
        """Which of these names have one of the words; null has none."""
        if not self.names:
            return pl.repeat(False, len(names), dtype=pl.Boolean, eager=True)
        return names.str.contains(self._word).fill_null(False)

    def values(self, values: pl.Series) -> pl.Series:
        """Texts with what is to be redacted in them redacted; null stays null."""
        places = self.named(values).arg_true()
        if len(places):
            values = _put(values, places, self._inside(values.gather(places).to_list()))
        return self._without_patterns(values)

    def lines(self, lines: pl.Series) -> pl.Series:
        """Raw lines that are no records, redacted: of a line with one of the names nothing that follows it stays."""
        places = self.named(lines).arg_true()
        if len(places):
            ends = lines.gather(places).str.replace_all(f"(?s)({self._word}).*", f"${{1}}{REDACTED}")
            lines = _put(lines, places, ends)
        return self._without_patterns(lines)

    def _without_patterns(self, texts: pl.Series) -> pl.Series:
        """Hardly a text has anything that a pattern matches, and to look is faster than to replace."""
        # Not one alternative of all patterns: it would have no letters that a search could begin with, and takes up to
        # a thousand times as long.
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
        """The words after a sign that is no letter, and after a small letter."""
        words = [_spelled(name) for name in self.names]
        return f"(?i:{'|'.join(words)})", "|".join(f"{word[0].upper()}(?i:{word[1:]})" for word in words)

    @cached_property
    def _word(self) -> str:
        """A name with one of the words."""
        word, capital = self._words
        return f"(?:(?:^|[^A-Za-z]){word}|[a-z](?:{capital})){_BEHIND}"

    @cached_property
    def _given(self) -> str:
        """What a text says before a value, and the value: a name with a sign behind it, or an option."""
        word, capital = self._words
        rest = r"""(?:[^A-Za-z\s"'\\=:\]][\w.-]*|[A-Z][a-z][\w.-]*)?"""
        sign = r"""["'\\\]]*\s*(?:=>|:=|[=:])\s*"""
        name = f"(?:(?:^|[^A-Za-z]){word}|[a-z](?:{capital})){rest}{sign}"
        option = rf"(?:^|\s)--?(?:[\w-]*[^A-Za-z])?{word}(?:[^A-Za-z\s=:][\w-]*)?\s+"
        return f"({name}|{option}){_VALUE}"

    def _inside(self, texts: Sequence[str]) -> list[str]:
        """Texts that have one of the names in them, redacted: JSON, or anything else."""
        documents = {text: _Document.read(text) for text in texts}
        # All at once, since a search for each takes longer than most of them: a list may hold a million.
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
    """What a JSON text says, its keys and the texts in it, and it in the form of `dump`."""

    value: Any
    strings: Sequence[str]
    form: str

    @classmethod
    def read(cls, text: str) -> _Document | None:
        """None for a text that is no JSON, or nested too deep."""
        if not text.startswith(OPENINGS):
            return None
        try:
            value = parse(text)
            return cls(value, list(_strings(value, 0)), dump(value))
        except (ValueError, TypeError, RecursionError):
            return None

    def cleaned(self, text: str, named: Mapping[str, str]) -> str:
        """The text redacted: `named` are its keys and texts that have one of the names, redacted."""
        form = dump(_cleaned(self.value, named))
        return text if form == self.form else form


def _strings(value: Any, depth: int) -> Iterator[str]:
    """The keys and texts in what a JSON text says. Raises ValueError where it is nested too deep."""
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
    """As `_Document.cleaned`, of what a JSON text says or of a part of it."""
    if isinstance(value, dict):
        return {
            key: REDACTED if key in named and item not in (None, "") else _cleaned(item, named)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(item, named) for item in value]
    return named.get(value, value) if isinstance(value, str) else value


def redacted(decoded: Decoded, redaction: Redaction) -> Decoded:
    """A decoded block without what is to be redacted; the values of its parameters are `shortened`."""
    if "param" in decoded.texts:
        return _params(decoded, redaction)
    if "text" in decoded.texts:
        return _metrics(decoded, redaction)
    return decoded


def _params(decoded: Decoded, redaction: Redaction) -> Decoded:
    texts = decoded.texts["param"]
    names, before = _column(texts, 0), _column(texts, 1)
    values = _hidden(redaction.values(before), redaction.named(names))
    invocation = (names == _INVOCATION) & before.str.contains(_INVOCATION_ID)
    values = values.zip_with(~invocation.fill_null(False), before)
    changed = values.ne_missing(before)
    places = (changed | (values.str.len_bytes() > VALUE_BYTES).fill_null(False)).arg_true()
    if not len(places):
        return decoded
    params = list(texts)
    for place, value in zip(places.to_list(), values.gather(places).to_list(), strict=True):
        name, _, data = texts[place]
        # A value is shortened after that: what is cut in two would not be found any more.
        params[place] = name, shortened(value), data
    count = int(changed.to_numpy()[decoded.columns["param"]].sum())
    return replace(decoded, texts={**decoded.texts, "param": params}, redacted=count)


def _metrics(decoded: Decoded, redaction: Redaction) -> Decoded:
    """Names and texts have codes of their own: which text has a secret name is said by the records alone."""
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
    """The values without those that are `secret`; null and the empty text tell nothing."""
    return values.set(secret & values.fill_null("").ne(""), REDACTED) if secret.any() else values


def _column(texts: Sequence[tuple[str | None, ...]], place: int) -> pl.Series:
    return pl.Series([text[place] for text in texts], dtype=pl.String)


def _spelled(name: str) -> str:
    """A word as a regular expression: its parts, with any sign or none between them."""
    return "[^A-Za-z0-9]?".join(re.findall(r"[^\W_]+", name))


def _put(texts: pl.Series, places: pl.Series, new: pl.Series | list[str]) -> pl.Series:
    # `scatter` writes into the series itself.
    return texts.clone().scatter(places, new)
