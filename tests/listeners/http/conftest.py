"""A real server on a free port, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from listeners.http.world import ACME, NOW, OTHER, Client, World

from bridge.listeners.http.ports import Account
from bridge.listeners.http.server import HttpServer
from bridge.listeners.http.settings import HttpListener
from bridge.listeners.passwords import Passwords

Serve = Callable[..., Awaitable[HttpServer]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


@pytest.fixture
async def serve(world: World, passwords: Passwords) -> AsyncIterator[Serve]:
    """Starts a server; keyword arguments are its settings, or `accounts`, `body_timeout_s`, `grace_s`."""
    servers: list[HttpServer] = []

    async def start(
        accounts: tuple[Account, ...] = (ACME, OTHER),
        body_timeout_s: float = 10.0,
        grace_s: float = 5.0,
        **settings: Any,
    ) -> HttpServer:
        server = HttpServer(
            HttpListener(**{"listen": "127.0.0.1:0", **settings}),
            accounts,
            intake=world.ledger,
            records=world.ledger,
            hear=world.hear_callback,
            metrics=lambda: b"smsbridge_messages_total 1\n",
            health=lambda: world.health,
            passwords=passwords,
            clock=lambda: NOW,
            body_timeout_s=body_timeout_s,
            grace_s=grace_s,
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[Client]:
    """A client of a server with default settings."""
    server = await serve()
    async with aiohttp.ClientSession() as session:
        yield Client(session, server)
