"""A few connections to the database, which the requests share.

What reads tables is imported with the first question: a service that only takes archives does without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg2
from psycopg2 import errors, sql

from grt_batch.core.config import Config
from grt_batch.core.errors import GrtError
from grt_batch.core.logs import logger
from grt_batch.service.replies import Refused
from grt_batch.sinks.connection import ENCODING, MEANING, one_line, set_locally

WAIT_SECONDS = 5.0
"""How long a request waits for its turn, and for the database to take up a connection."""


_LATER = {"Retry-After": "10"}


_Result = TypeVar("_Result")


class Connections:
    """Connections in number as configured; what does not get one in time is refused."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._turn = asyncio.Semaphore(config.query_connections)
        self._threads = ThreadPoolExecutor(config.query_connections, "questions")
        self._idle: list[Any] = []

    async def ask(self, question: Callable[[Any, str], _Result], *, admin: bool = False) -> _Result:
        """Return what `question` makes, in a thread, of a read-only transaction and the schema that it may read.

        An administrator reads the tables, all others read the views, as `grt_reader`. Raises Refused.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Refused(503, "Too many questions at once: ask again in a moment", _LATER) from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question, admin)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, question: Callable[[Any, str], _Result], admin: bool) -> _Result:
        from grt_batch.sinks.schema import PUBLIC, SCHEMA

        try:
            with self._transaction(admin) as link:
                return question(link, SCHEMA if admin else PUBLIC)
        except errors.QueryCanceled:
            seconds = self._config.query_timeout_seconds
            raise Refused(504, f"The answer took longer than {seconds} s: ask for less") from None
        except errors.InsufficientPrivilege:
            raise Refused(403, "This is for administrators: ask with one of their keys") from None
        except errors.DataError as error:
            raise Refused(400, f"The database cannot compute that: {one_line(error)}") from None
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            raise Refused(503, "No run has published these tables yet: ask again after the next run", _LATER) from None
        except (psycopg2.Error, GrtError) as error:
            logger.error("the database cannot answer: %s", one_line(error))
            raise Refused(503, "The database cannot be asked now: try again later", _LATER) from None

    @contextmanager
    def _transaction(self, admin: bool) -> Iterator[Any]:
        link = self._begun(admin)
        try:
            yield link
            link.rollback()
        except BaseException:
            self._give_back(link)
            raise
        self._idle.append(link)

    def _give_back(self, link: Any) -> None:
        """Keep a connection after an error, if it is still one."""
        try:
            link.rollback()
        except psycopg2.Error:
            link.close()
        else:
            self._idle.append(link)

    def _begun(self, admin: bool) -> Any:
        """Return a connection in a transaction of its own; one that was lost meanwhile is made anew."""
        while self._idle:
            link = self._idle.pop()
            with suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
                return self._begin(link, admin)
            link.close()
        link = psycopg2.connect(
            psycopg2.extensions.make_dsn(
                _url(self._config),
                application_name="grt_batch serve",
                client_encoding=ENCODING,
                connect_timeout=str(int(WAIT_SECONDS)),
            )
        )
        link.set_session(isolation_level="REPEATABLE READ", readonly=True)
        return self._begin(link, admin)

    def _begin(self, link: Any, admin: bool) -> Any:
        """Begin a transaction, and set what holds in it alone: a pooler gives the session to others afterwards."""
        from grt_batch.sinks.public_views import ROLE

        milliseconds = sql.Literal(1000 * self._config.query_timeout_seconds)
        settings = [
            sql.SQL("SET LOCAL statement_timeout = {}").format(milliseconds),
            # A page is read to its end: the plan with the fastest first row is not wanted.
            sql.SQL("SET LOCAL cursor_tuple_fraction = 1"),
        ]
        if not admin:
            settings.append(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(ROLE)))
        with link.cursor() as cursor:
            try:
                set_locally(cursor, MEANING)
                cursor.execute(sql.SQL("; ").join(settings))
            except errors.InvalidParameterValue:
                link.close()
                raise Refused(503, "No run has published anything yet: ask again after the first run", _LATER) from None
            except errors.InsufficientPrivilege as error:
                link.close()
                logger.error("GRANT %s to the user of the service: %s", ROLE, one_line(error))
                raise Refused(503, f"The service may not read as {ROLE}; its log says what to grant", _LATER) from None
        return link


def _url(config: Config) -> str:
    """Return the URL of the database. The embedded server is started, if none runs, and stays."""
    if config.database != "embedded":
        return config.database
    from grt_batch.embedded_postgres.server import EmbeddedServer

    server = EmbeddedServer(config.work)
    server.start(stays=True, borrow=True)
    return server.url
