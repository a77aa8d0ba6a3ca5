"""The URL or connection string of a database: its parameters, and what is wrong with it."""

from __future__ import annotations

import re
from difflib import get_close_matches

import psycopg2

from grt_batch.core.errors import BadDatabaseUrl

_KEYWORDS = (
    *("host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "options", "application_name"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "channel_binding", "gssencmode", "krbsrvname"),
    *("connect_timeout", "client_encoding", "target_session_attrs", "load_balance_hosts", "require_auth"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
)
"""The keywords that people write; psycopg2 does not list them."""


_OF_OTHERS = {"database": "dbname", "db": "dbname", "pwd": "password"}
"""Keywords of other programs, and those of libpq."""


_UNKNOWN = re.compile(r'invalid (?:connection option|URI query parameter:) "(.*)"')


_IN_A_URL = "it cannot be read; in a URL, / and @ in a password are written as %2F and %40"


_REASONS = {
    "percent-encoded": "it has a % without two hexadecimal digits; in a password, % is written as %25",
    "unterminated quoted": "it has a quote without an end; ' in a value is written as \\'",
    'missing "="': "it is neither a URL like postgresql://host/name nor a connection string like host=… dbname=…, where"
    " a value with a space stands in quotes",
}
"""What libpq says, and how that is told: libpq may quote a password."""


def parameters(url: str) -> dict[str, str]:
    """Return the parameters in a URL or connection string.

    Raises BadDatabaseUrl for one that cannot be parsed, with no part of a password.
    """
    try:
        found: dict[str, str] = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error as error:
        raise BadDatabaseUrl(what=_reason(str(error), url)) from None
    places = (found.get(name, "") for name in ("host", "dbname"))
    misread = any("@" in place[1:] and not place.startswith("/") for place in places)
    if "://" in url and (misread or not found.get("port", "0").replace(",", "").isdigit()):
        raise BadDatabaseUrl(what=_IN_A_URL)
    return found


def location(url: str) -> str | None:
    """Return where a database is, host:port/name, as far as its URL or connection string says; None for nothing of it.
    Neither a user nor a secret is told. Raises BadDatabaseUrl."""
    found = parameters(url)
    service = f"service={found['service']}" if "service" in found else ""
    host = found.get("host") or found.get("hostaddr") or service
    port = f":{found['port']}" if "port" in found else ""
    name = f"/{found['dbname']}" if "dbname" in found else ""
    return f"{host}{port}{name}" or None


def _reason(said: str, url: str) -> str:
    unknown = _UNKNOWN.search(said)
    if unknown:
        name = unknown[1]
        near = "".join(get_close_matches(name, (*_KEYWORDS, *_OF_OTHERS), 1))
        if near:
            return f"there is no keyword {name!r}; perhaps {_OF_OTHERS.get(near, near)} is meant"
        # It may be a part of a password in which there is a space.
        return f"there is no keyword {name!r}" if "pass" not in url else "it has an unknown keyword"
    return next((reason for words, reason in _REASONS.items() if words in said), _IN_A_URL)
