"""A service that answers questions, and those who ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import httpx
import uvicorn
from doors import Door

from grt_batch.core.config import Config
from grt_batch.queries.definitions import Query
from grt_batch.service.application import application
from grt_batch.service.keys import ADMIN
from grt_batch.service.server import listen
from grt_batch.uploads.scan import scan


class Answering:
    """A service over uploads of which a run has published."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.config = door.config
        self.uploads = scan(self.config.uploads)
        self.public = [one.instance_id for one in self.uploads.instances if one.metadata.public]
        self.hidden = [one.instance_id for one in self.uploads.instances if not one.metadata.public]

    def asking(self, instance_id: str | None = None) -> httpx.Client:
        """A client with a key of an instance, or with none."""
        headers = {} if instance_id is None else {"Authorization": self.credentials(instance_id)}
        return httpx.Client(base_url=self.door.url, headers=headers, timeout=60)

    def credentials(self, instance_id: str) -> str:
        return f"{instance_id}:{self._keys[instance_id]}"

    @cached_property
    def _keys(self) -> dict[str, str]:
        return {instance_id: self.door.keys.add(instance_id) for instance_id in (*self.public, *self.hidden, ADMIN)}

    @cached_property
    def admin(self) -> httpx.Client:
        return self.asking(ADMIN)

    @cached_property
    def anyone(self) -> httpx.Client:
        return self.asking()

    def close(self) -> None:
        for name in ("admin", "anyone"):
            if name in self.__dict__:
                getattr(self, name).close()


def refusal(answer: httpx.Response, status: int) -> str:
    """The sentence of an answer that refuses."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    document = answer.json()
    assert document.keys() == {"state", "message"}
    assert document["state"] == "error"
    assert "\n" not in document["message"]
    return str(document["message"])


@contextmanager
def served(config: Config, queries: Mapping[str, Query]) -> Iterator[httpx.Client]:
    """A client of a service in a thread of this process."""
    app = application(config, queries)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=10))
    with listen("127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with httpx.Client(base_url=url, timeout=60) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
