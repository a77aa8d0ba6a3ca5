"""Messages come to a mail server and to a webhook, and nothing that listens badly holds anybody up."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from mailing import Mailbox, mail_server

from grt_batch.monitoring import sending
from grt_batch.monitoring.sending import MISSING, Message, send

LONG = 120.0


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook: its address, and what has come."""
    come: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            come.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"json://127.0.0.1:{server.server_port}/hook", come
        server.shutdown()
        thread.join()


def test_each_message_comes_or_says_why_not(mailbox: Mailbox, hook: tuple[str, list[dict[str, Any]]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
        gone.close()
        text = "Ümläut\n- a line\n"
        problems = send(
            [
                Message(mailbox.url("jo@x.org", "al@y.org"), "grt: mail", text),
                Message(hook[0], "grt: hook", text),
                Message("nothing://of/the/kind", "t", "b"),
                Message(f"json://127.0.0.1:{closed}/", "t", "b"),
                Message(f"json://127.0.0.1:{silent.getsockname()[1]}/?rto=0.2", "t", "b"),
            ],
            LONG,
        )
    assert problems[:3] == ["", "", "this is no URL of apprise"]
    assert all(problems[3:])
    assert sorted(recipients for recipients, *_ in mailbox.come) == [["al@y.org"], ["jo@x.org"]]
    _, subject, body = mailbox.come[0]
    assert subject == "grt: mail"
    assert "Ümläut" in body
    assert "- a line" in body
    ((come),) = hook[1]
    assert (come["title"], come["message"].strip()) == ("grt: hook", text.strip())


def test_what_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text('#!/bin/sh\ncat >/dev/null\necho \'{"number":1,"problem":""}\'\nexec sleep 100\n')
    slow.chmod(0o755)
    monkeypatch.setattr(sending.sys, "executable", str(slow))
    assert send([Message("a", "t", "b")] * 3, 2) == ["no answer within 2 s", "", "no answer within 2 s"]


def test_a_process_that_cannot_start_or_ends_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending.sys, "executable", str(tmp_path / "none"))
    (problem,) = send([Message("a", "t", "b")], LONG)
    assert "No such file" in problem
    monkeypatch.setattr(sending.sys, "executable", "/bin/false")
    assert send([Message("a", "t", "b")], LONG) == ["nothing said"]


def test_without_apprise_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apprise.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))))
    assert send([Message("json://x", "t", "b")], LONG) == [MISSING]
