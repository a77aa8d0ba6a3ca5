"""A report is tried over one archive, in memory."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from build import HEADERS, line, write_archive
from cold_storage import freeze

from grt_batch.core.config import Config
from grt_batch.core.errors import BadArguments, BadModule
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Partial
from grt_batch.modules.registry import chosen, discover
from grt_batch.pipeline.trial import try_modules
from grt_batch.schema.members import Kind

FILE = Path("my_report.py")
TOOLS = type(discover()["tools"])


class Silent(TOOLS):  # type: ignore[misc, valid-type]
    """Forgets its tables."""

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        return {}


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    jobs = b"".join(line(i, "tool", "1", "ok", f"2024-06-{i:02} 10:00:00") for i in (1, 2, 3))
    return write_archive(tmp_path / "a", "1", {Kind.JOBS: HEADERS[Kind.JOBS] + jobs})


@pytest.mark.parametrize(("as_of", "last"), [(None, date(2024, 6, 3)), (date(2024, 7, 1), date(2024, 7, 1))])
@pytest.mark.parametrize("ending", ["tar.gz", "json"])
def test_every_table_is_shown_as_of_the_last_day_of_the_jobs_or_another(
    tar: Path, as_of: date | None, last: date, ending: str
) -> None:
    modules = chosen(("tools", "instances"))
    trials = list(try_modules(FILE, modules, tar.with_name(f"1.{ending}"), Config(), as_of))
    assert [trial.table for trial in trials] == [table for module in modules for table in module.tables]
    assert {trial.as_of for trial in trials} == {last}
    assert {trial.table.name: trial.rows for trial in trials}["tool_day"]["jobs"].sum() == 3


def test_nothing_is_written(tar: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    list(try_modules(FILE, chosen(("tools",)), tar, Config(work=tmp_path / "work", reports=tmp_path / "reports")))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_in_cold_storage_is_refused(tmp_path: Path) -> None:
    tar = write_archive(tmp_path / "up" / "a" / "archives", "1", {Kind.JOBS: HEADERS[Kind.JOBS]})
    freeze(tar)
    with pytest.raises(BadArguments, match="is in cold storage"):
        list(try_modules(FILE, chosen(("tools",)), tar.with_name("1.json"), Config()))


def test_an_archive_that_cannot_be_read_is_refused(tar: Path) -> None:
    tar.write_bytes(tar.read_bytes()[:-9])
    with pytest.raises(BadArguments, match="cannot be read"):
        list(try_modules(FILE, chosen(("tools",)), tar, Config()))


def test_an_export_has_no_rows_to_show(tar: Path) -> None:
    with pytest.raises(BadModule, match="records is an export"):
        list(try_modules(FILE, chosen(("records",)), tar, Config()))


def test_a_report_without_one_of_its_tables_is_blamed(tar: Path) -> None:
    with pytest.raises(BadModule, match="rows of tools has no table") as raised:
        list(try_modules(FILE, [Silent()], tar, Config()))
    assert raised.value.file == FILE
