r"""The records of each tool in files of its own.

`<instance_id>/<tool>/<jobs|metrics|params|datasets>.tsv.gz` have the columns and the form of the exporter's members,
`None` for null, and hold their accepted records: salvaged lines are repaired, the last of repeated records counts,
parameters are unwrapped, numbers at or above 2^62 are null; metrics are numbers and texts. Unlike in a member, tab,
newline, carriage return and backslash in a text are `\t`, `\n`, `\r`, `\\`. A file is a sequence of gzip members, which
readers take for one: the header line, then the records of each archive, in order.

`index.tsv` lists the tools. It is written last, and with `splitter_copy_to` copied last.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from grt_batch.core.errors import NoFilesystem, NotCopied
from grt_batch.core.logs import logger
from grt_batch.core.wording import on_one_line
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, FolderExport, Part
from grt_batch.schema.members import NONE_TEXT
from grt_batch.schema.records import Dataset, Job, Metric, Param, Record, Records
from grt_batch.schema.tables import Column, Table, Type, as_report, render

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

START_SECONDS, BYTES_PER_SECOND = 1, 40_000_000
"""The time to work through a tool: the start of Python, and the speed of a loop that unpacks with gzip and splits each
line at its tabs (42 to 47 MB/s of text, measured over 26 MB of metrics)."""


WAITING_BYTES = 64 << 20
"""The most bytes that wait in memory before files are opened."""


WAITS = (1.0, 4.0, 16.0)
"""The seconds before each further try to copy."""


COPIED_AT_ONCE = 64
"""The files that are copied, and after a failure tried again, together."""


_GZIP = 16 + zlib.MAX_WBITS
"""What makes zlib write gzip."""


INDEX_FILE = "index.tsv"


INDEX = Table(
    "index",
    "The tools of each instance, all versions of a tool's id together.",
    ("instance_id", "tool_id"),
    (
        Column("instance_id", Type.TEXT, "the instance"),
        Column("tool_id", Type.TEXT, "full id of the tool; empty where the job has none"),
        Column("folder", Type.TEXT, "where its files are"),
        Column("jobs", Type.BIGINT, "jobs"),
        Column("lines", Type.BIGINT, "records of all its files, without the header lines"),
        Column("bytes", Type.BIGINT, "bytes of these lines before compression", "B"),
        Column("seconds", Type.BIGINT, "estimate of the time to work through it with a loop in Python", "s"),
    ),
)


@dataclass(frozen=True, eq=False)
class ToolFile:
    """One of the files of a tool, and how its columns are computed from joined records."""

    name: str
    record: type[Record]
    columns: Mapping[str, pl.Expr]

    @property
    def header(self) -> bytes:
        """The first line."""
        return "\t".join(self.columns).encode() + b"\n"

    def texts(self, records: Records) -> Iterator[tuple[str, pl.DataFrame, memoryview]]:
        """Yield each tool with its rows and its lines, in the order of the jobs."""
        tool = "*tool"
        columns = (expr.alias(name) for name, expr in self.columns.items())
        rows = records.frame(self.record).select(Record.tool_id.expr.alias(tool), *columns)
        rows = rows.sort(tool, maintain_order=True)
        kinds = ((name, Type.BIGINT if rows.schema[name] == pl.Int64 else Type.TEXT) for name in self.columns)
        table = Table(self.name, "", (), tuple(Column(name, kind, "") for name, kind in kinds))
        # All lines at once: a call for each tool would take longer than its lines, for most tools.
        text = memoryview(b"".join(render(table, rows, null=NONE_TEXT.decode())))
        ends = np.append(0, np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1)
        first = 0
        for count, tool_id in rows[tool].rle().struct.unnest().iter_rows():
            yield tool_id, rows[first : first + count], text[ends[first] : ends[first + count]]
            first += count


_CREATED = Job.create_time.expr.dt.to_string("%Y-%m-%d %H:%M:%S%.6f").str.strip_suffix(".000000")


def _text(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String)


FILES = {
    file.name: file
    for file in (
        ToolFile(
            "jobs",
            Job,
            {
                "id": Job.job_id.expr,
                "tool_id": _text(Job.tool_id.name),
                "tool_version": _text(Job.tool_version.name),
                "state": _text(Job.state.name),
                "create_time": _CREATED,
            },
        ),
        ToolFile(
            "metrics",
            Metric,
            {
                "job_id": Metric.job_id.expr,
                "plugin": _text(Metric.plugin.name),
                "name": _text(Metric.name.name),
                "value": pl.coalesce(_text(Metric.value.name), _text(Metric.text.name)),
            },
        ),
        ToolFile(
            "params",
            Param,
            {
                "job_id": Param.job_id.expr,
                "name": _text(Param.name.name),
                "value": _text(Param.value.name),
            },
        ),
        ToolFile(
            "datasets",
            Dataset,
            {
                "job_id": Dataset.job_id.expr,
                "dataset_id": Dataset.dataset_id.expr,
                "extension": _text(Dataset.extension.name),
                "file_size": Dataset.file_size.expr,
                "param_name": _text(Dataset.param_name.name),
                "type": _text(Dataset.type.name),
            },
        ),
    )
}


class Splitter(FolderExport):
    """How do I get the raw records of one tool, to work through them by myself?"""

    name = "splitter"
    needs = (Job, Param, Dataset, Metric)

    def parts(self, records: Records) -> Iterator[Part]:
        """Yield a gzip member for each file of each tool."""
        for file in FILES.values():
            for tool_id, rows, text in file.texts(records):
                jobs = rows[next(iter(file.columns))].n_unique()
                data = packed(text)
                yield Part(f"{file.name}/{tool_id}", jobs, rows.height, text.nbytes, data)

    def write(self, folder: Path, archives: Sequence[ArchiveParts], ledger: Ledger, before: Path | None) -> None:
        """Write the files of every tool of every instance, and the index."""
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        files = GrowingFiles()
        for archive in archives:
            for part in archive.load():
                name, tool_id = part.name.split("/", 1)
                path = folder / archive.instance_id / slug(tool_id) / f"{name}.tsv.gz"
                files.append(path, FILES[name].header, part.data)
                jobs = part.jobs if name == Job.kind else 0
                counts[archive.instance_id, tool_id].update(jobs=jobs, lines=part.rows, bytes=part.bytes)
        files.flush()
        with (folder / INDEX_FILE).open("wb") as index:
            index.writelines(as_report(INDEX, render(INDEX, _index(counts))))

    def pass_on(self, folder: Path, ledger: Ledger) -> None:
        """Copy the folder where that is configured."""
        if ledger.config.splitter_copy_to:
            copy(folder, ledger.config.splitter_copy_to, ledger.as_of.isoformat())


def packed(text: ReadableBuffer) -> bytes:
    """Return a gzip member, the same bytes each time: isal, which is faster, may compress the same in two ways."""
    return zlib.compress(text, 1, _GZIP)


@lru_cache(1 << 16)
def slug(tool_id: str) -> str:
    """Return the name of a tool's folder: the readable part of its id, and a hash that makes it unique."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", tool_id.rpartition("/repos/")[2]).strip(".-")[:80]
    return f"{readable or 'tool'}-{hashlib.sha256(tool_id.encode()).hexdigest()[:12]}"


