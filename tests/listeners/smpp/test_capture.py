"""Watching PDUs: whose, in which order, cut how, and what a slow watcher loses."""

from __future__ import annotations

import asyncio

import pytest
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import ENQUIRE_LINK, RESPONSE, SUBMIT_SM, TRX, bind_body, pdu, submit_body
from listeners.smpp.world import World, account

from bridge.listeners.smpp.capture import Capture, Caught, Ends, Tap
from bridge.listeners.smpp.server import SmppServer

ENDS = Ends(1, ("192.0.2.1", 40000), ("192.0.2.2", 2775))
BIND = pdu(TRX, bind_body("acme", "secret"), sequence=1)
LINK = pdu(ENQUIRE_LINK, sequence=9)


def capture(**keys: object) -> Capture:
    return Capture("acme", "acme", **{"hidden": False, **keys})  # type: ignore[arg-type]


async def caught(watching: Capture) -> list[Caught]:
    """What there is until now."""
    watching.close()
    found: list[Caught] = []
    while (more := await watching.next()) is not None:
        found += more[0]
    return found


def commands(found: list[Caught]) -> list[tuple[bool, int]]:
    return [(each.incoming, int.from_bytes(each.pdu[4:8], "big")) for each in found]


# --- a tap --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 16, 17, 1000])
async def test_octets_are_cut_into_pdus(step: int) -> None:
    watching = capture()
    tap = Tap(ENDS, [watching], system_id="acme")
    stream = LINK + pdu(SUBMIT_SM, submit_body("380501234567")) + LINK
    for start in range(0, len(stream), step):
        tap.received(stream[start : start + step], 5.0)
    found = await caught(watching)
    assert [each.pdu for each in found] == [LINK, pdu(SUBMIT_SM, submit_body("380501234567")), LINK]
    assert [each.offset for each in found] == [0, 16, len(stream) - 16]
    assert {(each.at, each.client, each.server) for each in found} == {(5.0, ENDS.client, ENDS.server)}


async def test_a_watch_that_begins_in_the_middle_of_a_pdu_shows_all_of_it() -> None:
    watching = capture()
    late = pdu(ENQUIRE_LINK, sequence=10)
    tap = Tap(ENDS, [watching], system_id="acme", unread=LINK + late[:7])
    tap.received(late[7:], 1.0)
    assert [each.pdu for each in await caught(watching)] == [late]


