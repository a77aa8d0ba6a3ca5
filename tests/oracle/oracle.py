"""The tables a second time: plain SQL (DuckDB) over the raw lines, by the words of the format and no code of ours.

`records.sql` makes records of lines, `jobs.sql` makes jobs of records, `leaves.sql` makes settings of parameters, and
`tables/<table>.sql` selects the columns of that table. Python unpacks the archives and the values of parameters.
"""

from __future__ import annotations

import math
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from duckdb.sqltypes import DOUBLE
from unwrapping import leaves, unwrap

FOLDER = Path(__file__).parent
TABLES = FOLDER / "tables"
MEMBER = re.compile(r"\.(jobs|metric_num|metric_txt|params|datasets)\.tsv$")
PERIODS = (("all", None), ("30d", 30), ("7d", 7))
INPUT = """
    CREATE TABLE members (instance_id TEXT, archive TEXT, ordinal INT, kind TEXT, content TEXT);
    CREATE TABLE documents (instance_id TEXT, archive TEXT, document JSON, tar BLOB);
    CREATE TABLE metadata (instance_id TEXT, document JSON);
    CREATE TABLE periods (period TEXT, days INT);
    CREATE TABLE unwrapped (name TEXT, value TEXT, plain TEXT, names_data BOOLEAN);
    CREATE TABLE unfolded (name TEXT, value TEXT, leaf TEXT, plain TEXT, names_data BOOLEAN);
"""


@dataclass(frozen=True)
class Answer:
    """What should stand in a table; `types` are DuckDB's."""

    names: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


class Oracle:
    """What the archives below `uploads` say. `latest` holds what the program published: of that a histogram's bins
    are taken, which are its own affair. The SELECTs find `settings` as variables."""

    def __init__(self, uploads: Path, latest: Path, settings: Mapping[str, Any]) -> None:
        self.link = duckdb.connect()
        self.link.create_function("erfc", math.erfc, [DOUBLE], DOUBLE)
        self.link.execute(INPUT)
        self._insert("periods", PERIODS)
        for name, value in {**settings, "latest": str(latest)}.items():
            self.link.execute(f"SET VARIABLE {name} = ?", [value])
        for folder in sorted(uploads.iterdir()):
            self._load(folder)
        for file in ("records.sql", "jobs.sql"):
            self.link.execute((FOLDER / file).read_text(encoding="utf-8"))
        texts = self.link.execute("SELECT DISTINCT name, value FROM params").fetchall()
        self._insert("unwrapped", [(name, text, *unwrap(name, text)) for name, text in texts])
        self._insert("unfolded", [(name, text, *leaf) for name, text in texts for leaf in leaves(name, text)])
        self.link.execute((FOLDER / "leaves.sql").read_text(encoding="utf-8"))

    def answer(self, table: str) -> Answer:
        """What should stand in a table."""
        found = self.link.execute((TABLES / f"{table}.sql").read_text(encoding="utf-8"))
        names, types = zip(*((column[0], str(column[1])) for column in found.description), strict=True)
        return Answer(list(names), list(types), found.fetchall())

    def _load(self, folder: Path) -> None:
        """Take in the archives of one instance as they are."""
        file = folder / "metadata.json"
        self._insert("metadata", [(folder.name, file.read_text(encoding="utf-8-sig") if file.exists() else "{}")])
        for tar in sorted(folder.rglob("*.tar.gz")):
            name = tar.name.removesuffix(".tar.gz")
            document = tar.with_name(f"{name}.json").read_text(encoding="utf-8-sig")
            self._insert("documents", [(folder.name, name, document, tar.read_bytes())])
            self._insert("members", [(folder.name, name, *member) for member in _members(tar)])

    def _insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        # One statement for all rows: a thousand would take a thousand times as long.
        columns = [list(column) for column in zip(*rows, strict=True)]
        if columns:
            self.link.execute(f"INSERT INTO {table} SELECT {', '.join(['unnest(?)'] * len(columns))}", columns)


def _members(tar: Path) -> Iterator[tuple[int, str, str]]:
    """Place in the tar, kind and text of each member."""
    with tarfile.open(tar) as opened:
        for ordinal, member in enumerate(opened):
            kind = MEMBER.search(member.name)
            text = opened.extractfile(member)
            if kind and text:
                yield ordinal, kind[1], text.read().decode("utf-8-sig", "replace")
