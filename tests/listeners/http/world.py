"""What stands around a server under test: small in-memory things inside, clients outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from pydantic import SecretStr

from bridge.errors import Refusal
from bridge.listeners.http.ports import Account
from bridge.listeners.http.server import HttpServer
from bridge.listeners.http.settings import HttpAccount
from bridge.message import Message, State
from bridge.providers._contract import Callback, Heard
from bridge.store import Record

NOW = 1_795_372_632.123
KEY = "secret-key"
AUTH = {"Authorization": f"Bearer {KEY}"}
URL = "https://acme.example/reports"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ACME = Account(
    name="acme", settings=HttpAccount(api_key=SecretStr(KEY), callback=URL, callback_secret=SecretStr(SECRET))
)
OTHER = Account(name="other", settings=HttpAccount(api_key=SecretStr("other-key")), region="UA")


class Ledger:
    """Takes messages as the intake does, keeps them in a list, and finds them as a store does."""

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.refusal: Refusal | None = None
        self.error: Exception | None = None  # what the disk says
        self.held: asyncio.Future[None] | None = None  # set: the disk takes its time
        self.accepted = asyncio.Event()
        self._last_id = 100

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        self.accepted.set()
        if self.refusal is not None:
            return [self.refusal for _ in messages], None
        self.messages.update((message.message_id, message) for message in messages)
        done = self.held
        if done is None:
            done = asyncio.get_running_loop().create_future()
            if self.error is None:
                done.set_result(None)
            else:
                done.set_exception(self.error)
        return [None for _ in messages], done

    async def find(self, message_id: int) -> Record | None:
        message = self.messages.get(message_id)
        return None if message is None else self._record(message)

    async def find_ref(self, account: str, client_ref: str) -> list[Record]:
        return [
            self._record(message)
            for message in reversed(self.messages.values())
            if (message.account, message.client_ref) == (account, client_ref)
        ]

    def _record(self, message: Message) -> Record:
        return Record(
            message=message,
            state=State.ENROUTE,
            reason=None,
            provider="bsg",
            provider_ref="p-1",
            attempts=1,
            updated_at=NOW + 1,
            timeline=[{"at": NOW, "event": "accepted"}, {"at": NOW + 1, "event": "sent", "provider": "bsg"}],
        )


@dataclass
class World:
    """What stands on the inner side of the server."""

    ledger: Ledger = field(default_factory=Ledger)
    heard: list[tuple[str, str | None, Callback]] = field(default_factory=list)
    hear: Callable[[str, str | None, Callback], Heard] | None = None
    health: tuple[bool, dict[str, Any]] = (True, {"store": "ok"})

    async def hear_callback(self, provider: str, token: str | None, callback: Callback, /) -> Heard:
        self.heard.append((provider, token, callback))
        return Heard() if self.hear is None else self.hear(provider, token, callback)


@dataclass
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)


class Client:
    """aiohttp's client with one server in mind."""

    def __init__(self, session: aiohttp.ClientSession, server: HttpServer) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{server.port}"

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self._session.request(method, self._base + path, allow_redirects=False, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def submit(self, headers: Mapping[str, str] = AUTH, **body: Any) -> Answer:
        return await self.ask("POST", "/v1/messages", json=body, headers=headers)


async def talk(server: HttpServer, octets: bytes) -> bytes:
    """Sends octets on a connection of its own, and reads until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(octets)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()