async def test_what_cannot_be_framed_is_shown_as_it_is() -> None:
    watching = capture()
    tap = Tap(ENDS, [watching], system_id="acme")
    tap.received(LINK + b"GET / HTTP/1.1\r\n\r\n", 1.0)
    tap.received(b"\0\0\0\x02more", 1.0)
    assert [each.pdu for each in await caught(watching)] == [LINK, b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x02more"]


async def test_until_the_bind_nothing_is_shown_then_everything() -> None:
    mine, other = capture(), Capture("other", "other", hidden=False)
    tap = Tap(ENDS, [mine, other])
    tap.received(LINK, 1.0)
    tap.sent(pdu(ENQUIRE_LINK | RESPONSE, sequence=9), 1.0)
    tap.received(BIND, 2.0)
    tap.sent(pdu(TRX | RESPONSE, b"us\0"), 3.0)
    assert commands(await caught(mine)) == [
        (True, ENQUIRE_LINK), (False, ENQUIRE_LINK | RESPONSE), (True, TRX), (False, TRX | RESPONSE),
    ]  # fmt: skip
    assert await caught(other) == []


async def test_who_never_binds_is_not_kept() -> None:
    watching = capture()
    tap = Tap(ENDS, [watching])
    for _ in range(40):
        tap.received(LINK, 1.0)
    tap.received(BIND, 1.0)
    assert await caught(watching) == []


async def test_a_bind_that_cannot_be_read_is_nobodys() -> None:
    watching = capture()
    tap = Tap(ENDS, [watching])
    tap.received(pdu(TRX, b"acme"), 1.0)
    tap.received(BIND, 1.0)
    assert await caught(watching) == []


async def test_passwords_are_hidden_texts_where_asked_for() -> None:
    plain, hidden = capture(), capture(hidden=True)
    tap = Tap(ENDS, [plain, hidden])
    tap.received(BIND + pdu(SUBMIT_SM, submit_body("380501234567", b"private")), 1.0)
    shown = b"".join([each.pdu for each in await caught(plain)])
    masked = b"".join([each.pdu for each in await caught(hidden)])
    assert b"secret" not in shown + masked
    assert b"private" in shown
    assert b"private" not in masked
    assert b"380501234567" not in masked


async def test_a_slow_watcher_loses_and_is_told_how_many() -> None:
    watching = capture(limit=1000)
    tap = Tap(ENDS, [watching], system_id="acme")
    for _ in range(10):
        tap.received(LINK, 1.0)
    first = await watching.next()
    assert first is not None
    assert (len(first[0]), first[1]) == (3, 7)
    tap.received(LINK, 1.0)  # there is room again
    second = await watching.next()
    assert second is not None
    assert (second[0][0].offset, second[1]) == (160, 0)
    assert (watching.caught, watching.lost) == (4, 7)


async def test_waiting_ends_with_the_watch() -> None:
    watching = capture()
    waiting = asyncio.ensure_future(watching.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    watching.close()
    assert await waiting is None


# --- a server -----------------------------------------------------------------------------------------------------


@pytest.fixture
def watched() -> Capture:
    return capture()


def watch(server: SmppServer, watching: Capture) -> int:
    server._binds.captures.append(watching)
    return server.watch(watching)


async def test_binds_there_are_and_those_to_come(serve: Serve, bound: Connect, watched: Capture) -> None:
    server = await serve([account(), account("other")])
    first, other = await bound(server), await bound(server, system_id="other")
    assert watch(server, watched) == 1
    second = await bound(server)
    for client in (first, other, second):
        await client.submit("380501234567")
    found = await caught(watched)
    by_connection: dict[tuple[str, int], list[tuple[bool, int]]] = {}
    for each in found:
        by_connection.setdefault(each.client, []).append(commands([each])[0])
    submit = [(True, SUBMIT_SM), (False, SUBMIT_SM | RESPONSE)]
    assert by_connection == {
        first.writer.get_extra_info("sockname"): submit,
        second.writer.get_extra_info("sockname"): [(True, TRX), (False, TRX | RESPONSE), *submit],
    }
    assert {each.server for each in found} == {("127.0.0.1", server.port)}
    assert len({each.connection for each in found}) == 2


async def test_a_refused_bind_is_shown_to_whose_name_it_used(
    serve: Serve, connected: Connect, watched: Capture
) -> None:
    server = await serve()
    watch(server, watched)
    client = await connected(server)
    assert (await client.bind(password="wrong")).status == 0x0E
    assert commands(await caught(watched)) == [(True, TRX), (False, TRX | RESPONSE)]


async def test_a_connection_that_was_there_unbound(serve: Serve, connected: Connect, watched: Capture) -> None:
    server = await serve()
    client = await connected(server)
    await client.ask(ENQUIRE_LINK)
    assert watch(server, watched) == 0
    await client.bind()
    assert commands(await caught(watched)) == [(True, TRX), (False, TRX | RESPONSE)]


async def test_receipts_are_shown(serve: Serve, bound: Connect, world: World, watched: Capture) -> None:
    server = await serve()
    client = await bound(server)
    watch(server, watched)
    await world.owe(1)
    await client.receipts(1)
    await client.ask(ENQUIRE_LINK)
    assert commands(await caught(watched))[:2] == [(False, 0x05), (True, 0x05 | RESPONSE)]


async def test_two_watch_and_one_leaves(serve: Serve, bound: Connect, watched: Capture) -> None:
    server = await serve()
    client = await bound(server)
    other = capture()
    watch(server, watched)
    watch(server, other)
    await client.ask(ENQUIRE_LINK)
    server.unwatch(watched)
    await client.ask(ENQUIRE_LINK)
    server.unwatch(other)
    await client.ask(ENQUIRE_LINK)
    assert [len(await caught(each)) for each in (watched, other)] == [2, 4]
    assert {connection.tap for connection in server._connections} == {None}
