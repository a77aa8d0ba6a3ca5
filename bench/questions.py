"""How many questions a second the service answers: `python -m bench.questions [--jobs N] [--seconds N]`.

A run publishes a sample into the embedded server, and wrk (Debian's package of this name) asks the service over one
connection and over eight. All three share the cores of this machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import click

from grt_batch.sample import UNTIL, write_sample
from grt_batch.service.keys import ADMIN, KeyStore
from grt_batch.service.server import listen

_QUERY = "/api/queries/tool-usage"


_CONNECTIONS = (1, 8)


@click.command()
@click.option("--jobs", default=6000, show_default=True, type=click.IntRange(100), help="Jobs of the sample.")
@click.option("--seconds", default=3, show_default=True, type=click.IntRange(1), help="Time for each figure.")
def main(jobs: int, seconds: int) -> None:
    """Print answers a second, for one connection and for eight."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        uploads = folder / "uploads"
        write_sample(uploads, jobs=jobs, seed=5)
        _grt_batch(folder, "run", "--uploads", "uploads", "--as-of", UNTIL.isoformat())
        key = f"{ADMIN}:{KeyStore(folder / 'uploads.keys.json', uploads).add(ADMIN)}"
        try:
            with _service(folder) as url:
                tag = str(urlopen(url + _QUERY).headers["ETag"])
                for title, path, headers in (
                    ("a query, 50 rows, as everybody", _QUERY, []),
                    ("the same, as an administrator", _QUERY, [f"Authorization: {key}"]),
                    ("the same, unchanged (304)", _QUERY, [f"If-None-Match: {tag}"]),
                    ("the map", "/api/instances.geojson", []),
                    ("a list of all archives", "/api/archives", [f"Authorization: {key}"]),
                    ("health", "/healthz", []),
                ):
                    rates = [_asked(url + path, headers, connections, seconds) for connections in _CONNECTIONS]
                    print(f"{title:34}" + "".join(f"{rate:8.0f}" for rate in rates))
        finally:
            _grt_batch(folder, "db", "stop")


def _grt_batch(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "grt_batch.cli", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    with listen("127.0.0.1", 0) as found:
        port = int(found.getsockname()[1])
    command = [sys.executable, "-m", "grt_batch.cli", "serve", "--uploads", "uploads", "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _until_up(f"{url}/healthz")
            yield url
        finally:
            process.terminate()


def _until_up(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urlopen(Request(url)).close()
            return
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _asked(url: str, headers: list[str], connections: int, seconds: int) -> float:
    """Return how many answers came a second."""
    given = [word for header in headers for word in ("-H", header)]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", *given, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec: +([0-9.]+)", said)
    if found is None or "Non-2xx" in said.replace("Non-2xx or 3xx responses: 0", ""):
        raise RuntimeError(said)
    return float(found[1])


if __name__ == "__main__":
    main()
