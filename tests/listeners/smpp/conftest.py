"""A real server on a free port, and clients of it."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from listeners.smpp.esme import Deaf, Esme
from listeners.smpp.operating import Operate, operating
from listeners.smpp.world import World
from listeners.smpp.world import account as an_account
from unit.bridges import Bsg, Start, bsg_served, starting

from bridge.listeners.lockout import Lockout
from bridge.listeners.passwords import Passwords
from bridge.listeners.smpp.ports import Account
from bridge.listeners.smpp.server import Binds, SmppServer
from bridge.listeners.smpp.settings import SmppListener

Serve = Callable[..., Awaitable[SmppServer]]
Connect = Callable[..., Awaitable[Esme]]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "bridge.db")
    yield made
    await made.store.close()


@pytest.fixture
async def serve(world: World) -> AsyncIterator[Serve]:
    """Starts a server; keyword arguments are its settings, or those of the one account when `accounts` is not given."""
    servers: list[SmppServer] = []
    passwords = Passwords(lockout=Lockout(3, 6, 60.0))
    binds = Binds(lambda name: world.delivery.outbox("smpp", name))

    async def start(accounts: Sequence[Account] | None = None, **settings: Any) -> SmppServer:
        server = SmppServer(
            SmppListener(**{"listen": "127.0.0.1:0", **settings}),
            [an_account()] if accounts is None else accounts,
            intake=world.ledger,
            changes=world.changes,
            passwords=passwords,
            binds=binds,
            clock=world.clock,
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop(0.5)
    passwords.close()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts whole bridges."""
    async with starting() as make:
        yield make


@pytest.fixture
async def bsg() -> AsyncIterator[Bsg]:
    async with bsg_served() as served:
        yield served


@pytest.fixture
async def operate(start: Start, bsg: Bsg, tmp_path: Path) -> AsyncIterator[Operate]:
    """A bridge whose provider is `bsg`, and a client bound to it; keyword arguments are settings of its account."""
    async with operating(start, bsg, tmp_path) as begin:
        yield begin


@pytest.fixture
async def bound() -> AsyncIterator[Connect]:
    """Binds clients, and ends their connections after the test."""
    clients: list[Esme] = []

    async def bind(server: SmppServer, *args: Any, **options: Any) -> Esme:
        client = await Esme.bound(server.port, *args, **options)
        clients.append(client)
        return client

    yield bind
    for client in clients:
        await client.abort()


@pytest.fixture
async def connected() -> AsyncIterator[Connect]:
    """Connects clients, and ends their connections after the test."""
    clients: list[Esme] = []

    async def connect(server: SmppServer, **options: Any) -> Esme:
        client = await Esme.connect(server.port, **options)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        await client.abort()


@pytest.fixture
def deaf() -> Iterator[Callable[[SmppServer], Deaf]]:
    """Connects clients that do not read."""
    clients: list[Deaf] = []

    def connect(server: SmppServer) -> Deaf:
        clients.append(Deaf(server.port))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The TLS settings with a certificate of localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *options.split(), *names], cwd=folder, check=True, capture_output=True)
    return {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


@pytest.fixture
def trusting(certificate: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate["certificate"])
