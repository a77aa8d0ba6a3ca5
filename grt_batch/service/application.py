"""The application: its state, its routes, and the answers to what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from grt_batch.core.config import Config
from grt_batch.queries.definitions import Query
from grt_batch.service import uploads
from grt_batch.service.answers import Answers
from grt_batch.service.metrics import Counted
from grt_batch.service.patience import Patience
from grt_batch.service.replies import Refused, http_error, refused, unforeseen
from grt_batch.service.state import Service


def application(config: Config, queries: Mapping[str, Query] = MappingProxyType({})) -> Starlette:
    """Return the application for a configuration, which answers these queries."""
    service = Service(config)
    answers = Answers(service, queries)
    app = Starlette(
        routes=[*uploads.routes(service), *answers.routes()],
        middleware=[Middleware(Counted, requests=answers.requests), Middleware(Patience, config=config)],
        lifespan=answers.lifespan,
        exception_handlers={Refused: refused, HTTPException: http_error, Exception: unforeseen},
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app
