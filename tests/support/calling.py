"""Calls the program in this process, for the tests of its commands and exit codes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest

from grt_batch import cli
from grt_batch.core.config import Config
from grt_batch.core.logs import logger

AS_OF = "2024-06-30"
NOWHERE = "host=/nowhere dbname=none"


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of its error."""
        assert self.err.startswith("grt-batch: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        return self.err.removeprefix("grt-batch: ").rstrip()


Call = Callable[..., Answer]


@contextmanager
def calling(capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """What calls the program; its signal handlers and its log are gone afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    log = logger.handlers[:], logger.level, logger.propagate

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Answer(int(ended.value.code or 0), printed.out, printed.err)

    try:
        yield run
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        logger.handlers[:], logger.level, logger.propagate = log


def places(folder: Path) -> list[object]:
    return ["--reports", folder / "reports", "--work", folder / "work"]


def query(database: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg2.connect(database) as link, link.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    link.close()
    return rows


def partitions(database: str) -> dict[str, set[int]]:
    """Return the numbers of the partitions with rows, by table."""
    found = query(
        database,
        "SELECT t.relname, p.relid::bigint FROM pg_class AS t, pg_partition_tree(t.oid) AS p"
        " WHERE t.relnamespace = 'grt'::regnamespace AND t.relkind = 'p' AND p.isleaf",
    )
    return {table: {number for name, number in found if name == table} for table, _ in found}


def planned(call: Call, config: Config, *arguments: object) -> dict[str, tuple[str, str]]:
    """Return the state of each archive, and why, as the command `plan` prints them."""
    answer = call("plan", "--uploads", config.uploads, "--work", config.work, "--print", "json", *arguments)
    assert (answer.code, answer.err) == (0, "")
    rows = orjson.loads(answer.out)["archives"]
    return {f"{row['instance']}/{row['archive']}": (row["state"], row["why"]) for row in rows}
