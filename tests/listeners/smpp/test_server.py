"""The server: who may bind, TLS, how many, start and stop."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import structlog
from argon2 import PasswordHasher
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import RESPONSE, RX, SUBMIT_SM, TRX, TX, UNBIND, Esme, submit_body, tlv
from listeners.smpp.world import World, account

RBINDFAIL, RINVPASWD = 0x0D, 0x0E


@pytest.mark.parametrize("kind", [RX, TX, TRX])
@pytest.mark.parametrize(
    ("version", "said"), [(0x00, b""), (0x33, b""), (0x34, tlv(0x0210, b"\x34")), (0x50, tlv(0x0210, b"\x50"))]
)
async def test_binds(serve: Serve, connected: Connect, kind: int, version: int, said: bytes) -> None:
    client = await connected(await serve(system_id="centre"))
    answer = await client.bind(kind, version=version)
    assert (answer.command, answer.status, answer.body) == (kind | RESPONSE, 0, b"centre\0" + said)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"password": "wrong"}, RINVPASWD),
        ({"password": ""}, RINVPASWD),
        ({"system_id": "nobody"}, RINVPASWD),
        ({"system_id": ""}, RINVPASWD),
    ],
)
async def test_refused_binds(serve: Serve, connected: Connect, words: dict[str, str], status: int) -> None:
    client = await connected(await serve())
    with structlog.testing.capture_logs() as logs:
        answer = await client.bind(**words)
        await client.end()
    assert (answer.command, answer.status, answer.body) == (TRX | RESPONSE, status, b"")
    (line,) = [line for line in logs if line["event"] == "bind_refused"]
    assert line["peer"] == "127.0.0.1"
    assert "wrong" not in str(logs)


async def test_a_password_that_is_hashed(serve: Serve, connected: Connect) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
    server = await serve([account(password=hashed)])
    assert (await (await connected(server)).bind(password=hashed[:63])).status == RINVPASWD
    assert (await (await connected(server)).bind()).status == 0


async def test_max_binds(serve: Serve, connected: Connect, bound: Connect) -> None:
    accounts = [account(max_binds=2), account("other")]
    server = await serve(accounts)
    elsewhere = await serve(accounts)
    first = await bound(server)
    await bound(elsewhere, RX)
    assert (await (await connected(server)).bind(TX)).status == RBINDFAIL  # counted over all addresses
    await bound(server, system_id="other")
    await first.unbind()
    await bound(server)


async def test_max_binds_while_passwords_are_checked(serve: Serve, connected: Connect) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
    server = await serve([account(password=hashed, max_binds=1)])
    clients = [await connected(server) for _ in range(4)]
    answers = await asyncio.gather(*(client.bind() for client in clients))
    assert sorted(answer.status for answer in answers) == [0, RBINDFAIL, RBINDFAIL, RBINDFAIL]


async def test_a_client_that_leaves_while_its_password_is_checked(serve: Serve, connected: Connect) -> None:
    hashed = PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1).hash("secret")
    server = await serve([account(password=hashed, max_binds=1)])
    hasty = await connected(server)
    hasty.request(TRX, b"acme\0secret\0\0\x34\0\0\0")
    await hasty.writer.drain()
    await hasty.abort()
    # Its place is free again, as soon as the server looks at its connection.
    async with asyncio.timeout(10):
        while (await (await connected(server)).bind()).status:
            pass


async def test_max_connections(serve: Serve, connected: Connect, bound: Connect) -> None:
    server = await serve(max_connections=1)
    first = await bound(server)
    await (await connected(server)).end()
    await first.unbind()
    await bound(server)


async def test_accounts_are_replaced(serve: Serve, connected: Connect, bound: Connect) -> None:
    server = await serve()
    stays = await bound(server)
    server.replace_accounts([account("new")])
    assert (await stays.submit("380501234567")).status == 0
    assert (await (await connected(server)).bind()).status == RINVPASWD
    await bound(server, system_id="new")


async def test_an_address_that_is_taken(serve: Serve) -> None:
    server = await serve()
    with pytest.raises(OSError, match="in use"):
        await serve(listen=f"127.0.0.1:{server.port}")


# --- TLS ---------------------------------------------------------------------------------------------------------


async def test_tls(serve: Serve, connected: Connect, certificate: dict[str, str], trusting: ssl.SSLContext) -> None:
    client = await connected(await serve(tls=certificate), tls=trusting)
    assert (await client.bind()).status == 0
    assert (await client.submit("380501234567", b"x" * 100)).status == 0
    await client.unbind()


async def test_tls_1_1_is_not_spoken(serve: Serve, certificate: dict[str, str], trusting: ssl.SSLContext) -> None:
    server = await serve(tls=certificate)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        trusting.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await Esme.connect(server.port, tls=trusting)


async def test_clients_with_certificates(
    serve: Serve, connected: Connect, certificate: dict[str, str], trusting: ssl.SSLContext
) -> None:
    server = await serve(tls={**certificate, "client_ca": certificate["certificate"]})
    stranger = await connected(server, tls=trusting)  # in TLS 1.3 the client hears of it after its own handshake
    await stranger.end()
    trusting.load_cert_chain(certificate["certificate"], certificate["key"])
    client = await connected(server, tls=trusting)
    assert (await client.bind()).status == 0


async def test_no_tls_where_it_is_due(serve: Serve, connected: Connect, certificate: dict[str, str]) -> None:
    client = await connected(await serve(tls=certificate))
    client.request(TRX, b"acme\0secret\0\0\x34\0\0\0")
    await client.end()
    assert client.answers == []


async def test_a_handshake_that_never_comes(serve: Serve, connected: Connect, certificate: dict[str, str]) -> None:
    client = await connected(await serve(tls=certificate, session_init_timeout=0.2))
    await client.end(5)


@pytest.mark.parametrize("wrong", [{"certificate": "missing.pem"}, {"key": "missing.pem"}])
async def test_tls_files_that_are_missing(serve: Serve, certificate: dict[str, str], wrong: dict[str, str]) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on OpenSSL
        await serve(tls={**certificate, **wrong})


# --- stop --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RX, TX, TRX])
async def test_stop_unbinds(serve: Serve, bound: Connect, kind: int) -> None:
    server = await serve()
    client = await bound(server, kind)
    await server.stop(10)
    await client.end()
    assert client.seen[-1][0] == UNBIND
    with pytest.raises(ConnectionRefusedError):
        await Esme.connect(server.port)


async def test_stop_answers_what_was_taken_before_it_unbinds(serve: Serve, bound: Connect, world: World) -> None:
    world.ledger.held = asyncio.Event()
    server = await serve()
    client = await bound(server)
    client.request(SUBMIT_SM, submit_body("380501234567"))
    await world.ledger.until(1)
    stopping = asyncio.create_task(server.stop(10))
    await asyncio.sleep(0)  # it has begun
    late = await client.submit("380501234567")
    assert late.status == 0x08  # come again: to the next process
    world.ledger.held.set()
    await stopping
    await client.end()
    assert [command for command, _ in client.seen[1:]] == [SUBMIT_SM | RESPONSE, SUBMIT_SM | RESPONSE, UNBIND]
    assert len(world.ledger.taken) == 1


@pytest.mark.parametrize("options", [{"polite": False}, {"alive": False}])
async def test_stop_does_not_wait_for_ever(serve: Serve, bound: Connect, options: dict[str, Any]) -> None:
    server = await serve()
    client = await bound(server)
    client.polite = options.get("polite", True)
    client.alive = options.get("alive", True)
    async with asyncio.timeout(5):
        await server.stop(0.2)
        await client.end()


async def test_stop_closes_what_is_not_bound(serve: Serve, connected: Connect) -> None:
    server = await serve()
    client = await connected(server)
    await client.request(0x15)  # the server knows it: enquire_link is legal before a bind
    async with asyncio.timeout(5):
        await server.stop(10)
    await client.end()
    assert [command for command, _ in client.seen] == [0x15 | RESPONSE]


async def test_stop_without_start(serve: Serve) -> None:
    server = await serve()
    await server.stop()
    await server.stop()
