"""What the requests to one service share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from grt_batch.core.config import Config
from grt_batch.service.keys import KeyStore
from grt_batch.service.replies import Refused


class Service:
    """The configuration and the keys, and whoever wants to hear of archives that were stored.

    Each function in `stored` is called with the instance and the name of an archive, before the client has its answer.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.keys = KeyStore(config.keys_path)
        self.stored: list[Callable[[str, str], Awaitable[None]]] = []

    async def caller(self, request: Request) -> str:
        """Return the instance that sent a request, ADMIN for an administrator. Raises Refused for a wrong key."""
        instance_id = self.keys.authenticate(request.headers.get("authorization"))
        if instance_id is None:
            raise Refused(400, "Bad authentication credentials")
        return instance_id
