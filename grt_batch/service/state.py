"""What the requests to one service share."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request

from grt_batch.core.config import Config
from grt_batch.core.errors import printable
from grt_batch.core.logs import logger
from grt_batch.service.keys import ADMIN, KeyStore
from grt_batch.service.penalties import Penalties
from grt_batch.service.replies import Refused
from grt_batch.service.room import Room

T = TypeVar("T")

_THREADS = 8
"""Threads for files; what hashes and unpacks in them uses a core each."""


_MOST_WAITING = 8
"""Requests from addresses that sent wrong keys, which wait at a time."""


class Service:
    """The configuration, the keys, the limits, and who wants to hear of archives that were stored.

    Each function in `stored` is called with the instance and the name of an archive, before the client has its answer.
    `counts` has the number of uploads by what became of them, and the `bytes` of those that were stored.
    The archives of an instance are published one after another, each under the lock of its folder in `publishing`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.keys = KeyStore(config.keys_path, config.uploads)
        self.room = Room(config)
        self.stored: list[Callable[[str, str], Awaitable[None]]] = []
        self.counts: Counter[str] = Counter()
        self.publishing: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._penalties = Penalties()
        self._waiting = 0
        self._threads = ThreadPoolExecutor(_THREADS, "files")

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what a function returns that blocks."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # Threads cannot be cancelled, and what comes next may close the files of this one.
            await asyncio.wait([future])
            raise

    async def caller(self, request: Request) -> str:
        """Return the instance that sent a request, ADMIN for an administrator. Raises Refused for a wrong key.

        An address that sent wrong keys waits longer each time before its key is looked at.
        """
        address = request.client.host if request.client else ""
        await self._wait(self._penalties.delay(address))
        header = request.headers.get("authorization")
        instance_id = self.keys.authenticate(header)
        if instance_id is None:
            # An id that nobody has is not logged: it may be a key that was written in its place.
            claimed = self.keys.claimed(header) or "an unknown instance"
            logger.warning("wrong key %d from %s for %s", self._penalties.note(address), printable(address), claimed)
            raise Refused(400, "Bad authentication credentials")
        self._penalties.forgive(address)
        request.state.caller = instance_id
        return instance_id

    async def instance(self, request: Request) -> Path:
        """Return the folder of the instance that sent a request. Raises Refused for a wrong key."""
        instance_id = await self.caller(request)
        if instance_id == ADMIN:
            raise Refused(403, "This is the key of an administrator; only instances have uploads")
        folder = self.config.uploads / instance_id
        if not await self.in_thread(folder.is_dir):
            # Its file system may not be mounted, so it is not made.
            raise Refused(503, "The folder of this instance is missing; the service's administrators have to look")
        return folder

    async def _wait(self, seconds: float) -> None:
        if not seconds:
            return
        if self._waiting >= _MOST_WAITING:
            raise Refused(429, "Too many wrong keys; correct the key and send again later", {"Retry-After": "60"})
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1
