"""The command that says which documents there are, and loads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bulk_server import bulk_server
from calling import Call, places

from grt_batch.core.config import Config
from grt_batch.core.errors import NoDocuments, NothingPublished
from grt_batch.documents.making import make_documents
from grt_batch.sample import UNTIL


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, _published: Config) -> Path:
    """A folder of reports whose newest set has documents."""
    reports = tmp_path_factory.mktemp("reports")
    (reports / "latest" / "documents").mkdir(parents=True)
    before = (_published.reports / "latest").resolve()
    (reports / "latest" / "run.json").write_bytes((before / "run.json").read_bytes())
    make_documents(before, reports / "latest" / "documents", None, Config(), UNTIL)
    return reports


def ids(reports: Path) -> set[str]:
    """The ids of the documents."""
    lines = (reports / "latest" / "documents" / "documents-0001.ndjson").read_text().splitlines()[::2]
    return {json.loads(line)["index"]["_id"] for line in lines}


def test_it_says_what_there_is(call: Call, reports: Path) -> None:
    folder = reports / "latest" / "documents"
    size = (folder / "documents-0001.ndjson").stat().st_size
    said = f"{len(ids(reports))} documents of {UNTIL} in 1 file ({size} bytes) of {folder}\n"
    assert call("documents", "--reports", reports).out == said


def test_it_loads_them(call: Call, reports: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("user:word\n")
    with bulk_server() as node:
        answer = call("documents", "--reports", reports, "--load", node.url, "--key-file", tmp_path / "key")
        (index,) = node.aliases["grt-tools"]
        said = f"{len(ids(reports))} documents of {UNTIL} loaded into {index}, which grt-tools stands for\n"
        assert (answer.code, answer.out, answer.err) == (0, said, "")
        assert set(node.seen("grt-tools")) == ids(reports)
        assert not node.broken_rules
        assert None not in node.authorized


def test_what_is_refused_ends_with_1_and_is_said(call: Call, reports: Path) -> None:
    with bulk_server() as node:
        # Documents with parameters do not fit.
        node.without = "params"
        answer = call("documents", "--reports", reports, "--load", node.url, "--index", "mine")
        assert answer.code == 1
        taken = len(node.seen("mine"))
        assert 0 < taken < len(ids(reports))
        assert answer.out.startswith(f"{taken} documents of ")
        assert answer.complaint.startswith(f"{len(ids(reports)) - taken} documents were refused, the first, *|")
        assert "mapper_parsing_exception: " in answer.complaint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--load", "host:9200"], "its address is not like https://host:9200"),
        (["--index", "Upper"], "--index 'Upper' is not like grt-tools"),
        (["--key-file", __file__], "--key-file is for --load"),
    ],
)
def test_wrong_words_end_with_2(call: Call, reports: Path, words: list[str], said: str) -> None:
    answer = call("documents", "--reports", reports, *words)
    assert answer.code == 2
    assert said in answer.complaint


def test_what_is_not_there_ends_with_4(call: Call, ran: Config, tmp_path: Path) -> None:
    answer = call("documents", *places(tmp_path / "none")[:2])
    assert (answer.code, answer.complaint) == (4, str(NothingPublished(reports=tmp_path / "none" / "reports")))
    answer = call("documents", "--reports", ran.reports)
    what = "the run that published this set was not asked for them"
    assert answer.code == 4
    assert answer.complaint == str(NoDocuments(folder=ran.reports / "latest" / "documents", what=what))


def test_no_server_ends_with_4_and_shows_no_password(call: Call, reports: Path) -> None:
    # Nothing can listen on port 0.
    answer = call("documents", "--reports", reports, "--load", "http://user:word@127.0.0.1:0")
    assert answer.code == 4
    assert "word" not in answer.err
