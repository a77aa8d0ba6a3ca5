"""Uploads of the cases that samples lack: the edges of windows, bins and rates, nulls, and lines out of order."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from odd_texts import SHED, add_lines, add_params
from writing import Archive

from grt_batch.schema.members import Kind

AS_OF = date(2024, 6, 30)
NO_LIMIT = 2**62


def write_odd(root: Path) -> None:
    """Two instances: one with three archives, the other without metadata.json and in the old layout."""
    home = root / "odd"
    home.mkdir(parents=True)
    (home / "metadata.json").write_text(json.dumps({"title": "a\ttab, a \\ and a\nnewline", "latitude": 1, "x": [1]}))
    for name, write in {"9": _measurements, "10": _edges, "11": _texts}.items():
        archive = Archive(int(name) * 100_000)
        write(archive)
        # The first two are of the same moment: the number in the name decides, not its text.
        archive.write(home / "archives", name, 1718000000 + (int(name) == 11))
    _headers(root / "0")


def write_bare(root: Path) -> None:
    """An archive that holds next to nothing of three jobs, and one that holds nothing."""
    archive = Archive()
    for state in ("ok", "error", "ok"):
        archive.add(Kind.JOBS, len(archive.members[Kind.JOBS]) + 1, "bare", state)
    archive.write(root / "1", "1", 1718000000, jobs=b"")
    Archive().write(root / "2", "1", 1718000000)


def _epoch(moment: str) -> str:
    return f"{int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())}.0000000"


def _measurements(archive: Archive) -> None:
    """Every null rule, and numbers at the limits of what counts."""
    start, end = "core start_epoch", "core end_epoch"
    runtime, slots, megabytes = "core runtime_seconds", "core galaxy_slots", "core galaxy_memory_mb"
    peak, usage = "cgroup memory.peak", "cgroup memory.max_usage_in_bytes"
    usec, ns = "cgroup cpu.stat.usage_usec", "cgroup cpuacct.usage"
    created, later = "2024-06-01 10:00:00", "2024-06-01 10:00:01.5"
    metrics: list[dict[str, object]] = [
        {runtime: "0E-7", slots: "1.0000000"},
        {runtime: "0.0000001", slots: "0.5000000"},
        {runtime: "3.3333333", slots: "1.5000000"},
        {runtime: "4E+3", slots: "3"},
        {start: _epoch("2024-06-01 10:00:05"), end: _epoch("2024-06-01 10:01:05"), slots: "2.0000000"},
        {runtime: "None", start: _epoch("2024-06-01 10:00:05"), end: _epoch("2024-06-01 10:01:05")},
        {start: _epoch("2024-06-01 10:01:05"), end: _epoch("2024-06-01 10:00:05")},
        {runtime: "-1.0000000", start: _epoch("2024-06-01 10:00:05"), end: _epoch("2024-06-01 10:01:05")},
        {runtime: f"{NO_LIMIT}.0000000", slots: f"{NO_LIMIT}.0000000"},
        {start: _epoch(created)},
        {start: _epoch("2024-06-01 09:59:59")},
        {end: "-5.0000000"},
        {peak: "0E-7", usage: "1000.0000000"},
        {peak: "None", usage: "1001.0000000"},
        {peak: "-1.0000000", usage: "1002.0000000"},
        {peak: "2000.0000000", usage: "1003.0000000", megabytes: "0E-7"},
        {peak: "3000.0000000", megabytes: "0.5000000"},
        {usage: f"{NO_LIMIT}.0000000", megabytes: "1024.0000000"},
        {usage: f"{NO_LIMIT - 1}.0000000"},
        {usec: "1234567.0000000", ns: "1.0000000", runtime: "2.0000000", slots: "1.0000000"},
        {ns: "1234567891.0000000", runtime: "0E-7", slots: "4.0000000"},
        {usec: "0E-7", ns: "77.0000000"},
        {usec: "-3.0000000", ns: "78.0000000"},
        {slots: "-1.0000000"},
        {megabytes: "-7.0000000"},
        {"cpuinfo processor_count": "64.0000000"},
        {"core runtime_seconds_": "-1.0000000", "core_ runtime_seconds": "5.0000000"},
    ]
    metrics += _impossible()
    for state in ("ok", "error", "wibble"):
        for item in metrics:
            archive.job("measured", state, created, item, version="2.0")
        for number, item in enumerate(_kills(usage)):
            archive.job(f"killed {number}", state, created, item, version=state)
        archive.job("measured", state, later, {start: _epoch(created)}, version="2.0")
        archive.job("measured", state, "None", {start: _epoch(created)}, version="None")
    for created in ("1970-01-01 00:00:00", "2004-12-31 23:59:59.999999", "2005-01-01 00:00:00", "2099-12-31 23:59:59"):
        archive.job("dated", "ok", created, {start: _epoch("2024-06-01 10:00:05"), runtime: "2.0000000"})
    archive.job("dated", "ok", "2100-01-01 00:00:00", {runtime: "2.0000000"})
    # The last value counts, also where it is null; and the metrics may stand before a job that comes twice.
    twice = archive.job("twice", "running", created, {runtime: "1.0000000", slots: "2.0000000"})
    archive.add(Kind.JOBS, twice, "twice", "2.0", "ok", created)
    archive.add(Kind.METRIC_NUM, twice, "core", "runtime_seconds", "None")
    archive.add(Kind.METRIC_NUM, twice, "core", "galaxy_slots", "4.0000000")
    for kind, rest in ((Kind.METRIC_NUM, ("core", "runtime_seconds", "9")), (Kind.PARAMS, ("orphan", "1"))):
        archive.add(kind, 1, *rest)
    archive.add(Kind.DATASETS, 1, 5, "bam", 1000, "orphan", "input")
    archive.members = defaultdict(list, sorted(archive.members.items(), key=lambda item: item[0].value, reverse=True))


def _impossible() -> list[dict[str, object]]:
    """Numbers at the bounds of what is plausible and beyond."""
    start, end, runtime, slots = "core start_epoch", "core end_epoch", "core runtime_seconds", "core galaxy_slots"
    usec, ns = "cgroup cpu.stat.usage_usec", "cgroup cpuacct.usage"
    peak, usage, megabytes = "cgroup memory.peak", "cgroup memory.max_usage_in_bytes", "core galaxy_memory_mb"
    longest, now = 315_576_000, 1_717_236_005
    most = 10_000 * 70 * 10**9
    return [
        *({runtime: seconds, slots: 2} for seconds in (longest, f"{longest}.0000001", "1E+12", f"-{NO_LIMIT - 1}")),
        *({start: begin, end: f"{now}.0000000"} for begin in ("0E-7", now - longest, f"{now - longest - 1}.5")),
        *({start: second} for second in (1104537599, 1104537600, now + longest, 4102444799, 4102444800)),
        *({runtime: 10, slots: cores} for cores in ("0E-7", "0.0000001", 100_000, "100000.0000001", 10**6, "1E+12")),
        {runtime: longest, slots: 100_000},
        *({peak: size, usage: 1004} for size in (2**50, 2**50 + 1)),
        *({usage: size} for size in (2**50, 2**50 + 1)),
        *({megabytes: size} for size in (2**30, f"{2**30}.0000001")),
        *({runtime: 10, slots: 1, ns: used} for used in (most, most + 1, NO_LIMIT - 1)),
        *({runtime: 10, slots: 1, usec: used} for used in (most // 1000, most // 1000 + 1, NO_LIMIT - 1)),
        *({usec: used, ns: 79} for used in (NO_LIMIT // 1000, NO_LIMIT // 1000 + 1)),
    ]


def _kills(usage: str) -> list[dict[str, object]]:
    """Limits, peaks at them, and kills, by either control groups or by both."""
    kills, limit, hits = "cgroup memory.events.oom_kill", "cgroup memory.limit_in_bytes", "cgroup memory.failcnt"
    limits = (1000, 1049, 2**62 - 1, 2**62, 2**63 - 4096, 2**63, 10**30, 0, -1, "None")
    peaks = (979, 980, 1028, 1029, 1050, 2**62 - 2, 0, -1, "None")
    first = [{usage: peak, limit: most, hits: 3} for most in limits for peak in peaks]
    first += [{limit: 1000, hits: count} for count in (0, 1, -1, "None")] + [{hits: 0}, {usage: 990, hits: 0}]
    second = [{kills: count} for count in ("0E-7", 1, 7, -1, 2**62, "None")]
    return [*first, *second, *(one | {usage: 990, limit: 1000, hits: 0} for one in second)]


def _edges(archive: Archive) -> None:
    """The edges of windows, rates and bins."""
    for ago in range(-1, 63):
        day = AS_OF - timedelta(days=ago)
        for time, state in (("00:00:00", "ok"), ("23:59:59.999999", "error" if ago % 7 < 1 + (ago < 30) * 3 else "ok")):
            seconds = (10 + ago % 5) * (2 if ago < 30 else 1)
            archive.job("window", state, f"{day} {time}", {"core runtime_seconds": f"{seconds}.0000000"})
    for tool, ok, error in (("19of20", 1, 19), ("20of21", 1, 20), ("4of4", 0, 4), ("5of5", 0, 5), ("39of40", 1, 39)):
        for state, count in (("ok", ok), ("error", error), ("paused", 3)):
            for _ in range(count):
                archive.job(tool, state)
    sizes = (
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        1023,
        1024,
        2**31 - 1,
        2**31,
        2**50,
        2**50 + 1,
        2**61,
        2**62 - 1,
        2**62,
        -1,
        -2,
        "None",
    )
    for place, size in enumerate(sizes):
        numbers = {"core runtime_seconds": f"{place}.0000000", "cgroup memory.peak": f"{10**place}.0000000"}
        archive.job("sizes", "ok", metrics=numbers, inputs=[size], outputs=[size])
        archive.job("sizes", "error", metrics=numbers, inputs=[size, "None"], outputs=[1, 2])
    archive.job("files", inputs=[5, 5])
    _repeated(archive)
    for number in range(1000):
        archive.job("many", params={"n": f"{number}"})
    job = archive.job("files", "error", "None", version="None")
    for extension in ("None", "txt", "a b", "txt"):
        archive.add(Kind.DATASETS, job, "None", extension, -1, "None", "output")
    for version in ("*", "**", "None", "1.0"):
        archive.job("starred", version=version, metrics={"core runtime_seconds": "5.0000000"}, inputs=[1])
    names = [SHED, SHED.removesuffix("/1.0"), f"a/{SHED}/2", "a/repos/b", "repos/a/b/c/d", "None"]
    for tool in (*names, "a tool: with +, 'quotes' and a \\", "Müller\r"):
        archive.job(tool, metrics={"core runtime_seconds": "7.0000000"})


def _repeated(archive: Archive) -> None:
    """Datasets that stand there under several names: next to one another and far apart, of one size and of several."""
    for number, sizes in enumerate([(5, 5), (5, 7, 6), (7, "None", 5), (-1, 5), (-2, 5), ("None", "None"), (0, 0)]):
        job = archive.job(f"repeated {number}", inputs=[1000], outputs=[100])
        for place, size in enumerate(sizes):
            for dataset, direction in ((1, "input"), (1, "output"), ("None", "input"), (2**63 + place % 2, "output")):
                archive.add(Kind.DATASETS, job, dataset, "bam", size, f"input{place}", direction)
    for sizes in ((2**62 - 1, 1), (2**61, 2**61), (2**62 - 1, 2**62 - 1), (2**61, 2**61 - 1)):
        archive.job(f"sum of {sum(sizes)}", inputs=sizes, outputs=[1])


def _texts(archive: Archive) -> None:
    add_lines(archive)
    add_params(archive)


def _headers(folder: Path) -> None:
    """Columns in another order, some behind a byte order mark, and headers that are missing."""
    archive = Archive()
    for state in ("ok", "error"):
        archive.add(Kind.JOBS, state, archive.next_id, "headed", "more", "2024-06-30 23:59:59", "1.0")
        archive.add(Kind.METRIC_NUM, "8.0000000", "core", archive.next_id, "runtime_seconds")
        archive.add(Kind.DATASETS, "input", archive.next_id, 64)
        archive.add(Kind.PARAMS, "1", "p", archive.next_id)
        archive.next_id += 1
    archive.write(
        folder,
        "1718000000.5",
        "1718000000.5",
        jobs=b"\xef\xbb\xbfstate\tid\ttool_id\textra\tcreate_time\ttool_version\n",
        metric_num=b"value\tplugin\tjob_id\tname\n",
        datasets=b"\xef\xbb\xbftype\tjob_id\tfile_size\n",
        params=b"value\tname\tjob_id\n",
    )
    bare = Archive(3)
    bare.job(metrics={"core runtime_seconds": "1.0000000"}, inputs=[5], params={"p": "1"})
    bare.write(folder, "1718000001.25", "1718000001.25", **{kind.value: b"" for kind in Kind})
    few = Archive()
    for state in ("ok", "new"):
        few.add(Kind.JOBS, few.next_id + 1, "three columns", state)
        few.next_id += 1
    # A date in a far future, beside a name that is a time.
    few.write(folder, "1718000002", 3500000000, jobs=b"")
    # And one that the name bears out: it counts, but tells nothing of the growth and the silence.
    late = Archive(5)
    late.job()
    late.write(folder, "1900000000", 1900000000)
