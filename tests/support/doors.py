"""Services as processes of their own, on a port of the loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from galaxy_client import Client

from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.service.instances import Instances
from grt_batch.service.keys import KeyStore


@dataclass
class Door:
    """A service that runs."""

    config: Config
    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def read(self, lines: Iterable[str]) -> None:
        """Read the log to its end."""
        for line in lines:
            with self.news:
                self.log.append(line)
                self.news.notify_all()

    @property
    def keys(self) -> KeyStore:
        return KeyStore(self.config.keys_path, self.config.uploads)

    def client(self, title: str = "Galaxy", prefix: str = "") -> Client:
        """Return a client of a new instance."""
        instance_id = Instances(self.config.uploads).add(None, {"title": title})
        return Client(self.url + prefix, f"{instance_id}:{self.keys.add(instance_id)}")

    def archives(self, client: Client) -> Path:
        """Return the folder of a client's archives."""
        return self.config.uploads / client.credentials.partition(":")[0] / "archives"

    def hidden(self) -> list[str]:
        """Return the names of all files that are hidden below the uploads."""
        return [path.name for path in self.config.uploads.rglob(".*")]

    def memory(self) -> int:
        """Return the most memory that the process has had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024

    def open_files(self) -> int:
        """Return how many files and connections the process has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def awaited(self, text: str, begin: int = 0) -> None:
        """Wait until a line of the log, from that number on, has a text: the log is read by a thread."""
        with self.news:
            assert self.news.wait_for(lambda: any(text in line for line in self.log[begin:]), 60), self.log[begin:]

    def kill(self) -> None:
        """End the process at once, as a crash of the machine would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def opened(folder: Path, settings: str = "", **paths: object) -> Iterator[Door]:
    """Start a service over `folder`/uploads, with settings of the section service, and end it as systemd does.

    `paths` are settings of the section of this name.
    """
    folder.mkdir(exist_ok=True)
    (folder / "uploads").mkdir(exist_ok=True)
    file = folder / "grt_batch.toml"
    places = {"uploads": folder / "uploads", "work": folder / "work", **paths}
    lines = [f'{name} = "{value}"\n' for name, value in places.items()]
    file.write_text(f"[paths]\n{''.join(lines)}[service]\n{settings}")
    command = [sys.executable, "-m", "grt_batch.cli", "serve", "--port", "0", "--config", str(file)]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        door = Door(load(file, environment={}), "", process)
        for line in process.stderr:
            door.log.append(line)
            if " listens on " in line:
                door.url = line.split()[-1]
                break
        else:
            raise AssertionError("".join(door.log))
        reader = threading.Thread(target=door.read, args=[process.stderr])
        reader.start()
        try:
            yield door
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            reader.join()
