"""Bridges in this process: their configuration, what an earlier one left, and whom they call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from unit.world import message_of

from bridge.app import App
from bridge.config.schema import Config
from bridge.dispatch.retry import Policy, settle
from bridge.message import Accepted, Plan
from bridge.reports.correlate import decide
from bridge.store import Entry, Queued, Record, Stage
from bridge.store.sqlite import SqliteStore

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SMPP = {"system_id": "acme", "password": "secret"}
Start = Callable[..., Awaitable[App]]


def config_of(path: Path, **keys: Any) -> Config:
    """A bridge with one account and the built-in provider; `keys` replace what they name."""
    values: dict[str, Any] = {
        "store": f"sqlite:{path / 'bridge.db'}",
        "listeners": {"smpp": [{"listen": "127.0.0.1:0"}], "http": [{"listen": "127.0.0.1:0"}]},
        "accounts": {"acme": {"smpp": SMPP, "http": {"api_key": "acme-key"}}},
        "providers": {"virtual": {"type": "virtual", "poll": "20ms"}},
        "routes": [{"send": ["virtual"]}],
    }
    return Config.model_validate(values | keys)


async def submit(app: App, to: str, key: str = "acme-key") -> tuple[int, dict[str, Any]]:
    url = f"http://127.0.0.1:{app.http[0].port}/v1/messages"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        session.post(url, json={"to": to, "text": "hello"}) as answer,
    ):
        return answer.status, await answer.json()


async def final(app: App, message_id: int) -> Record:
    async with asyncio.timeout(10):
        while True:
            record = await app.store.find(message_id)
            assert record is not None
            if record.state.final:
                return record
            await asyncio.sleep(0.01)


class Receiver:
    """An account's callback, and what it got."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[dict[str, Any]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        return web.Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Bsg:
    """BSG's API, which answers when it may."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.sends: list[str] = []
        self.arrived = asyncio.Event()
        self.go = asyncio.Event()

    async def create(self, request: web.Request) -> web.Response:
        reference = (await request.json())["reference"]
        self.sends.append(reference)
        self.arrived.set()
        await self.go.wait()
        return web.json_response({"error": 0, "reference": reference, "id": "77"})


@asynccontextmanager
async def bsg_served() -> AsyncIterator[Bsg]:
    bsg = Bsg()
    app = web.Application()
    app.router.add_post("/sms/create", bsg.create)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    bsg.settings = {"type": "bsg", "base_url": url, "api_key": "x", "concurrency": 1, "batch": 1}
    try:
        yield bsg
    finally:
        bsg.go.set()
        await runner.cleanup()


def called_back(url: str, key: str = "acme-key") -> dict[str, Any]:
    return {"http": {"api_key": key, "callback": url, "callback_secret": SECRET}}


def entry_of(message_id: int, *plan: str, **keys: Any) -> Entry:
    message = message_of(message_id, **keys)
    return Entry(message=message, plan=Plan(plan), stage=Stage.QUEUED, next_at=message.accepted_at)


async def leave(path: Path, *entries: Entry, sent: tuple[int, ...] = (), begun: tuple[int, ...] = ()) -> None:
    """What an earlier process left on disk; some of it sent, or in the middle of it."""
    store = SqliteStore(path / "bridge.db", entries[0].message.accepted_at, decide)
    await store.accept(entries)
    policy = Policy(on_unsure="hold", poll_s=15.0, report_timeout_s=86400.0)
    for entry in entries:
        if entry.message.message_id in sent:
            queued = Queued(message=entry.message, plan=entry.plan, attempts=1)
            await store.settle([settle(queued, Accepted(), entry.message.accepted_at, 0.5, policy)])
    await store.begin(begun)
    await store.close()


async def left(path: Path, message_id: int) -> Record:
    store = SqliteStore(path / "bridge.db", 0.0, decide)
    record = await store.find(message_id)
    await store.close()
    assert record is not None
    return record


@asynccontextmanager
async def starting() -> AsyncIterator[Start]:
    """Starts bridges; those that still run at the end are stopped."""
    running: list[App] = []

    async def make(config: Config, **keys: Any) -> App:
        app = App(config, **keys)
        await app.start()
        running.append(app)
        return app

    yield make
    for app in running:
        await app.stop(1.0)