class GrowingFiles:
    """Files of gzip members. Members wait in memory for more, since opening a file takes longer than writing to it."""

    def __init__(self) -> None:
        self._begun: set[Path] = set()
        self._waiting: dict[Path, list[bytes]] = defaultdict(list)
        self._bytes = 0

    def append(self, path: Path, header: bytes, member: bytes) -> None:
        """Append a member, to a new file after one of its header."""
        if path not in self._begun:
            self._begun.add(path)
            self._waiting[path].append(packed(header))
        self._waiting[path].append(member)
        self._bytes += len(member)
        if self._bytes > WAITING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the members that wait."""
        for path, members in self._waiting.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.writelines(members)
        self._waiting.clear()
        self._bytes = 0


def _index(counts: Mapping[tuple[str, str], Mapping[str, int]]) -> pl.DataFrame:
    rows = [
        {
            "instance_id": instance_id,
            "tool_id": tool_id,
            "folder": f"{instance_id}/{slug(tool_id)}",
            **count,
            "seconds": START_SECONDS + math.ceil(count["bytes"] / BYTES_PER_SECOND),
        }
        for (instance_id, tool_id), count in counts.items()
    ]
    return INDEX.frame(pl.DataFrame(rows, schema=INDEX.schema))


def copy(folder: Path, url: str, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Copy the files of `folder` to the folder `name` at `url`, the index last, so that whoever waits for it finds all
    files. What an earlier run has copied there goes, its index first.

    Raises NoFilesystem where fsspec does not know such a URL, and NotCopied.
    """
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise NoFilesystem(what=on_one_line(error)) from None
    remote = Remote(system, f"{root.rstrip('/')}/{name}", sleep)
    index = f"{remote.folder}/{INDEX_FILE}"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {f"{remote.folder}/{path.relative_to(folder)}": path for path in paths}
    old = remote.files()
    if index in old:
        remote.remove(index)
    remote.put({path: file for path, file in files.items() if path != index})
    for path in old:
        if path not in files:
            remote.remove(path)
    remote.put({index: files[index]})


@dataclass(frozen=True)
class Remote:
    """A folder in a file system of fsspec. Operations that fail are tried again, and raise NotCopied in the end."""

    system: Any
    folder: str
    sleep: Callable[[float], None]

    def files(self) -> list[str]:
        """Return the paths of all files in the folder."""
        self.system.invalidate_cache()
        found = self._persistently(lambda: self.system.find(self.folder))
        return [path for path in found if path.startswith(f"{self.folder}/")]

    def put(self, files: Mapping[str, Path]) -> None:
        """Copy files to these paths, some at a time."""

        def put() -> None:
            if not self.system.async_impl:
                # Asynchronous file systems are object stores, which have no folders.
                for parent in sorted({path.rpartition("/")[0] for path in some}):
                    self.system.makedirs(parent, exist_ok=True)
            self.system.put([str(files[path]) for path in some], some)

        for begin in range(0, len(files), COPIED_AT_ONCE):
            some = list(files)[begin : begin + COPIED_AT_ONCE]
            self._persistently(put)

    def remove(self, path: str) -> None:
        """Remove a file."""

        def remove() -> None:
            # An earlier try that seemed to fail may have removed it.
            with suppress(FileNotFoundError):
                self.system.rm_file(path)

        self._persistently(remove)

    def _persistently(self, deed: Callable[[], Any]) -> Any:
        """Call `deed`, and again where it fails with any exception: each file system has its own."""
        for wait in WAITS:
            try:
                return deed()
            except Exception as error:
                logger.warning("copying the records failed, once more in %g s: %s", wait, on_one_line(error))
                self.sleep(wait)
        try:
            return deed()
        except Exception as error:
            raise NotCopied(target=self.system.unstrip_protocol(self.folder), what=on_one_line(error)) from None
