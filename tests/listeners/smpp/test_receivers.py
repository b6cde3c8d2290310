"""What an account is owed, shared among its binds that may receive, until it has all of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
import structlog
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import (
    DATA_SM,
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    RESPONSE,
    RX,
    TRX,
    TX,
    UNBIND,
    Deaf,
    Deliver,
    Esme,
    bind_body,
    pdu,
)
from listeners.smpp.world import World, account

from bridge.listeners.smpp import connection as module
from bridge.listeners.smpp.server import SmppServer

NUMBER = "380501234567"
RTHROTTLED, RSUBMITFAIL, RINVDSTADR = 0x58, 0x45, 0x0B
RX_P_APPN, RX_R_APPN = 0x65, 0x66


def ids(client: Esme) -> list[str]:
    return [deliver.receipt["id"] for deliver in client.delivered]


async def test_told_and_confirmed(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    owed = await world.owe(3)
    await client.receipts(3)
    assert ids(client) == owed
    await world.nothing_owed()
    record = await world.store.find(int(owed[0]))
    assert record is not None
    assert record.timeline[-1].items() >= {"event": "reported", "listener": "smpp", "id": int(owed[0])}.items()


async def test_kept_while_nobody_is_bound_to_receive(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account(), account("other")])
    owed = await world.owe(3)
    transmitter = await bound(server, TX)
    other = await bound(server, system_id="other")
    await transmitter.ask(ENQUIRE_LINK)
    await other.ask(ENQUIRE_LINK)
    assert transmitter.delivered == other.delivered == []
    receiver = await bound(server, RX)
    await receiver.receipts(3)
    assert ids(receiver) == owed
    assert receiver.seen[0][0] == RX | RESPONSE  # the bind is answered first


async def test_shared_among_binds(serve: Serve, bound: Connect, world: World) -> None:
    server, elsewhere = await serve(), await serve()
    clients = [await bound(server, RX), await bound(elsewhere, TRX)]
    owed = await world.owe(10)
    await world.nothing_owed()
    assert sorted(ids(clients[0]) + ids(clients[1])) == sorted(owed)
    assert [len(client.delivered) for client in clients] == [5, 5]


async def test_the_bind_with_the_least_unanswered_is_next(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve()
    slow, quick = await bound(server), await bound(server)
    slow.answering = lambda deliver: None
    await world.owe(8)
    await slow.receipts(4)
    await quick.receipts(4)
    await quick.ask(ENQUIRE_LINK)
    await world.owe(4)
    await quick.receipts(8)
    assert (len(slow.delivered), len(quick.delivered)) == (4, 8)


async def test_by_data_sm_where_the_client_wants_that(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account(receipts={"by": "data_sm"})])
    client = await bound(server)
    owed = await world.owe(2)
    await client.receipts(2)
    assert ids(client) == owed
    assert {deliver.command for deliver in client.delivered} == {DATA_SM}
    assert {deliver.esm_class for deliver in client.delivered} == {0x04}
    await world.nothing_owed()
    await client.abort()
    old = await bound(server, version=0x33)
    (late,) = await world.owe()
    await old.receipts(1)
    assert [(deliver.command, deliver.receipt["id"]) for deliver in old.delivered] == [(DELIVER_SM, late)]


async def test_the_window_of_a_bind(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve([account(deliver_window=8)]))
    client.answering = lambda deliver: None
    await world.owe(20)
    await client.receipts(8)
    await client.ask(ENQUIRE_LINK)
    assert len(client.delivered) == 8
    client.answering = lambda deliver: 0
    for deliver in list(client.delivered):
        client.write(pdu(DELIVER_SM | RESPONSE, b"\0", sequence=deliver.sequence))
    await client.receipts(20)
    await world.nothing_owed()
    assert len(set(ids(client))) == 20


async def test_told_again_after_a_connection_that_broke(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve()
    first = await bound(server)
    first.answering = lambda deliver: None
    owed = await world.owe(3)
    await first.receipts(3)
    await first.abort()
    second = await bound(server)
    await second.receipts(3, 4)  # at once: nothing was refused
    assert ids(second) == owed
    await world.nothing_owed()


async def test_another_bind_takes_over_at_once(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve()
    dying, living = await bound(server), await bound(server)
    dying.answering = lambda deliver: None
    owed = await world.owe(10)
    await dying.receipts(5)
    await dying.abort()
    await living.receipts(10, 4)
    assert sorted(ids(living)) == sorted(owed)


async def test_nothing_after_the_client_unbinds(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve()
    client = await bound(server)
    await client.ask(UNBIND)
    owed = await world.owe()
    await client.ask(ENQUIRE_LINK)
    assert client.delivered == []
    other = await bound(server)
    await other.receipts(1)
    assert ids(other) == owed


@pytest.mark.parametrize("status", [0x08, 0x14, RSUBMITFAIL, RTHROTTLED, 0x64, 0x67, 0xFE, 0xFF])
async def test_come_again_later(serve: Serve, bound: Connect, world: World, status: int) -> None:
    """Not at once, and as often as the client says so."""
    client = await bound(await serve())
    client.answering = lambda deliver: status
    owed = await world.owe()
    for times in range(1, 6):
        await client.receipts(times)
        await client.ask(ENQUIRE_LINK)
        assert len(client.delivered) == times
        await postponed(world, times)
        await world.skip(61.0 * 2**times)
    client.answering = lambda deliver: 0
    await world.skip(4000.0)
    await world.nothing_owed()
    assert set(ids(client)) == set(owed)


async def postponed(world: World, times: int) -> None:
    """Waits until something has been put off so many times, on disk."""
    async with asyncio.timeout(10):
        while True:
            owed = await world.store.owed("smpp", "acme", 0, 10, world.clock() + 1e9)
            if [item.attempts for item in owed] == [times]:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", [RINVDSTADR, 0xC0, 0x15])
async def test_given_up_after_lasting_refusals(serve: Serve, bound: Connect, world: World, status: int) -> None:
    client = await bound(await serve())
    client.answering = lambda deliver: status
    (message_id,) = await world.owe()
    for times in (1, 2):
        await client.receipts(times)
        await postponed(world, times)
        await world.skip(61.0)
    with structlog.testing.capture_logs() as logs:
        await client.receipts(3)
        await world.nothing_owed()
    (line,) = [line for line in logs if line["event"] == "report_given_up"]
    assert line.items() >= {"id": int(message_id), "why": f"command_status 0x{status:02X}"}.items()
    record = await world.store.find(int(message_id))
    assert record is not None
    assert record.timeline[-1]["event"] == "report_given_up"


async def test_a_client_that_wants_nothing_for_an_address(serve: Serve, bound: Connect, world: World) -> None:
    """Neither is it asked again, nor about what else was owed for that address then."""
    client = await bound(await serve([account(deliver_window=8)]))
    client.answering = lambda deliver: RX_P_APPN
    with structlog.testing.capture_logs() as logs:
        owed = await world.owe(20)
        await world.nothing_owed()
    assert ids(client) == owed[:8]
    given_up = [line for line in logs if line["event"] == "report_given_up"]
    assert sorted(str(line["id"]) for line in given_up) == sorted(owed)
    client.answering = lambda deliver: 0
    (later,) = await world.owe()
    await client.receipts(9)
    assert ids(client)[-1] == later


async def test_a_client_that_rejects_one(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    client.answering = lambda deliver: RX_R_APPN if len(client.delivered) == 2 else 0
    with structlog.testing.capture_logs() as logs:
        owed = await world.owe(4)
        await world.nothing_owed()
    assert ids(client) == owed
    assert [str(line["id"]) for line in logs if line["event"] == "report_given_up"] == owed[1:2]


async def test_one_refusal_does_not_hold_back_the_others(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    seen: Counter[str] = Counter()

    def answer(deliver: Deliver) -> int:
        seen[deliver.receipt["id"]] += 1
        return RINVDSTADR if seen.total() == 1 else 0

    client.answering = answer
    owed = await world.owe(5)
    await client.receipts(5)
    await postponed(world, 1)
    await world.skip(6.0)
    await world.nothing_owed()
    assert seen == Counter(owed) + Counter([ids(client)[0]])


async def test_a_client_that_never_answers(serve: Serve, bound: Connect, world: World) -> None:
    """The window does not stay full, and what was not answered comes again."""
    client = await bound(await serve(response_timeout=0.2, enquire_link_interval=5))
    client.answering = lambda deliver: None
    owed = await world.owe()
    await client.receipts(1)
    await postponed(world, 1)
    client.answering = lambda deliver: 0
    await world.skip(6.0)
    await world.nothing_owed()
    assert ids(client) == owed * 2


@pytest.mark.parametrize(("status", "kept"), [(0x02, False), (RTHROTTLED, True)])
async def test_generic_nack(serve: Serve, bound: Connect, world: World, status: int, kept: bool) -> None:
    """It fails like any other answer: for good, unless its status says otherwise."""
    client = await bound(await serve())

    def nack(deliver: Deliver) -> None:
        client.write(pdu(GENERIC_NACK, status=status, sequence=deliver.sequence))

    client.answering = nack
    await world.owe()
    for times in (1, 2):
        await client.receipts(times)
        await postponed(world, times)
        await world.skip(61.0)
    await client.receipts(3)
    if kept:
        await postponed(world, 3)
    else:
        await world.nothing_owed()


async def test_a_response_with_an_id_and_one_without_a_body(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    bodies = [b"77\0", b""]

    def answer(deliver: Deliver) -> None:
        client.write(pdu(DELIVER_SM | RESPONSE, bodies.pop(), sequence=deliver.sequence))

    client.answering = answer
    await world.owe(2)
    await world.nothing_owed()


async def test_older_than_the_account_wants(serve: Serve, bound: Connect, world: World) -> None:
    world.kept_s = 60.0
    await world.owe()
    world.ahead_s += 61.0
    (young,) = await world.owe()
    client = await bound(await serve())
    await client.receipts(1)
    await world.nothing_owed()
    assert ids(client) == [young]


# --- inbound -----------------------------------------------------------------------------------------------------


async def test_inbound(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    await world.owe_inbound("hello @")
    (deliver,) = await client.receipts(1)
    assert (deliver.source, deliver.destination) == ((1, 1, NUMBER), (0, 0, "7700"))
    assert (deliver.esm_class, deliver.text) == (0, b"hello \0")
    await world.nothing_owed()


async def test_inbound_in_parts_is_taken_when_all_are(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    client.answering = lambda deliver: RTHROTTLED if deliver.text[5] == 2 and len(client.delivered) <= 3 else 0
    await world.owe_inbound("x" * 400)
    await client.receipts(3)
    await postponed(world, 1)
    await world.skip(6.0)
    await client.receipts(6)
    await world.nothing_owed()
    assert [deliver.text[5] for deliver in client.delivered] == [1, 2, 3] * 2


def numbers(client: Esme) -> list[int]:
    """Which parts of an inbound message have come."""
    return [deliver.text[5] for deliver in client.delivered if deliver.esm_class == 0x40]


def confirm(client: Esme, deliver: Deliver) -> None:
    client.write(pdu(DELIVER_SM | RESPONSE, b"\0", sequence=deliver.sequence))


@pytest.mark.parametrize("version", [0x33, 0x34])
async def test_a_client_that_takes_one_at_a_time(serve: Serve, bound: Connect, world: World, version: int) -> None:
    client = await bound(await serve([account(deliver_window=1)]), version=version)
    client.answering = lambda deliver: None
    await world.owe_inbound("x" * 400)
    owed = await world.owe(2)
    for count in (1, 2, 3):
        await client.receipts(count)
        await client.ask(ENQUIRE_LINK)
        assert numbers(client) == list(range(1, count + 1))
        confirm(client, client.delivered[-1])
    client.answering = lambda deliver: 0
    await client.receipts(4)
    await client.receipts(5)
    assert [deliver.receipt["id"] for deliver in client.delivered[3:]] == owed
    await world.nothing_owed()


async def test_a_very_long_one_leaves_half_the_window_to_others(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve([account(deliver_window=8)]), version=0x33)
    client.answering = lambda deliver: None if deliver.esm_class == 0x40 else 0
    await world.owe_inbound("x" * 3000)  # 20 parts, more than the window
    await client.receipts(4)
    owed = await world.owe(10)
    await client.receipts(14)
    assert (numbers(client), ids_of_receipts(client)) == ([1, 2, 3, 4], owed)
    for number in range(20):
        await client.until(lambda number=number: len(numbers(client)) > number)
        confirm(client, [deliver for deliver in client.delivered if deliver.esm_class == 0x40][number])
    await world.nothing_owed()
    assert numbers(client) == list(range(1, 21))


def ids_of_receipts(client: Esme) -> list[str]:
    return [deliver.receipt["id"] for deliver in client.delivered if deliver.esm_class == 0x04]


async def test_after_a_part_that_fails_no_more_are_sent(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve([account(deliver_window=2)]))
    client.answering = lambda deliver: RTHROTTLED if deliver.text[5] == 2 else 0
    await world.owe_inbound("x" * 1000)
    await client.receipts(2)
    await postponed(world, 1)
    await client.ask(ENQUIRE_LINK)
    assert numbers(client) == [1, 2]
    client.answering = lambda deliver: 0
    await world.skip(6.0)
    await world.nothing_owed()
    assert numbers(client) == [1, 2, *range(1, 8)]


@pytest.mark.parametrize("politely", [True, False])
async def test_a_client_that_leaves_in_the_middle(serve: Serve, bound: Connect, world: World, politely: bool) -> None:
    """The next bind gets all of it."""
    server = await serve([account(deliver_window=2)])
    client = await bound(server)
    client.answering = lambda deliver: None
    await world.owe_inbound("x" * 1000)
    await client.receipts(1)
    if politely:
        await client.ask(UNBIND)
        confirm(client, client.delivered[0])
        await client.ask(ENQUIRE_LINK)
    await client.abort()
    assert numbers(client) == [1]
    other = await bound(server)
    await other.receipts(7)
    await world.nothing_owed()
    assert numbers(other) == list(range(1, 8))


async def test_what_cannot_be_written_holds_nothing_back(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    with structlog.testing.capture_logs() as logs:
        await world.owe_inbound("x" * 50_000)  # more than 255 parts
        owed = await world.owe(2)
        await client.receipts(2)
    assert ids(client) == owed
    assert "handing_over_failed" in [line["event"] for line in logs]


# --- a bind that does not read -----------------------------------------------------------------------------------


async def test_a_bind_that_does_not_read_its_answers(
    serve: Serve, bound: Connect, world: World, deaf: Callable[[SmppServer], Deaf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No receipt overtakes them on another bind, until the bind is given up; then the others get all."""
    monkeypatch.setattr(module, "_LAST_WORDS_S", 60.0)
    server = await serve(response_timeout=4.0)
    receiver = await bound(server, RX)
    client = deaf(server)
    await client.write(pdu(TRX, bind_body("acme", "secret")))
    await client.flood(pdu(ENQUIRE_LINK) * 500)
    owed = await world.owe(2)
    await receiver.ask(ENQUIRE_LINK)
    assert receiver.delivered == []
    await receiver.receipts(2)
    assert ids(receiver) == owed


async def test_a_client_that_stops_reading_costs_its_window_and_nobody_else(
    serve: Serve, bound: Connect, world: World, deaf: Callable[[SmppServer], Deaf]
) -> None:
    server = await serve([account(), account("other")])
    client = deaf(server)
    await client.write(pdu(TRX, bind_body("acme", "secret")))
    await world.owe(3000)
    other = await bound(server, system_id="other")
    theirs = await world.owe(200, "other")
    await other.receipts(200)
    assert ids(other) == theirs
    outbox = world.delivery.outbox("smpp", "acme")
    async with asyncio.timeout(10):
        while outbox.waiting != 2000 - 50:  # noqa: ASYNC110 - what memory holds, without what is in the window
            await asyncio.sleep(0.01)
    assert len(await world.store.owed("smpp", "acme", 0, 4000, world.clock())) == 3000
