"""URLs and connection strings: their parameters, and what is said of wrong ones, without a part of a password."""

from __future__ import annotations

import pytest

from grt_batch.core.errors import BadDatabaseUrl
from grt_batch.sinks.database_url import location, parameters

SLASH = "/ and @ in a password are written as %2F and %40"
NEITHER = "neither a URL like postgresql://host/name nor a connection string like host=… dbname=…"


def test_the_parameters_of_a_url_and_of_a_connection_string_are_the_same() -> None:
    expected = {"user": "u", "password": "p/w", "host": "h", "port": "5433", "dbname": "d"}
    assert parameters("postgresql://u:p%2Fw@h:5433/d") == expected
    assert parameters("user=u password=p/w host=h port=5433 dbname=d") == expected
    assert parameters("service=grt") == {"service": "grt"}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@h:5433/d?sslpassword=s", "h:5433/d"),
        ("user=u password=p host=h,k port=1,2 dbname=d", "h,k:1,2/d"),
        ("host=/run/postgresql dbname=d", "/run/postgresql/d"),
        ("hostaddr=127.0.0.1 passfile=p", "127.0.0.1"),
        ("service=grt user=u", "service=grt"),
        ("dbname=d", "/d"),
        ("user=u", None),
    ],
)
def test_the_place_of_a_database_is_told_without_who_may_enter(url: str, place: str | None) -> None:
    assert location(url) == place


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:p/hunter2@host/grt", SLASH),
        ("postgresql://u:p@hunter2@host:x/grt", SLASH),
        ("postgresql://u:hunter2/d", SLASH),
        ("postgresql://u:hunter2%@h/d", "% is written as %25"),
        ("host=h password='hunter2", "a quote without an end"),
        ("host=h password=a hunter2 dbname=d", NEITHER),
        ("host=h password=a hunter2=x dbname=d", "it has an unknown keyword"),
        ("host=h pasword=hunter2", "there is no keyword 'pasword'; perhaps password is meant"),
        ("postgresql://u:hunter2@h/d?sslmod=require", "there is no keyword 'sslmod'; perhaps sslmode is meant"),
        ("host=h password=hunter2 databse=d", "there is no keyword 'databse'; perhaps dbname is meant"),
        ("host=h database=d", "perhaps dbname is meant"),
        ("username=u host=h", "perhaps user is meant"),
        ("colour=blue", "there is no keyword 'colour'"),
        ("grt", NEITHER),
        ("mysql://u:hunter2@h/d", NEITHER),
    ],
)
def test_what_is_wrong_is_said_without_a_password(url: str, said: str) -> None:
    with pytest.raises(BadDatabaseUrl) as raised:
        parameters(url)
    assert said in str(raised.value.what)
    assert "hunter2" not in str(raised.value)
    assert raised.value.exit_code == 4
