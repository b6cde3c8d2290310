"""What accounts are told over HTTP and by mail: a server for callbacks, and a mail server that keeps what it gets."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class News:
    """Lets somebody wait until something has come."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def tell(self) -> None:
        self._came.set()

    async def until(self, condition: Callable[[], object], timeout_s: float = 15.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._came.clear()
                await self._came.wait()


@dataclass
class Callbacks:
    """Takes callbacks at `url`, verifies each with the standardwebhooks library, and answers as `answering` says."""

    answering: Callable[[dict[str, Any]], int] = lambda body: 204
    bodies: list[dict[str, Any]] = field(default_factory=list)  # of all that were answered 2xx
    ids: list[str] = field(default_factory=list)  # webhook-id of every one
    news: News = field(default_factory=News)
    port: int = 0
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Callbacks:
        application = web.Application()
        application.router.add_post("/reports", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/reports"

    async def _take(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = Webhook(SECRET).verify(await request.read(), dict(request.headers))
        self.ids.append(request.headers["webhook-id"])
        status = self.answering(body)
        if 200 <= status < 300:
            self.bodies.append(body)
        self.news.tell()
        return web.Response(status=status)


@dataclass
class Mailbox:
    """A mail server on a free port."""

    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    answering: Callable[[EmailMessage], str] = lambda mail: "250 OK"
    news: News = field(default_factory=News)
    port: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Mailbox:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, enable_SMTPUTF8=True, hostname="mail.example"), sock=listening
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd
        octets = envelope.content
        assert isinstance(octets, bytes)
        mail = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        answer = self.answering(mail)
        if answer.startswith("2"):
            self.mails.append(mail)
            self.envelopes.append(((envelope.mail_from or "").strip("<>"), list(envelope.rcpt_tos)))
        self.news.tell()
        return answer


def delivery_status(mail: EmailMessage) -> dict[str, str]:
    """The fields of a report by mail (RFC 3464), those of the message and those of the recipient."""
    assert mail.get_content_type() == "multipart/report"
    parts = list(mail.iter_parts())
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    groups = parts[1].get_payload()
    assert isinstance(groups, list)
    return {name: str(value) for group in groups for name, value in group.items()}
