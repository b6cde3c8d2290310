from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.passwords import Passwords
from bridge.listeners.smtp.ports import Account
from bridge.listeners.smtp.server import SmtpServer
from bridge.listeners.smtp.settings import SmtpAccount, SmtpListener
from bridge.message import Message

NOW = 1_800_000_000.0


class Ledger:
    """Takes messages into a list; what it refuses, and when its disk answers, a test may set."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.rejected: list[tuple[Message, str]] = []
        self.no_route: dict[str, Refusal] = {}  # by destination
        self.unfit: dict[str, Refusal] = {}
        self.unwelcome: dict[str, Refusal] = {}
        self.asked: list[tuple[str, str, str, str | None]] = []
        self.full = False  # the disk takes nothing
        self.held: asyncio.Event | None = None  # set: the disk takes its time until then
        self.reached = asyncio.Event()  # something waits for the disk
        self.kept = asyncio.Event()  # the disk has taken something
        self._last_id = 0

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def route_of(self, account: str, listener: str, destination: str, source: str | None) -> Refusal | None:
        self.asked.append((account, listener, destination, source))
        return self.no_route.get(destination)

    def check(self, message: Message) -> Refusal | None:
        return self.unfit.get(message.destination)

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        verdicts = [self.unwelcome.get(message.destination) for message in messages]
        taken = [message for message, refusal in zip(messages, verdicts, strict=True) if refusal is None]
        return verdicts, self._write(lambda: self.taken.extend(taken)) if taken else None

    def accept_refused(self, message: Message, refusal: Refusal) -> asyncio.Future[None]:
        return self._write(lambda: self.rejected.append((message, refusal.reason)))

    def _write(self, keep: Callable[[], None]) -> asyncio.Future[None]:
        async def commit() -> None:
            self.reached.set()
            if self.held is not None:
                await self.held.wait()
            if self.full:
                raise StoreUnavailable("no space left")
            keep()
            self.kept.set()

        return asyncio.ensure_future(commit())


class Dialogue:
    """One connection, line by line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def begin(cls, server: SmtpServer, tls: ssl.SSLContext | None = None) -> Dialogue:
        name = None if tls is None else "localhost"
        return cls(*await asyncio.open_connection("127.0.0.1", server.port, ssl=tls, server_hostname=name))

    async def reply(self) -> str:
        """The next reply, its lines joined by newlines; `""` at the end."""
        lines = []
        async with asyncio.timeout(10):
            while True:
                line = (await self.reader.readline()).decode()
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        self.writer.write((line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def say_all(self, *lines: str) -> list[str]:
        return [await self.say(line) for line in lines]

    async def enter(self) -> None:
        """Greeting, EHLO and AUTH."""
        assert (await self.reply()).startswith("220 ")
        await self.say("EHLO client.example")
        assert (await self.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("235 2.7.0 ")

    async def address(self, *numbers: str) -> None:
        """MAIL and RCPT."""
        assert (await self.say("MAIL FROM:<it@acme.example>")).startswith("250 2.1.0 ")
        for number in numbers:
            assert (await self.say(f"RCPT TO:<{number}@sms.example>")).startswith("250 2.1.5 ")

    async def send(self, body: bytes = b"Subject: s\r\n\r\nhello\r\n") -> str:
        """DATA and the mail."""
        assert (await self.say("DATA")).startswith("354 ")
        return await self.say(body + b".")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):  # the server was first
            await self.writer.wait_closed()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def account() -> Callable[..., Account]:
    def make(region: str | None = None, **settings: Any) -> Account:
        side = SmtpAccount(**{"login": "acme", "password": "secret", "from": ["*@acme.example"], **settings})
        return Account(name="acme-account", settings=side, region=region)

    return make


@pytest.fixture
async def serve(ledger: Ledger, account: Callable[..., Account]) -> AsyncIterator[Callable[..., Awaitable[SmtpServer]]]:
    """Starts a server on a free port; AUTH without TLS unless said otherwise."""
    servers: list[SmtpServer] = []
    passwords = Passwords()

    async def start(accounts: Sequence[Account] | None = None, **settings: Any) -> SmtpServer:
        listener = SmtpListener(
            **{"listen": "127.0.0.1:0", "domain": "SMS.example", "auth_without_tls": True, **settings}
        )
        server = SmtpServer(listener, [account()] if accounts is None else accounts, ledger, passwords, lambda: NOW)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
    passwords.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[Dialogue]]]:
    """Opens connections, and closes them after the test."""
    dialogues: list[Dialogue] = []

    async def begin(server: SmtpServer, tls: ssl.SSLContext | None = None) -> Dialogue:
        dialogue = await Dialogue.begin(server, tls)
        dialogues.append(dialogue)
        return dialogue

    yield begin
    for dialogue in dialogues:
        await dialogue.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificate and key of localhost, signed by itself."""
    folder: Path = tmp_path_factory.mktemp("tls")
    options = "-newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out certificate.pem"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *options.split(), *names], cwd=folder, check=True, capture_output=True)
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.fixture
def trusting(certificate: tuple[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])
