"""Calling an account that waits for us: when, what it may do on that connection, and how often it is tried."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import RX, TRX, TX, Esme
from listeners.smpp.world import World, account
from unit.bridges import SMPP, Start, config_of
from unit.world import until

from bridge.config.schema import Config
from bridge.listeners.smpp import outbind as module
from bridge.listeners.smpp.outbind import Callers
from bridge.listeners.smpp.ports import Account
from bridge.listeners.smpp.server import SmppServer

OUTBIND = 0x0B


class Waiting:
    """An account's own server: it notes who calls, and then does what a test wants."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: list[Esme] = []
        self.greetings: list[bytes] = []
        self.arrived = asyncio.Event()
        self.then: Callable[[Esme], Any] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(16)
        assert int.from_bytes(head[4:8], "big") == OUTBIND
        self.greetings.append(await reader.readexactly(int.from_bytes(head[:4], "big") - 16))
        esme = Esme(reader, writer)
        esme._reading = asyncio.create_task(esme._read())
        self.calls.append(esme)
        self.arrived.set()
        if self.then is not None:
            await self.then(esme)

    async def call(self, number: int = 1) -> Esme:
        """The connection of a call, once it has come."""
        async with asyncio.timeout(10):
            while len(self.calls) < number:
                self.arrived.clear()
                await self.arrived.wait()
        return self.calls[number - 1]


@pytest.fixture
async def waiting() -> AsyncIterator[Waiting]:
    made = Waiting()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for esme in made.calls:
        await esme.abort()
    with suppress(OSError):
        await server.wait_closed()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DELAY_MIN_S", 0.02)
    monkeypatch.setattr(module, "_DELAY_MAX_S", 0.08)


@pytest.fixture
async def calling(serve: Serve) -> AsyncIterator[Callable[..., Any]]:
    """Starts a server that calls an account."""
    started: list[Callers] = []

    async def start(port: int, **outbind: Any) -> tuple[SmppServer, Callers, Account]:
        called = account(outbind={"connect": f"127.0.0.1:{port}", "system_id": "SMSC", "password": "pw", **outbind})
        server = await serve([called], session_init_timeout=5)
        callers = Callers(server, server._binds)
        started.append(callers)
        callers.configure([called])
        return server, callers, called

    yield start
    for callers in started:
        callers.stop()


async def test_called_when_something_is_owed_and_not_before(
    calling: Callable[..., Any], waiting: Waiting, world: World
) -> None:
    await calling(waiting.port)
    assert waiting.calls == []
    message_ids = await world.owe(2)
    esme = await waiting.call()
    assert waiting.greetings == [b"SMSC\0pw\0"]
    assert (await esme.bind(RX)).status == 0
    assert [told.receipt["id"] for told in await esme.receipts(2)] == message_ids
    await world.nothing_owed()
    assert len(waiting.calls) == 1


async def test_called_at_start_for_what_an_earlier_process_owed(
    calling: Callable[..., Any], waiting: Waiting, world: World
) -> None:
    message_ids = await world.owe(1)
    await calling(waiting.port)
    esme = await waiting.call()
    assert (await esme.bind(TRX)).status == 0
    assert [told.receipt["id"] for told in await esme.receipts(1)] == message_ids


async def test_not_called_while_it_is_bound_itself(
    calling: Callable[..., Any], waiting: Waiting, world: World, bound: Connect
) -> None:
    server, _, _ = await calling(waiting.port)
    client = await bound(server, RX)
    await world.owe(3)
    await client.receipts(3)
    await world.nothing_owed()
    assert waiting.calls == []
    await client.abort()
    await world.owe(1)
    await waiting.call()


@pytest.mark.usefixtures("quick")
async def test_called_again_until_it_binds(calling: Callable[..., Any], waiting: Waiting, world: World) -> None:
    async def hang_up(esme: Esme) -> None:
        if len(waiting.calls) < 4:
            await esme.abort()

    waiting.then = hang_up
    await calling(waiting.port)
    await world.owe(1)
    esme = await waiting.call(4)
    assert (await esme.bind(RX)).status == 0
    await esme.receipts(1)
    await world.nothing_owed()


