"""What a run reads, computes and publishes does not depend on the locale, and every command prints in any."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from calling import AS_OF
from runs import copy_uploads

import grt_batch

LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1 output": {"PYTHONIOENCODING": "latin-1:strict"},
}
QUERY = """-- name: name-of(name)
-- Which name is it: wähle?
-- :name text = café…             its name
SELECT :name::text || '…日本' AS name;
"""


def call(folder: Path, locale: dict[str, str], *words: object) -> subprocess.CompletedProcess[bytes]:
    """The program in a folder, under a locale."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    command = [sys.executable, "-m", "grt_batch.cli", *words]
    return subprocess.run(
        [os.fsencode(str(word)) for word in command],
        cwd=folder,
        env={**inherited, **locale},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Uploads in a folder with an umlaut, and an instance whose title has characters of many languages."""
    folder = tmp_path_factory.mktemp("locale") / "für"
    copy_uploads(good, folder / "größe")
    instance = min((folder / "größe").iterdir())
    (instance / "metadata.json").write_text('{"title": "café…日本", "public": true}', encoding="utf-8")
    (folder / "größe" / "übergangen").mkdir()
    damaged = max(instance.rglob("*.tar.gz"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    return folder


def tables(reports: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (reports / "latest").glob("*.tsv")}


@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
def test_every_command_prints_and_ends_with_its_code(folder: Path, database: str, locale: dict[str, str]) -> None:
    where = ["--work", "wörk", "--database", database]
    all_places = ["--uploads", "größe", "--reports", "böse", *where]
    (folder / "sql").mkdir(exist_ok=True)
    (folder / "sql" / "one.sql").write_text(QUERY, encoding="utf-8")
    asked = [
        (1, ["run", *all_places, "--as-of", AS_OF, "--log-format", "json"]),
        (1, ["run", *all_places, "--as-of", AS_OF]),
        (0, ["verify", *all_places]),
        (0, ["plan", *all_places[:4], "--work", "wörk"]),
        (1, ["check", "größe"]),
        (0, ["status", *where]),
        (0, ["rejects", "--reports", "böse"]),
        (0, ["gc", "--work", "wörk"]),
        (0, ["doctor", *all_places]),
        (0, ["query", "--sql", "sql", "--list"]),
        (0, ["query", "--sql", "sql", "name-of", *where]),
        (0, ["query", "--sql", "sql", "name-of", *where, "--format", "tsv"]),
        (2, ["query", "wähle"]),
        (3, ["plan", "--uploads", "lücke"]),
    ]
    done = {" ".join(words): (code, call(folder, locale, *words)) for code, words in asked}
    odd = {name: answer.stderr for name, (code, answer) in done.items() if answer.returncode != code}
    assert not odd
    assert not [name for name, (_, answer) in done.items() if b"Traceback" in answer.stderr]
    assert done[" ".join(asked[-3][1])][1].stdout == "name\ncafé……日本\n".encode()
    mine = tables(folder / "böse")
    for place in ("böse", "wörk"):
        shutil.rmtree(folder / place)
    assert call(folder, {"PYTHONUTF8": "1"}, *asked[0][1]).returncode == 1
    assert tables(folder / "böse") == mine
    for place in ("böse", "wörk"):
        shutil.rmtree(folder / place)


def test_the_embedded_server_is_reached_at_such_a_path(folder: Path) -> None:
    places = ["--uploads", "größe", "--reports", "böse", "--work", "wörk"]
    done = call(folder, LOCALES["C"], "run", *places, "--as-of", AS_OF, "instances")
    assert done.returncode == 1, done.stderr
    assert call(folder, LOCALES["C"], "status", "--work", "wörk").returncode == 0


def test_a_path_may_hold_any_bytes(folder: Path, database: str) -> None:
    name = os.fsdecode(os.fsencode(folder) + b"/gr\xf6\xdfe")
    shutil.copytree(folder / "größe", name)
    places = ["--uploads", name, "--reports", name + "-r", "--work", name + "-w", "--database", database]
    for form in ("json", "text"):
        done = call(folder, {"LC_ALL": "C.UTF-8"}, "run", *places, "--as-of", AS_OF, "--log-format", form)
        assert (done.returncode, b"Trace" in done.stderr) == (1, False), done.stderr
    assert call(folder, {"LC_ALL": "C.UTF-8"}, "check", name).returncode == 1
    assert call(folder, {"LC_ALL": "C.UTF-8"}, "doctor", *places, "--format", "json").returncode == 0


def _opened_as_text(call: ast.Call) -> bool:
    """Whether a call opens a file as text without saying in which encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in ("open", "fdopen", "read_text", "write_text", "TemporaryFile", "NamedTemporaryFile"):
        return False
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name == "open" and isinstance(owner, ast.Name) and owner.id in ("os", "tarfile", "opener", "connection"):
        return False
    modes = [
        value.value for value in [*call.args, *(it.value for it in call.keywords)] if isinstance(value, ast.Constant)
    ]
    binary = name.endswith("TemporaryFile") or any(isinstance(mode, str) and "b" in mode for mode in modes)
    return not binary and not any(it.arg == "encoding" for it in call.keywords)


def test_no_file_is_read_or_written_in_the_encoding_of_the_locale() -> None:
    found: list[str] = []
    for file in sorted(Path(grt_batch.__file__).parent.rglob("*.py")):
        calls = (it for it in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(it, ast.Call))
        found += [f"{file}:{call.lineno}" for call in calls if _opened_as_text(call)]
    assert not found
