"""What the service does beside taking archives: it answers, hands archives out, and starts a command after uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from grt_batch.queries.definitions import Query
from grt_batch.service import archives, health, openapi, queries
from grt_batch.service.connections import Connections
from grt_batch.service.metrics import Requests
from grt_batch.service.on_upload import Starter, quiet_seconds
from grt_batch.service.state import Service
from grt_batch.service.watching import Lookout


class Answers:
    """The routes of the answers, and what lives as long as the service does."""

    def __init__(self, service: Service, known: Mapping[str, Query]) -> None:
        """`known` are the ready queries."""
        self.requests = Requests()
        self._service, self._queries = service, known
        self._connections = Connections(service.config)
        config = service.config
        self._starter = Starter(config.on_upload, quiet_seconds(config)) if config.on_upload else None

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        service = self._service
        return [
            *queries.routes(service, self._queries, self._connections),
            *archives.routes(service),
            *health.routes(service, self.requests, self._starter),
            *openapi.routes(service, self._queries),
        ]

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Take up what came in before the service started; at its end start nothing more."""
        if self._starter:
            starter = self._starter

            async def stored(instance_id: str, name: str) -> None:
                starter.notice()

            self._service.stored.append(stored)
            # What the service has received is whole. That a run waits until it has settled, `starter` knows.
            config = replace(self._service.config, settle_seconds=0)
            lookout = await self._service.in_thread(Lookout, config, starter.notice)
            await self._service.in_thread(lookout.look)
        try:
            yield
        finally:
            if self._starter:
                self._starter.close()
            self._connections.close()
