"""How fast the service takes archives: `python -m bench.service [--megabytes N] [--repeats N]`.

An archive of the sample, repeated to the size wanted, is sent by curl to the service on a port of the loopback, which
hashes, unpacks and syncs it. Beside it run what any receiver has to do (`cat | sha256sum`, and a copy that is synced),
and, where it is installed, nginx, which takes the same by PUT, hashes nothing and syncs nothing. The contenders take
turns, and the median of each counts.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from grt_batch.sample import write_sample
from grt_batch.service.instances import Instances
from grt_batch.service.keys import KeyStore
from grt_batch.service.server import listen

_AT_ONCE = 8
_SMALL = 400

_NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{}}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;
    server {{ listen 127.0.0.1:{port}; root {folder}/root; location / {{ dav_methods PUT; }} }}
}}
"""


class Site:
    """A service that runs, and an instance that sends to it."""

    def __init__(self, folder: Path) -> None:
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        instance_id = Instances(self.uploads).add(None, {"title": "bench"})
        key = KeyStore(folder / "uploads.keys.json", self.uploads).add(instance_id)
        self.archives = self.uploads / instance_id / "archives"
        self.header = f"AUTHORIZATION: {instance_id}:{key}"
        self.port = _free_port()
        self.names = iter(range(1, 10**9))

    def send(self, data: Path, sha256: str) -> None:
        """Send a tar.gz as one more archive, and forget it."""
        name = str(next(self.names))
        document = {"version": 3, "generated": name, "report_hash": f"sha256:{sha256}", "users": {}, "jobs": {}}
        meta = data.with_name(f"{name}.json")
        meta.write_text(json.dumps(document))
        form = [f"identifier={name}", f"meta=@{meta}", f"data=@{data}"]
        url = f"http://127.0.0.1:{self.port}/api/v2/upload"
        _curl("-H", self.header, "-H", "Expect:", *(word for part in form for word in ("-F", part)), url)
        for path in (meta, self.archives / f"{name}.json", self.archives / f"{name}.tar.gz"):
            path.unlink()


@contextmanager
def _process(*command: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _free_port() -> int:
    with listen("127.0.0.1", 0) as found:
        return int(found.getsockname()[1])


def _curl(*arguments: str) -> None:
    subprocess.run(["curl", "-sS", "--fail", *arguments], check=True, stdout=subprocess.DEVNULL)


def _large(folder: Path, megabytes: int) -> tuple[Path, Path]:
    """Write sample archives: a small one, and the same repeated to a large one, which is a gzip file, too."""
    write_sample(folder / "sample", instances=1, archives=1, jobs=100_000, seed=3)
    (small,) = (folder / "sample").rglob("*.tar.gz")
    large = folder / "large.tar.gz"
    content = small.read_bytes()
    with large.open("wb") as out:
        while out.tell() < megabytes * 1_000_000:
            out.write(content)
    return small, large


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _memory(process: subprocess.Popen[bytes]) -> str:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))


def _computed(process: subprocess.Popen[bytes]) -> float:
    """Return the seconds that a process has computed for."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--megabytes", default=300, show_default=True, type=click.IntRange(1), help="Size of the archive.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Rounds.")
def main(megabytes: int, repeats: int) -> None:
    """Print MB/s of each contender, small archives a second, and the memory of the service."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        small, large = _large(folder, megabytes)
        size, sha256 = large.stat().st_size / 1e6, _sha256(large)
        site, tiny = Site(folder), folder / "tiny.tar.gz"
        tiny.write_bytes(gzip.compress(b"job\n" * 1000))
        arguments = ["--port", str(site.port), "--uploads", str(site.uploads)]
        environment = ["env", "GRT_BATCH_UPLOADS_PER_HOUR=0", f"GRT_BATCH_KEYS_FILE={folder / 'uploads.keys.json'}"]
        command = [*environment, sys.executable, "-m", "grt_batch.cli", "serve", *arguments]
        service = stack.enter_context(_process(*command, folder=folder))

        def at_once() -> None:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(site.send, [small] * _AT_ONCE, [_sha256(small)] * _AT_ONCE))

        def many_small() -> None:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(site.send, [tiny] * _SMALL, [_sha256(tiny)] * _SMALL))

        contenders: dict[str, tuple[float, Callable[[], object]]] = {
            "service, one upload": (size, lambda: site.send(large, sha256)),
            f"service, {_AT_ONCE} at once": (_AT_ONCE * small.stat().st_size / 1e6, at_once),
            "cat | sha256sum": (size, lambda: _shell(f"cat {large} | sha256sum")),
            "dd conv=fsync": (size, lambda: _copied(large, folder / "copy")),
        }
        if shutil.which("nginx") and shutil.which("curl"):
            url = stack.enter_context(_nginx(folder / "nginx"))
            contenders["nginx, PUT"] = (size, lambda: _curl("-T", str(large), "-H", "Expect:", url))
        contenders["service, small archives a second"] = (_SMALL, many_small)
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        computing: list[float] = []
        _until_up(site, tiny)
        for _ in range(repeats):
            for name, (amount, contender) in contenders.items():
                begin, before = time.perf_counter(), _computed(service)
                contender()
                rates[name].append(amount / (time.perf_counter() - begin))
                if name == "service, one upload":
                    computing.append(amount / (_computed(service) - before))
        for name, found in rates.items():
            print(f"{name:34} {statistics.median(found):8.0f}   {min(found):.0f} to {max(found):.0f}")
        print(f"{'service, MB per second of CPU':34} {statistics.median(computing):8.0f}")
        print(f"{'service, memory at most':34} {int(_memory(service)) / 1024:8.0f} MiB")


def _until_up(site: Site, data: Path) -> None:
    """Send something until the service has started."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", site.port)):
                break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    site.send(data, _sha256(data))


def _shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def _copied(source: Path, target: Path) -> None:
    subprocess.run(["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync", "status=none"], check=True)
    target.unlink()


@contextmanager
def _nginx(folder: Path) -> Iterator[str]:
    """Start an nginx that keeps what is put to it."""
    (folder / "root").mkdir(parents=True)
    port = _free_port()
    user = "user root;" if folder.owner() == "root" else ""
    (folder / "conf").write_text(_NGINX.format(folder=folder, port=port, user=user))
    with _process("nginx", "-c", str(folder / "conf"), folder=folder):
        yield f"http://127.0.0.1:{port}/archive"


if __name__ == "__main__":
    main()
