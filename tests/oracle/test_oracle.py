"""The tables of the house against plain SQL over the raw lines of archives: those that have a SELECT in `tables/`."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from datetime import date
from pathlib import Path

import psycopg2
import pytest
from comparison import differences
from odd import AS_OF, write_bare, write_odd
from oracle import TABLES, Oracle
from places import REAL as _REAL

from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.ledger.ledger import ARCHIVE
from grt_batch.modules.registry import discover
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL

PUBLISHED = {table.name: table for module in discover().values() for table in module.tables} | {ARCHIVE.name: ARCHIVE}
ASKED = [name for name in PUBLISHED if (TABLES / f"{name}.sql").exists()]
MODULES = tuple(name for name, module in discover().items() if module.tables)
SETTINGS = {
    "quota_bytes": 200_000,
    "prediction_days": 45,
    "fresh_days": 6,
    "popular_values": 30,
    "change_min_jobs": 5,
    "change_p_value": 0.5,
    "change_min_rate": 2,
    "change_runtime_percent": 23,
}
"""Keys of the configuration with which the sample has something of everything."""

REAL = _REAL / "grt-2017"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")
Told = tuple[Path, Oracle]


def _uploads(name: str, sample: Path, home: Path) -> tuple[Path, date]:
    """The uploads of this name, which may be written below `home`, and an as-of day near their end."""
    match name:
        case "sample":
            return sample, UNTIL
        case "real":
            return REAL, date(2017, 8, 5)
        case "odd":
            write_odd(home / "uploads")
        case "bare":
            write_bare(home / "uploads")
    return home / "uploads", AS_OF


@pytest.fixture(scope="module", params=["sample", "odd", "bare", pytest.param("real", marks=needs_real)])
def told(request: pytest.FixtureRequest, sample: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A folder with the tables that were published of some uploads, and the oracle that knows better."""
    home = tmp_path_factory.mktemp(request.param)
    uploads, as_of = _uploads(request.param, sample, home)
    config = Config(uploads=uploads, reports=home / "reports", work=home / "work", **SETTINGS)
    with lock(config.work):
        execute(RunRequest(config, as_of, MODULES, run_id=request.param), SerialExecutor(), lambda: nullcontext(server))
    folder = home / "tables"
    shutil.copytree(config.reports / "latest", folder)
    _copy_from_database(server, folder)
    return folder, Oracle(uploads, folder, {**SETTINGS, "as_of": as_of})


def _copy_from_database(server: str, folder: Path) -> None:
    """Write the tables that stand in the database alone, in the form of the others."""
    link = psycopg2.connect(server)
    with link.cursor() as cursor:
        for name in PUBLISHED:
            file = folder / f"{name}.tsv"
            if not file.exists():
                with file.open("w", encoding="utf-8") as text:
                    cursor.copy_expert(f"COPY (TABLE grt.{name}) TO STDOUT (NULL '', HEADER)", text)
    link.close()


@pytest.mark.parametrize("table", ASKED)
def test_a_table_is_what_plain_sql_says(table: str, told: Told) -> None:
    folder, oracle = told
    wrong = differences(oracle.answer(table), folder / f"{table}.tsv", PUBLISHED[table])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("table", PUBLISHED)
def test_a_table_has_its_select(table: str) -> None:
    file = TABLES / f"{table}.sql"
    if not file.exists():
        pytest.skip(f"only the program computes {table}: add tests/oracle/tables/{file.name}, its rows in plain SQL")


def test_a_select_has_its_table() -> None:
    assert {file.stem for file in TABLES.glob("*.sql")} == set(ASKED)


@pytest.mark.parametrize("told", ["sample"], indirect=True)
@pytest.mark.parametrize("table", ASKED)
def test_the_sample_has_something_of_everything(table: str, told: Told) -> None:
    assert len((told[0] / f"{table}.tsv").read_text(encoding="utf-8").splitlines()) > 1
