"""The demo shows something of everything, and where it is: no table, report or export of it is empty."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest
from calling import Call

from grt_batch.cli import main
from grt_batch.modules.export import FolderExport
from grt_batch.modules.registry import discover


@pytest.fixture
def demo(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str) -> Path:
    """The folder of a demo, run in this process."""

    def launch(_: int, arguments: list[str], *__: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["run", *arguments, "--database", database])
        return int(ended.value.code or 0)

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    answer = call("demo", "--folder", tmp_path / "demo", "--jobs", "8000")
    assert (answer.code, answer.err) == (0, "")
    return tmp_path / "demo"


def test_the_demo_fills_everything(demo: Path, database: str) -> None:
    latest = demo / "reports" / "latest"
    tables = {table.name for module in discover().values() for table in module.tables}
    with psycopg2.connect(database) as link, link.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'grt'::regnamespace AND relkind IN ('r', 'p')"
        )
        found = {name for (name,) in cursor.fetchall()}
        assert found == {*tables, "archive", "run", "datasource", "schema_version"}
        for name in sorted(found):
            cursor.execute(f'SELECT count(*) FROM grt."{name}"')
            assert cursor.fetchone()[0] > 0, f"{name} is empty"
    link.close()
    for file in latest.glob("*.tsv"):
        assert file.read_bytes().count(b"\n") > 1, f"{file.name} is empty"
    for name, module in discover().items():
        if isinstance(module, FolderExport):
            assert any(file.stat().st_size for file in (latest / name).rglob("*") if file.is_file()), f"{name} is empty"


def test_the_demo_shows_where_the_results_are(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str
) -> None:
    def launch(ranks: int, arguments: list[str], *_: object, fault_tolerant: bool = False) -> int:
        assert ranks == 3
        assert arguments[6:8] == ["--database", "embedded"]
        assert arguments[10:] == list(discover())
        with pytest.raises(SystemExit) as ended:
            main(["run", *arguments, "--database", database])
        return int(ended.value.code or 0)

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    for _ in range(2):
        answer = call("demo", "--folder", tmp_path / "demo", "--jobs", "60")
        assert (answer.code, answer.err) == (0, "")
        assert f"The reports are in {tmp_path}/demo/reports/latest/:" in answer.out
        assert "  tool_usage.tsv\n" in answer.out
        assert "  lake/\n" in answer.out
        assert f" db psql --work {tmp_path}/demo/work\n" in answer.out
        assert f" serve --uploads {tmp_path}/demo/uploads --reports {tmp_path}/demo/reports --work " in answer.out
    key = answer.out.splitlines()[-1].partition(" instance key ")[2]
    assert call("instance", "key", *key.split()).code == 0


def test_a_demo_that_fails_says_no_more(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_, **__: 6)
    answer = call("demo", "--folder", tmp_path / "demo", "--jobs", "60")
    assert answer.code == 6
    assert answer.out.count("\n") == 1
