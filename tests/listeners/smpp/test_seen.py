"""What an administrator sees of binds."""

from __future__ import annotations

import asyncio
import ssl

from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import RX, SUBMIT_SM, TX, Esme, submit_body
from listeners.smpp.world import World, account

from bridge.listeners.smpp.seen import Window


async def test_a_bind_is_seen_as_it_is(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account(window=7, deliver_window=9)])
    client = await bound(server)
    await client.submit("380501234567")
    (seen,) = server.seen()
    host, port = client.writer.get_extra_info("sockname")
    assert (seen.account, seen.system_id, seen.peer) == ("acme", "acme", f"{host}:{port}")
    assert (seen.listener, seen.kind, seen.version, seen.tls) == ("127.0.0.1:0", "transceiver", "3.4", None)
    assert abs(seen.since - world.clock()) < 60
    assert (seen.window_in, seen.window_out) == (Window(0, 7), Window(0, 9))
    assert (seen.taken_per_s, seen.handed_per_s) == (1.0, 0.0)
    assert (seen.pending, seen.clogged, seen.fault) == (0, False, None)


async def test_windows_and_what_waits_behind_them(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account(deliver_window=8)])
    client = await bound(server)
    client.answering = lambda deliver: None
    await world.owe(10)
    await client.receipts(8)
    world.ledger.held = asyncio.Event()
    client.request(SUBMIT_SM, submit_body("380501234567"))
    await world.ledger.until(1)
    (seen,) = server.seen()
    assert (seen.window_in.used, seen.window_out, seen.pending) == (1, Window(8, 8), 2)
    assert seen.handed_per_s == 8.0
    world.ledger.held.set()


async def test_each_kind_of_bind(serve: Serve, bound: Connect) -> None:
    server = await serve()
    await bound(server, TX)
    await bound(server, RX, version=0x33)
    first, second = server.seen()
    assert (first.kind, first.version, first.window_out) == ("transmitter", "3.4", Window(0, 0))
    assert (second.kind, second.version) == ("receiver", "3.3")


async def test_who_has_not_bound_is_only_counted(serve: Serve, connected: Connect) -> None:
    server = await serve()
    client = await connected(server)
    await client.ask(SUBMIT_SM)  # the answer tells that it is connected
    assert (server.seen(), server.unbound) == ([], 1)


async def test_tls_is_seen(serve: Serve, certificate: dict[str, str], trusting: ssl.SSLContext) -> None:
    server = await serve(tls=certificate)
    client = await Esme.connect(server.port, tls=trusting)
    await client.bind()
    assert [seen.tls for seen in server.seen()] == ["TLSv1.3"]
    await client.abort()