@pytest.mark.usefixtures("quick")
async def test_called_again_when_nobody_listens_there(calling: Callable[..., Any], world: World) -> None:
    bare = socket.socket()
    bare.bind(("127.0.0.1", 0))  # who connects is refused, until it listens
    _, callers, _ = await calling(bare.getsockname()[1])
    await world.owe(1)
    made = Waiting()
    await until(lambda: callers._callers["acme"]._delay_s == 0.08)
    server = await asyncio.start_server(made.serve, sock=bare)
    esme = await made.call()
    assert (await esme.bind(RX)).status == 0
    await esme.receipts(1)
    await esme.abort()
    server.close()


@pytest.mark.usefixtures("quick")
async def test_only_the_account_that_was_called_may_bind_there(
    calling: Callable[..., Any], waiting: Waiting, world: World
) -> None:
    server, _, called = await calling(waiting.port)
    server.replace_accounts([called, account("other")])
    await world.owe(1)
    first = await waiting.call()
    assert (await first.bind(TX)).status == 0x04  # it would receive nothing
    assert (await first.bind(RX, system_id="other")).status == 0x0D
    second = await waiting.call(2)
    assert (await second.bind(RX, password="wrong")).status == 0x0E
    third = await waiting.call(3)
    assert (await third.bind(RX)).status == 0
    await third.receipts(1)


async def test_no_longer_called(calling: Callable[..., Any], waiting: Waiting, world: World, serve: Serve) -> None:
    _, callers, called = await calling(waiting.port)
    callers.configure([account()])
    await world.owe(1)
    await asyncio.sleep(0.05)
    assert waiting.calls == []
    callers.configure([called])
    await waiting.call()


async def test_over_tls(calling: Callable[..., Any], world: World, certificate: dict[str, str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate["certificate"], certificate["key"])
    made = Waiting()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    await calling(server.sockets[0].getsockname()[1], tls=True, ca=certificate["certificate"])
    await world.owe(1)
    esme = await made.call()
    assert (await esme.bind(RX)).status == 0
    await esme.receipts(1)
    await esme.abort()
    server.close()


async def test_a_whole_bridge_calls_before_and_after_a_restart(waiting: Waiting, start: Start, tmp_path: Path) -> None:
    outbind = {"connect": f"127.0.0.1:{waiting.port}"}
    app = await start(config_of(tmp_path, accounts={"acme": {"smpp": SMPP | {"outbind": outbind}}}))
    sender = await Esme.bound(app.smpp[0].port, TX)
    first = (await sender.submit("380501234500")).message_id
    esme = await waiting.call()
    assert (await esme.bind(RX)).status == 0
    assert (await esme.receipts(1))[0].receipt["id"] == first
    esme.answering = lambda deliver: None
    second = (await sender.submit("380501234500")).message_id
    await esme.receipts(2)
    await sender.abort()
    await app.stop(0.5)
    await start(app.config)
    again = await waiting.call(2)
    assert (await again.bind(RX)).status == 0
    assert (await again.receipts(1))[0].receipt["id"] == second


async def test_a_reload_begins_and_ends_it(waiting: Waiting, start: Start, tmp_path: Path) -> None:
    def config(**smpp: Any) -> Config:
        return config_of(tmp_path, accounts={"acme": {"smpp": SMPP | smpp}})

    app = await start(config())
    sender = await Esme.bound(app.smpp[0].port, TX)
    await sender.submit("380501234500")
    await until(lambda: app.delivery.waiting)
    app.reload(config(outbind={"connect": f"127.0.0.1:{waiting.port}"}))
    await waiting.call()
    app.reload(config())
    await waiting.calls[0].abort()
    await sender.abort()
