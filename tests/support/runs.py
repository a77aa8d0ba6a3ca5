"""What a run left behind for readers, and copies of uploads."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg2


def published(reports: Path) -> dict[str, bytes]:
    """The bytes of all that a run left for readers; run.json tells of the run itself, and differs."""
    files = [*(reports / "latest").glob("*.tsv"), *(reports / "rejects").glob("*/*.tsv")]
    return {str(file.relative_to(reports)): file.read_bytes() for file in files}


def copy_uploads(source: Path, target: Path, names: Callable[[Path], bool] = lambda _: True) -> None:
    """Copy uploads, or those files of which `names` is true, with their dates."""
    for file in sorted(source.rglob("*")):
        if file.is_file() and names(file):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)


def create_database(server: str, template: str = "template1") -> str:
    """The DSN of a new database, a copy of another of the server."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return str(psycopg2.extensions.make_dsn(server, dbname=name))


def name_of(database: str) -> str:
    return str(psycopg2.extensions.parse_dsn(database)["dbname"])


def administer(server: str, statement: str) -> None:
    link = psycopg2.connect(server)
    link.autocommit = True
    link.cursor().execute(statement)
    link.close()
