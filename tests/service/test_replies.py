"""Every answer is JSON, and every refusal is the protocol's."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from grt_batch.core.logs import logger, set_up
from grt_batch.service import replies
from grt_batch.service.replies import Refused, refusal, reply


def request(path: str = "/api/whoami") -> Request:
    return Request(
        {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "client": ("10.0.0.1", 7)}
    )


def test_documents_and_refusals() -> None:
    found = reply({"a": 1}, headers={"X": "y"})
    assert (found.status_code, found.body, found.media_type, found.headers["x"]) == (
        200,
        b'{"a":1}',
        "application/json",
        "y",
    )
    found = refusal(409, "no")
    assert (found.status_code, json.loads(found.body)) == (409, {"state": "error", "message": "no"})


def test_a_refusal_is_logged_on_one_line(log: pytest.CaptureFixture[str]) -> None:
    set_up("text", "", "", "service")
    found = asyncio.run(replies.refused(request("/a\x1bb"), Refused(429, "later", {"Retry-After": "5"})))
    assert (found.status_code, found.headers["retry-after"]) == (429, "5")
    line = log.readouterr().err
    assert line.endswith("warning role=service: POST /a\\x1bb from 10.0.0.1: refused with 429: later\n")
    assert line.count("\n") == 1


def test_the_log_names_the_instance(log: pytest.CaptureFixture[str]) -> None:
    set_up("text", "", "", "service")
    sent = request()
    sent.state.caller = "7"
    asyncio.run(replies.refused(sent, Refused(429, "later")))
    assert "POST /api/whoami from 7 at 10.0.0.1: refused with 429" in log.readouterr().err


def test_errors_of_the_framework() -> None:
    found = asyncio.run(replies.http_error(request(), HTTPException(404)))
    assert json.loads(found.body) == {"state": "error", "message": "Not Found"}
    found = asyncio.run(replies.http_error(request(), HTTPException(405, headers={"Allow": "GET"})))
    assert json.loads(found.body)["message"] == "POST is not allowed here; use GET"
    assert found.headers["allow"] == "GET"


def test_an_error_of_the_program_is_in_the_log_and_not_in_the_answer(log: pytest.CaptureFixture[str]) -> None:
    set_up("text", "", "", "service")
    try:
        raise OSError(5, "the disk\nis gone")
    except OSError as error:
        found = asyncio.run(replies.unforeseen(request(), error))
    assert (found.status_code, b"disk" in found.body) == (500, False)
    line = log.readouterr().err
    assert "OSError at " in line
    assert "test_replies.py:" in line
    assert line.count("\n") == 1
    assert logger.handlers
