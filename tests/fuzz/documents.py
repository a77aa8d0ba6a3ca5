"""N.json and metadata.json that no Galaxy wrote."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from strange import LONG, TEXTS

METADATA: dict[str, Any] = {
    "url": "https://galaxy.example.org", "title": "Galaxy", "description": "For all", "public": True, "latitude": 48.0,
    "longitude": 7.85, "owners": ["helena"], "since": 2017,
}  # fmt: skip
NUMBERS = (
    "0", "-0", "-1", "1.5", "1e400", "-1e400", "1e308", "5e-324", "9" * 30, "-" + "9" * 30, "0." + "1" * LONG, "9" * LONG, "NaN",
    "Infinity", "-Infinity", "9223372036854775807", "9223372036854775808", "18446744073709551616", "253402300799", "253402300800",
    "01", "1e", "+1", ".5", "0x1",
)  # fmt: skip
"""As they stand in the document; some are not JSON."""
OTHERS = (
    "null", "true", "false", '""', "[]", "{}", "[[]]", "[null]", '{"a": {"b": [1, "x", null]}}', '["a", 1]', "[" * 101 + "]" * 101,
    "[" * 2000 + "]" * 2000, "[" * LONG, '{"a":' * 99 + "1" + "}" * 99, '"\\u0000"', '"a\\u0000b"', '{"\\u0000": "\\u0000"}', '"\\ud800"',
    '"\\ud83d\\ude00"', '"\x00"', '"\n"', '"\\n\\t\\r"', '"\\u001b[31m"', '"unended', "'text'", "undefined", "[1,]", '{"a": 1, "a": 2}',
    '"sha256:' + "0" * 64 + '"', '"sha256:' + "g" * 64 + '"', '"md5:0"', '"1718000000"', '"1718000000.5"', '"1e9"', '" 1 "', '"9999999999999"',
    '{"active": -1}', '{"total": 1e3}', '{"active": "3"}', '{"ok": -1}', '{"\\u001b": 1}', '{"ok": 9223372036854775808}', "[{}]",
    json.dumps("title " * 200_000), json.dumps(["owner"] * 20_000), json.dumps({f"key{i}": i for i in range(5000)}),
)  # fmt: skip
VALUES = (
    *(json.dumps(text) for text in TEXTS),
    *(json.dumps(text, ensure_ascii=False) for text in TEXTS),
    *NUMBERS,
    *OTHERS,
)
"""Texts of values, each to stand in the place of any."""

Damage = Callable[[dict[str, Any], random.Random], bytes]
"""Makes a file of a document."""


def change_value(document: dict[str, Any], randomly: random.Random) -> bytes:
    """One or two keys have strange values, or are missing; perhaps a key that nobody knows is there, or is twice."""
    texts = [(json.dumps(key), json.dumps(value)) for key, value in document.items()]
    for _ in range(randomly.choice((1, 1, 2))):
        at = randomly.randrange(len(texts))
        value = randomly.choice(VALUES)
        match randomly.randrange(8):
            case 0:
                texts.insert(at, (json.dumps(randomly.choice(TEXTS)), value))
            case 1:
                texts.insert(at, (texts[at][0], value))
            case 2 if len(texts) > 1:
                del texts[at]
            case _:
                texts[at] = (texts[at][0], value)
    return ("{" + ", ".join(f"{key}: {value}" for key, value in texts) + "}").encode("utf-8", "surrogatepass")


def change_bytes(document: dict[str, Any], randomly: random.Random) -> bytes:
    """Cut off, with other bits, of another encoding, with something before or behind, or no document at all."""
    whole = json.dumps(document).encode()
    flipped = bytearray(whole)
    flipped[randomly.randrange(len(whole))] ^= 1 << randomly.randrange(8)
    return randomly.choice(
        (
            whole[: randomly.randrange(len(whole))], bytes(flipped), bytes(flipped), b"", b"\0" * 100, b"\xef\xbb\xbf" + whole, whole + b"\0",
            whole + whole, whole.decode().encode("utf-16"), whole.replace(b'"', b"'"), randomly.randbytes(300), b" " * 100_000 + whole,
            *(value.encode("utf-8", "surrogatepass") for value in randomly.sample(VALUES, 5)),
        )
    )  # fmt: skip


def damaged(document: dict[str, Any], count: int, randomly: random.Random) -> Iterator[bytes]:
    """So many files that might have been this document."""
    for _ in range(count):
        yield (change_value if randomly.random() < 0.75 else change_bytes)(document, randomly)
