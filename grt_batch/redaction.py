"""Redaction: addresses, home folders, keys, tokens and passwords that stand in a value become `[redacted]`.

It comes right after the decoding, so that nothing of them is stored. The different values of a block are looked at,
not its records: of a million records there are some thousand values, hardly one of which has anything to hide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from grt_batch.columns import Decoded
from grt_batch.errors import BadConfig
from grt_batch.values import OPENINGS, REDACTED, VALUE_BYTES, dump, parse, shortened

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
            values = _put(values, places, [self._inside(text) for text in values.gather(places)])
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

    def _inside(self, text: str) -> str:
        """A text that has one of the names in it: JSON, or anything else."""
        if text.startswith(OPENINGS):
            try:
                value = parse(text)
                whole, cleaned = dump(value), dump(self._cleaned(value, 0))
            except (ValueError, TypeError, RecursionError):
                pass
            else:
                return text if cleaned == whole else cleaned
        return str(pl.Series([text]).str.replace_all(self._given, f"${{1}}{REDACTED}").item())

    def _cleaned(self, value: Any, depth: int) -> Any:
        """What a JSON text says, redacted. Raises ValueError where it is nested too deep."""
        if depth > _DEEPEST:
            raise ValueError
        if isinstance(value, dict):
            named = dict(zip(value, self.named(pl.Series(list(value), dtype=pl.String)), strict=True))
            return {
                key: REDACTED if named[key] and item not in (None, "") else self._cleaned(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._cleaned(item, depth + 1) for item in value]
        if isinstance(value, str) and self.named(pl.Series([value])).item():
            return self._inside(value)
        return value


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
    # A value is shortened after that: what is cut in two would not be found any more.
    long = (values.str.len_bytes() > VALUE_BYTES).arg_true()
    if not changed.any() and not len(long):
        return decoded
    if len(long):
        values = _put(values, long, [shortened(value) for value in values.gather(long)])
    params: list[tuple[str | None, ...]] = [
        (name, value, data) for (name, _, data), value in zip(texts, values, strict=True)
    ]
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
