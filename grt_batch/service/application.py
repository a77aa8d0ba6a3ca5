"""The application: its state, its routes, and the answers to what goes wrong."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from grt_batch.core.config import Config
from grt_batch.service import uploads
from grt_batch.service.replies import Refused, http_error, refused, unforeseen
from grt_batch.service.state import Service


def application(config: Config) -> Starlette:
    """Return the application for a configuration."""
    service = Service(config)
    app = Starlette(
        routes=routes(service),
        exception_handlers={Refused: refused, HTTPException: http_error, Exception: unforeseen},
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def routes(service: Service) -> list[BaseRoute]:
    """Return all routes. Each file of routes has a function `routes`; add it here."""
    return [*uploads.routes(service)]
