"""A mail server on this machine, which keeps what comes."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass
class Mailbox:
    """What has come: the recipients, the subject and the text of each message."""

    port: int = 0
    come: list[tuple[list[str], str, str]] = field(default_factory=list)

    def url(self, *recipients: str) -> str:
        """The address of apprise for these recipients; for owners without any."""
        to = f"&to={','.join(recipients)}" if recipients else ""
        return f"mailto://127.0.0.1:{self.port}/?mode=insecure&from=grt@example.org{to}"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd calls it so)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain", "html"))
        self.come.append((envelope.rcpt_tos, str(message["Subject"]), text.get_content() if text else ""))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A server for mail, on a port of its own."""
    box, loop = Mailbox(), asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0))
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()
