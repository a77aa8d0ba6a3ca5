"""Texts that no exporter should write, by what they pretend to be."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from grt_batch.schema.members import Kind

LONG = 5000
"""Bytes of a text that is longer than any that an exporter writes, and longer than an index of PostgreSQL takes."""

_RANDOMLY = random.Random(8)
NOISE = "".join(chr(_RANDOMLY.randrange(33, 127)) for _ in range(LONG))
"""No database can make it shorter."""

IDS = (
    "", "None", "-1", "0", "+5", "007", " 1", "1 ", "1.0", "1e3", "0x1f", "--1", "-", "NaN", "1_000", "\u0661", "1\r",
    "9223372036854775807", "9223372036854775808", "-9223372036854775807", "-9223372036854775808", "18446744073709551616",
    "4611686018427387904", "9" * 100, "-" + "9" * LONG,
)  # fmt: skip
NUMBERS = (
    *IDS, "0E-7", "-0", ".", "-.", "1.", ".5", "1.5.2", "1,5", "inf", "-inf", "nan", "1e308", "1e309", "-1e309", "1e-400",
    "1E+18", "1e99999999999999999999", "e5", "1e", "4611686018427387903.9999999", "9223372036854775807.9999999",
    "-4611686018427387904", "922337203685.4775807", "922337203685.4775808", "0." + "9" * LONG, "0.00000005", "0.00000004",
)  # fmt: skip
DATES = (
    "", "None", "0001-01-01 00:00:00", "0000-01-01 00:00:00", "9999-12-31 23:59:59.999999", "10000-01-01 00:00:00",
    "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "1900-02-29 00:00:00", "2000-02-29 00:00:00", "2024-02-30 00:00:00",
    "2024-13-01 00:00:00", "2024-00-10 00:00:00", "2024-06-30 24:00:00", "2024-06-30 23:59:60", "2024-06-30 23:60:00",
    "2024-06-30T12:00:00", "2024-06-30 12:00:00Z", "2024-06-30 12:00:00+02:00", "2024-06-30 12:00:00.", "2024-6-3 1:2:3",
    "2024-06-30 12:00:00.1234567890123456789", "2024-06-30 12:00:00.123456789", "-001-01-01 00:00:00", "2024-06-30",
    "1719748800", "\u0662\u0660\u0662\u0664-06-30 12:00:00", "2038-01-19 03:14:08", "2262-04-11 23:47:17",
)  # fmt: skip
TEXTS = (
    "", " ", "None", "null", "NULL", "\\N", "\\", "\\t\\n", '"', "'", "''", "'; DROP TABLE grt.tool; --", "$$", "%s%n", "{}",
    "<script>alert(1)</script>", "&lt;", "=1+1", "$(id)", "`id`", "../../../etc/passwd", "/etc/passwd", "C:\\x", ".", "..",
    "*", "-", "\x1b[2J\x1b[31m", "\x07\x08\x7f", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", "\r", "\u202egpj.exe", "\u200b",
    "\ufeff", "\ufffd", "\ufffe", "\U0010ffff", "e\u0301", "\u00e9" * 300, "\U0001d518" * 300, "x" * 255, "x" * 256, NOISE,
    "1" * LONG, "input" + "1" * LONG, "\u00e9" * LONG, "repos", "/repos/", "a/repos/b", "a/repos/b/c/d/e/f", "/" * LONG,
    "shed/repos/o/r/" + "t" * LONG + "/1",
)  # fmt: skip
VALUES = (
    *TEXTS, "[" * LONG, "[" * LONG + "]" * LONG, '{"p":' * 90 + "1" + "}" * 90, '{"p":' * LONG, '"' * LONG, '"\\ud800"',
    '"\\udc00\\ud800"', '"\\u0000"', '{"\\u0000":"\\ud800"}', "[NaN,Infinity,-Infinity]", "1e999", "[1e999]", "-0", "[-0.0]",
    "[1,2", "[1,]", "{,}", '{"p"}', '{"p":1,"p":2}', '{"p":"null"}', '{"values":5}', '{"values":[{"src":1,"id":[]}]}',
    '{"values":[{"src":"hda","id":1}]}', '{"src":"hda","id":null}', "[9223372036854775808]", "[" + "9" * LONG + "]",
    "[1, 2, 3]", "1,2,3", "true", '"\\"\\\\\\"a\\\\\\"\\""', '"' + "\\\\" * LONG + '"', '"\x01"', "[" + "1," * LONG + "1]",
    '{"a":{"\\u0000|__x":[{"values":[]},"{\'src\': \'hda\', \'id\': 1}"]}}', '{"a|b":1,"a":{"b":2},"":{"":{}}}', "[{}" + ",1" * LONG + "]",
    '{"' + "k" * LONG + '":{"a":1,"b":[{"c":1}]}}', '{"a":{"b":' * 8 + '{"c":[[{"d":1}]]}' + "}}" * 8, "{'src': 'hda', 'id': 5}",
    '{"a":' + '{"b":' * 500 + "1" + "}" * 501, "\ufeff{}", " {}", "{} {}", "'p'", '"\\x41"', '"\\u12"',
)  # fmt: skip
DIRECTIONS = ("", "None", "input", "output", "Input", "inputs", "outpu", "in put", "input\r", "both", "0")
RAW = (
    b"\0", b"\0\0\0\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x80" * 99,
    b"\r\n", b"\t", b"\t" * 70, b"\n", b"\n\n\n", b"\x1a", b"\xfe\xff", b"\0\t\0\n\0", b"\xe2\x80\xa8", b"\t\n\t\n",
)  # fmt: skip
"""Bytes that may stand anywhere in a member."""

OF_COLUMN: Mapping[Kind, tuple[Sequence[str], ...]] = {
    Kind.JOBS: (IDS, TEXTS, TEXTS, TEXTS, DATES),
    Kind.METRIC_NUM: (IDS, TEXTS, TEXTS, NUMBERS),
    Kind.METRIC_TXT: (IDS, TEXTS, TEXTS, VALUES),
    Kind.PARAMS: (IDS, TEXTS, VALUES),
    Kind.DATASETS: (IDS, IDS, TEXTS, NUMBERS, TEXTS, DIRECTIONS),
}
"""What is strange for each column of a kind."""
