"""The records of each tool: every one of them once, in files that any gzip reads, here and copied elsewhere."""

from __future__ import annotations

import csv
import gzip
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from build import HEADERS, line, write_archive
from exporting import Archives, contents, cut, made, records_of

from grt_batch.core.config import Config
from grt_batch.core.errors import NoFilesystem, NotCopied
from grt_batch.decode.decoder import decode
from grt_batch.modules.exports import splitter
from grt_batch.modules.exports.splitter import FILES, INDEX_FILE, Splitter, copy, slug
from grt_batch.pipeline.request import RunSummary
from grt_batch.schema.escapes import escape
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import Job, Records
from grt_batch.uploads.archive import Block

Run = Callable[..., RunSummary]
JOB = {"tool_id": "cat1", "tool_version": "1.0", "state": "ok"}


@pytest.fixture(scope="module")
def archives(good: Path) -> list[tuple[str, Records]]:
    return records_of(good)


def split(archives: list[tuple[str, Records]], places: tuple[int, ...] = ()) -> Archives:
    """The parts of these archives, each of them cut at the same places."""
    found = Archives(Splitter())
    for number, (instance_id, records) in enumerate(archives):
        found.add(instance_id, f"key{number}", *cut(records, places))
    return found


@pytest.fixture(scope="module")
def written(archives: list[tuple[str, Records]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split(archives).write(tmp_path_factory.mktemp("splitter") / "splitter")


def texts(folder: Path) -> dict[str, bytes]:
    """The unpacked files below a folder."""
    files = {name: content for name, content in contents(folder).items() if name != INDEX_FILE}
    return {name.removesuffix(".gz"): gzip.decompress(content) for name, content in files.items()}


def index(folder: Path) -> list[dict[str, str]]:
    with (folder / INDEX_FILE).open(encoding="utf-8", newline="\n") as text:
        return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_any_cut_of_the_jobs_gives_the_same_text(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitter, "WAITING_BYTES", 10_000)
    other = split(archives, (1, 10, 30, 50)).write(tmp_path / "cut")
    assert texts(other) == texts(written)
    assert index(other) == index(written)


def test_the_same_archives_give_the_same_bytes(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path
) -> None:
    found = split(archives)
    assert contents(found.write(tmp_path / "again", written)) == contents(written)
    assert set(found.loads.values()) == {1}


def lines(folder: Path, name: str) -> Iterator[tuple[str, str, list[str]]]:
    """The instance, the tool's folder and the fields of every line of the files of this name."""
    for path, text in texts(folder).items():
        if path.endswith(f"/{name}.tsv"):
            instance_id, tool, _ = path.split("/")
            head, *rest = text.decode().removesuffix("\n").split("\n")
            assert head.split("\t") == list(FILES[name].columns)
            assert rest
            for line in rest:
                yield instance_id, tool, line.split("\t")


def none(value: object) -> str:
    return "None" if value is None else escape(str(value))


def number(value: Decimal | None, text: str | None) -> str:
    return none(text) if value is None else f"{value:.7f}"


def test_every_record_stands_in_the_files_of_its_tool(archives: list[tuple[str, Records]], written: Path) -> None:
    for name, file in FILES.items():
        wanted = []
        for instance_id, records in archives:
            for row in records.frame(file.record).iter_rows(named=True):
                fields = [none(row.get("job_id" if column == "id" else column)) for column in file.columns]
                if name == "metrics":
                    fields[-1] = number(row["value"], row["text"])
                wanted.append((instance_id, slug(row["tool_id"] or ""), fields))
        assert len(wanted) > 200
        assert sorted(lines(written, name)) == sorted(wanted)


def test_the_order_is_that_of_the_archives_and_their_jobs(archives: list[tuple[str, Records]], written: Path) -> None:
    found: dict[str, list[int]] = defaultdict(list)
    for instance_id, _, fields in lines(written, "jobs"):
        if fields[1] == "upload1":
            found[instance_id].append(int(fields[0]))
    wanted: dict[str, list[int]] = defaultdict(list)
    for instance_id, records in archives:
        wanted[instance_id] += records.frame(Job).filter(pl.col("tool_id") == "upload1")["job_id"].to_list()
    assert found == wanted


def test_the_index_counts_what_the_files_hold(written: Path) -> None:
    rows = index(written)
    assert list(rows[0]) == ["instance_id", "tool_id", "folder", "jobs", "lines", "bytes", "seconds"]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for path, text in texts(written).items():
        head, _, rest = text.partition(b"\n")
        folder, _, name = path.rpartition("/")
        counts[folder].update(lines=rest.count(b"\n"), bytes=len(rest))
        counts[folder]["jobs"] += rest.count(b"\n") if name == "jobs.tsv" else 0
        assert head
    assert {row["folder"]: {name: int(row[name]) for name in ("lines", "bytes", "jobs")} for row in rows} == counts
    assert [(row["instance_id"], row["tool_id"]) for row in rows] == sorted(
        (row["instance_id"], row["tool_id"]) for row in rows
    )
    assert all(row["folder"] == f"{row['instance_id']}/{slug(row['tool_id'])}" for row in rows)
    assert {row["seconds"] for row in rows} == {"2"}


KINDS = {"jobs": Kind.JOBS, "metrics": Kind.METRIC_TXT, "params": Kind.PARAMS, "datasets": Kind.DATASETS}


def test_the_files_are_read_like_members(written: Path) -> None:
    read: Counter[str] = Counter()
    for path, text in list(texts(written).items())[::10]:
        name = Path(path).stem
        head, _, rest = text.partition(b"\n")
        layout, has_header = layout_of(KINDS[name], [head])
        assert has_header
        found = decode(Block(layout, 0, rest))
        assert not found.rejects
        assert found.accepted == found.lines == rest.count(b"\n")
        read[name] += found.lines
    assert read.keys() == KINDS.keys()


def test_odd_values_are_escaped_and_nulls_are_none(tmp_path: Path) -> None:
    odd = "a\tb\nc\\d\r'\"ü€😀"
    records = made(
        [
            {**JOB, "job_id": 7, "create_time": datetime(2024, 5, 31, 23, 59, 59)},
            {**JOB, "job_id": 8, "create_time": datetime(2024, 5, 31, 23, 59, 59, 1), "tool_version": "2"},
            {"job_id": 9},
            {"job_id": 10, "tool_id": ""},
        ],
        params=[{**JOB, "job_id": 7, "name": odd, "value": ""}, {**JOB, "job_id": 8, "name": "x"}],
        metrics=[
            {**JOB, "job_id": 7, "plugin": "p", "name": "n", "value": Decimal("-0.0000001")},
            {**JOB, "job_id": 7, "plugin": "p", "name": "n", "text": odd},
            {**JOB, "job_id": 8, "plugin": "p", "name": "n"},
        ],
        datasets=[{**JOB, "job_id": 8, "dataset_id": 5, "param_name": odd, "type": "input", "extension": "bam"}],
    )
    found = Archives(Splitter())
    found.add("3", "key", records)
    folder = found.write(tmp_path / "splitter")
    escaped = "a\\tb\\nc\\\\d\\r'\"ü€😀"
    cat, unknown = f"3/{slug('cat1')}", f"3/{slug('')}"
    assert {name: text.decode().split("\n") for name, text in texts(folder).items()} == {
        f"{cat}/jobs.tsv": [
            "id\ttool_id\ttool_version\tstate\tcreate_time",
            "7\tcat1\t1.0\tok\t2024-05-31 23:59:59",
            "8\tcat1\t2\tok\t2024-05-31 23:59:59.000001",
            "",
        ],
        f"{cat}/metrics.tsv": [
            "job_id\tplugin\tname\tvalue",
            "7\tp\tn\t-0.0000001",
            f"7\tp\tn\t{escaped}",
            "8\tp\tn\tNone",
            "",
        ],
        f"{cat}/params.tsv": ["job_id\tname\tvalue", f"7\t{escaped}\t", "8\tx\tNone", ""],
        f"{cat}/datasets.tsv": [
            "job_id\tdataset_id\textension\tfile_size\tparam_name\ttype",
            f"8\t5\tbam\tNone\t{escaped}\tinput",
            "",
        ],
        f"{unknown}/jobs.tsv": [
            "id\ttool_id\ttool_version\tstate\tcreate_time",
            "9\tNone\tNone\tNone\tNone",
            "10\t\tNone\tNone\tNone",
            "",
        ],
    }
    assert [(row["tool_id"], row["jobs"], row["lines"]) for row in index(folder)] == [
        ("", "2", "2"),
        ("cat1", "2", "8"),
    ]


def test_without_jobs_there_is_an_empty_index(tmp_path: Path) -> None:
    found = Archives(Splitter())
    found.add("3", "key", made([]))
    assert contents(found.write(tmp_path / "splitter")).keys() == {INDEX_FILE}


def test_other_programs_read_the_members_as_one_file(written: Path) -> None:
    row = max(index(written), key=lambda row: int(row["jobs"]))
    file = written / row["folder"] / "jobs.tsv.gz"
    first = zlib.decompressobj(wbits=31)
    assert first.decompress(file.read_bytes()) == FILES["jobs"].header
    assert first.unused_data
    assert pl.read_csv(file, separator="\t", quote_char=None, infer_schema=False).height == int(row["jobs"])
    read = f"read_csv('{file}', delim = '\t', header = true, quote = '', all_varchar = true)"
    assert duckdb.sql(f"SELECT count(*) FROM {read}").fetchall() == [(int(row["jobs"]),)]


def test_a_folder_is_named_after_its_tool() -> None:
    shed = "toolshed.g2.bx.psu.edu/repos/iuc/samtools_view/samtools_view/1.15.1+galaxy0"
    assert slug(shed).startswith("iuc-samtools_view-samtools_view-1.15.1-galaxy0-")
    assert slug("Show beginning1").startswith("Show-beginning1-")
    odd = ["", "..", ".", "a/b", "a b", "a:b", "A/b", "\u00fc" * 255, "x" * 255, "x" * 254, "/", "-", "a\nb"]
    names = [slug(tool_id) for tool_id in odd]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert len(name) <= 100
        assert name.isascii()
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert name[0].isalnum()


# ---- copies ----------------------------------------------------------------------------------------------------------


class Shaky:
    """What happens to a shaky file system: the tries of these numbers, from 1, go wrong; `deeds` went well."""

    def __init__(self) -> None:
        self.wrong: Collection[int] = ()
        self.tries = 0
        self.deeds: list[tuple[str, str]] = []

    def meets(self, deed: str, path: str) -> None:
        self.tries += 1
        if self.tries in self.wrong:
            raise ConnectionError(f"the cable\nwas bitten by a {deed}")
        self.deeds.append((deed, path))


@pytest.fixture
def shaky() -> Shaky:
    """A file system in memory, shaky://, and what happens to it."""
    fsspec = pytest.importorskip("fsspec", reason="no fsspec: pip install 'grt-batch[s3]'")
    from fsspec.implementations.memory import MemoryFileSystem

    log = Shaky()

    class ShakyFileSystem(MemoryFileSystem):  # type: ignore[misc]
        protocol = "shaky"
        store: dict[str, Any] = {}  # noqa: RUF012 - as in the class above
        pseudo_dirs = [""]  # noqa: RUF012
        cachable = False

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(path.replace("shaky://", "memory://")))

        def find(self, path: str, **options: Any) -> Any:
            log.meets("find", path)
            return super().find(path, **options)

        def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
            log.meets("put", rpath)
            super().put_file(lpath, rpath, **options)

        def rm_file(self, path: str) -> None:
            log.meets("remove", path)
            super().rm_file(path)

    fsspec.register_implementation("shaky", ShakyFileSystem, clobber=True)
    return log


def copied(url: str) -> dict[str, bytes]:
    """The files at a URL."""
    from fsspec.core import url_to_fs

    system, root = url_to_fs(url)
    system.invalidate_cache()
    return {path.removeprefix(f"{root}/"): system.cat_file(path) for path in system.find(root)}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of a few tools."""
    found = Archives(Splitter())
    tools = [f"tool{number}" for number in range(5)]
    found.add("3", "key", made([{**JOB, "job_id": number, "tool_id": tool} for number, tool in enumerate(tools)]))
    return found.write(tmp_path / "small")


def no_sleep(_: float) -> None:
    pass


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_the_index_is_copied_last(small: Path, shaky: Shaky, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(splitter, "COPIED_AT_ONCE", at_once)
    copy(small, "shaky://bucket/raw/", "2024-06-30", sleep=no_sleep)
    assert copied("shaky://bucket/raw/2024-06-30") == contents(small)
    assert [deed for deed, _ in shaky.deeds[:-1]].count("put") == len(contents(small))
    assert shaky.deeds[-2] == ("put", f"/bucket/raw/2024-06-30/{INDEX_FILE}")


def test_a_copy_replaces_the_one_before_its_index_first(small: Path, shaky: Shaky) -> None:
    copy(small, "shaky://bucket", "2024-06-30", sleep=no_sleep)
    copy(small, "shaky://bucket", "2024-06-29", sleep=no_sleep)
    gone, *_ = (path for path in sorted(small.rglob("*.gz")))
    gone.unlink()
    shaky.deeds.clear()
    copy(small, "shaky://bucket", "2024-06-30", sleep=no_sleep)
    place = "/bucket/2024-06-30"
    assert shaky.deeds[:2] == [("find", place), ("remove", f"{place}/{INDEX_FILE}")]
    assert shaky.deeds[-2:] == [
        ("remove", f"{place}/{gone.relative_to(small)}"),
        ("put", f"{place}/{INDEX_FILE}"),
    ]
    assert copied("shaky://bucket/2024-06-30") == contents(small)
    assert len(copied("shaky://bucket/2024-06-29")) == len(contents(small)) + 1


@pytest.mark.parametrize("wrong", [(1,), (1, 2, 3), (4,), (2, 3, 4), (7,), (1, 3, 9)], ids=str)
def test_what_fails_is_tried_again(small: Path, shaky: Shaky, wrong: tuple[int, ...]) -> None:
    """Without a fault there are 7 tries: to find what is there, to put five files and the index."""
    waits: list[float] = []
    shaky.wrong = wrong
    copy(small, "shaky://bucket", "2024-06-30", sleep=waits.append)
    assert len(waits) == len(wrong)
    assert set(waits) <= set(splitter.WAITS)
    assert shaky.deeds[-1] == ("put", f"/bucket/2024-06-30/{INDEX_FILE}")
    shaky.wrong = ()
    assert copied("shaky://bucket/2024-06-30") == contents(small)


def test_the_waits_grow(small: Path, shaky: Shaky) -> None:
    waits: list[float] = []
    shaky.wrong = (3, 4, 5)
    copy(small, "shaky://bucket", "2024-06-30", sleep=waits.append)
    assert waits == sorted(splitter.WAITS)


@pytest.mark.parametrize(("wrong", "deed"), [(range(1, 5), "find"), (range(3, 7), "put")])
def test_who_fails_too_often_says_so_on_one_line(small: Path, shaky: Shaky, wrong: range, deed: str) -> None:
    shaky.wrong = wrong
    with pytest.raises(NotCopied) as caught:
        copy(small, "shaky://bucket/raw", "2024-06-30", sleep=no_sleep)
    assert caught.value.exit_code == 4
    assert caught.value.target.endswith("bucket/raw/2024-06-30")
    assert str(caught.value.what) == f"the cable was bitten by a {deed}"
    assert "\n" not in str(caught.value)
    assert INDEX_FILE not in copied("shaky://bucket/raw/2024-06-30")


def test_without_the_copy_nothing_is_published(
    config: Config, run_here: Run, good: Path, shaky: Shaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitter, "WAITS", ())
    config = replace(config, uploads=good, splitter_copy_to="shaky://bucket")
    shaky.wrong = (2,)
    with pytest.raises(NotCopied):
        run_here(config, modules=("splitter",))
    assert not (config.reports / "latest").exists()
    summary = run_here(config, modules=("splitter",))
    latest = config.reports / "latest" / "splitter"
    assert copied(f"shaky://bucket/{summary.folder.name}") == contents(latest)
    assert sum(int(row["jobs"]) for row in index(latest)) == summary.numbers["jobs"]


def test_a_local_folder_is_a_url_too(small: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="no fsspec: pip install 'grt-batch[s3]'")
    copy(small, f"file://{tmp_path}/elsewhere", "2024-06-30", sleep=no_sleep)
    assert contents(tmp_path / "elsewhere" / "2024-06-30") == contents(small)


@pytest.mark.parametrize("package", ["fsspec.core", "s3fs"])
def test_a_package_that_is_missing_is_named(small: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    if package == "s3fs":
        registry = pytest.importorskip("fsspec.registry", reason="no fsspec: pip install 'grt-batch[s3]'")
        monkeypatch.setattr(registry, "_registry", {})
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    with pytest.raises(NoFilesystem) as caught:
        copy(small, "s3://bucket", "2024-06-30", sleep=no_sleep)
    assert caught.value.exit_code == 2
    assert package.partition(".")[0] in str(caught.value.what)


def test_a_url_that_nobody_knows_is_refused(small: Path) -> None:
    pytest.importorskip("fsspec", reason="no fsspec: pip install 'grt-batch[s3]'")
    with pytest.raises(NoFilesystem) as caught:
        copy(small, "nonsense://bucket", "2024-06-30", sleep=no_sleep)
    assert "nonsense" in str(caught.value.what)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a local S3 server, which the usual environment variables lead to."""
    server = pytest.importorskip("moto.server", reason="no moto: pip install 'moto[server]'")
    s3fs = pytest.importorskip("s3fs", reason="no s3fs: pip install 'grt-batch[s3]'")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def test_a_run_copies_to_s3(
    config: Config, run_here: Run, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = tmp_path / "uploads"
    config = replace(config, uploads=uploads, splitter_copy_to=f"{bucket}/raw")
    for number in (1, 2):
        jobs = [line(10 * number + i, f"tool{i}", "1.0", "ok", "2024-05-01 10:00:00") for i in range(number + 2)]
        members = {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(jobs)}
        write_archive(uploads / "3" / "archives", str(number), members)
        # The same date once more, and by then of one archive more.
        summary = run_here(config, modules=("splitter",))
        latest = config.reports / "latest" / "splitter"
        assert len(contents(latest)) == number + 3
        assert copied(f"{bucket}/raw/{summary.folder.name}") == contents(latest)
    monkeypatch.setattr(splitter, "WAITS", (0.0,))
    with pytest.raises(NotCopied) as caught:
        copy(latest, "s3://nobody-has-this-bucket", "2024-06-30")
    assert "nobody-has-this-bucket" in caught.value.target
