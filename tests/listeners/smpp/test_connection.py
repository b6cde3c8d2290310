"""One connection: what is answered and when, what it survives, and when it stops reading."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest
import structlog
from argon2 import PasswordHasher
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import (
    ENQUIRE_LINK,
    GENERIC_NACK,
    RESPONSE,
    RX,
    SUBMIT_SM,
    TRX,
    TX,
    UNBIND,
    Deaf,
    bind_body,
    pdu,
    submit_body,
    tlv,
)
from listeners.smpp.world import World, account

from bridge.errors import Refusal
from bridge.listeners.smpp.server import SmppServer
from bridge.message import Reason

NUMBER = "380501234567"
SUBMIT_SM_RESP = SUBMIT_SM | RESPONSE


# --- submit_sm ---------------------------------------------------------------------------------------------------


async def test_acknowledged_once_it_is_on_disk(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    world.ledger.held = asyncio.Event()
    answer = client.request(SUBMIT_SM, submit_body(NUMBER))
    await world.ledger.until(1)
    assert (await client.ask(ENQUIRE_LINK)).status == 0
    assert not answer.done()
    world.ledger.held.set()
    async with asyncio.timeout(10):
        assert (await answer).message_id == str(world.ledger.taken[0].message_id)


async def test_ids_in_hex(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve([account(message_id="hex")]))
    answer = await client.submit(NUMBER)
    assert answer.message_id == f"{world.ledger.taken[0].message_id:x}"


async def test_many_at_once_are_answered_each_by_its_own(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    texts = [f"text {number}".encode() for number in range(250)]
    answers = await asyncio.gather(*(client.request(SUBMIT_SM, submit_body(NUMBER, text)) for text in texts))
    stored = {str(message.message_id): message.text for message in world.ledger.taken}
    assert [stored[answer.message_id] for answer in answers] == [text.decode() for text in texts]


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.THROTTLED, 0x58), (Reason.QUEUE_FULL, 0x14), (Reason.NO_ROUTE, 0x0B), (Reason.UNSUPPORTED, 0x45)],
)
async def test_refused_by_intake(serve: Serve, bound: Connect, world: World, reason: Reason, status: int) -> None:
    client = await bound(await serve())
    world.ledger.refusal = Refusal(reason, "no")
    answer = await client.submit(NUMBER)
    assert (answer.command, answer.status, answer.body) == (SUBMIT_SM_RESP, status, b"")
    world.ledger.refusal = None
    assert (await client.submit(NUMBER)).status == 0


async def test_the_disk_takes_nothing(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    world.ledger.full = True
    answers = await asyncio.gather(*(client.request(SUBMIT_SM, submit_body(NUMBER)) for _ in range(3)))
    assert [answer.status for answer in answers] == [0x08] * 3
    world.ledger.full, world.ledger.no_ids = False, True
    assert (await client.submit(NUMBER)).status == 0x08
    world.ledger.no_ids = False
    assert (await client.submit(NUMBER)).status == 0


async def test_good_and_bad_in_one_segment(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    numbers = [NUMBER, "123", NUMBER, "", NUMBER]
    answers = await asyncio.gather(*(client.request(SUBMIT_SM, submit_body(number)) for number in numbers))
    assert [answer.status for answer in answers] == [0, 0x0B, 0, 0x0B, 0]
    assert len(world.ledger.taken) == 3


async def test_a_client_that_leaves_before_its_answer(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve()
    client = await bound(server)
    world.ledger.held = asyncio.Event()
    client.request(SUBMIT_SM, submit_body(NUMBER))
    await world.ledger.until(1)
    await client.abort()
    world.ledger.held.set()
    await (await bound(server)).unbind()


# --- what a session survives -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "body", "answered", "status"),
    [
        (0x999, b"", GENERIC_NACK, 0x03),
        (SUBMIT_SM, b"", SUBMIT_SM_RESP, 0x02),
        (SUBMIT_SM, submit_body(NUMBER)[:-3], SUBMIT_SM_RESP, 0x01),
        (SUBMIT_SM, submit_body("3" * 21), SUBMIT_SM_RESP, 0x0B),
        (SUBMIT_SM, submit_body(NUMBER, tlvs=b"\x02\x04\x00"), SUBMIT_SM_RESP, 0xC0),
        (SUBMIT_SM, submit_body(NUMBER, tlvs=tlv(0x020E, b"\0\0")), SUBMIT_SM_RESP, 0xC2),
        (SUBMIT_SM, submit_body(NUMBER, schedule="soon"), SUBMIT_SM_RESP, 0x61),
        (SUBMIT_SM, submit_body(NUMBER, priority=9), SUBMIT_SM_RESP, 0x06),
        (SUBMIT_SM, submit_body(NUMBER, data_coding=0x0C), SUBMIT_SM_RESP, 0x45),  # 3.4 has no code for it
        (TRX, bind_body("acme", "secret"), TRX | RESPONSE, 0x05),
        (0x05, submit_body(NUMBER), GENERIC_NACK, 0x04),
    ],
)
async def test_malformed_and_misplaced(
    serve: Serve, bound: Connect, world: World, command: int, body: bytes, answered: int, status: int
) -> None:
    client = await bound(await serve())
    answer = await client.ask(command, body)
    assert (answer.command, answer.status, answer.body) == (answered, status, b"")
    assert world.ledger.taken == []
    assert (await client.submit(NUMBER)).status == 0


async def test_data_coding_that_5_0_has_a_code_for(serve: Serve, bound: Connect) -> None:
    client = await bound(await serve(), version=0x50)
    assert (await client.submit(NUMBER, data_coding=0x0C)).status == 0x104


@pytest.mark.parametrize("kind", [None, RX])
async def test_submit_where_it_has_no_place(serve: Serve, connected: Connect, world: World, kind: int | None) -> None:
    client = await connected(await serve())
    if kind is not None:
        await client.bind(kind)
    answer = await client.submit(NUMBER)
    assert (answer.command, answer.status) == (SUBMIT_SM_RESP, 0x04)
    assert world.ledger.taken == []
    if kind is None:
        assert (await client.bind()).status == 0


@pytest.mark.parametrize("length", [0, 15, 0x7FFFFFFF])
async def test_lost_in_the_stream(serve: Serve, bound: Connect, length: int) -> None:
    server = await serve()
    client, other = await bound(server), await bound(server)
    client.write(struct.pack(">IIII", length, SUBMIT_SM, 0, 9) + b"rest")
    await client.end()
    assert [(answer.command, answer.status) for answer in client.answers[1:]] == [(GENERIC_NACK, 0x02)]
    assert (await other.submit(NUMBER)).status == 0


async def test_answers_to_nothing_are_passed_over(serve: Serve, bound: Connect) -> None:
    client = await bound(await serve())
    for command in (GENERIC_NACK, 0x80000005, 0x80000004, 0x80000006, 0x80000999):
        client.write(pdu(command, sequence=77))
    assert (await client.submit(NUMBER)).status == 0
    assert len(client.seen) == 2


async def test_octet_by_octet(serve: Serve, connected: Connect, world: World) -> None:
    client = await connected(await serve())
    octets = pdu(TRX, bind_body("acme", "secret"), sequence=1) + pdu(SUBMIT_SM, submit_body(NUMBER), sequence=2)
    client.writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in octets:
        client.write(bytes((octet,)))
        await asyncio.sleep(0)
    await client.until(lambda: len(client.answers) == 2)
    assert [(answer.sequence, answer.status) for answer in client.answers] == [(1, 0), (2, 0)]


@pytest.mark.parametrize(
    "password", ["secret", PasswordHasher(time_cost=1, memory_cost=64).hash("secret")], ids=["plain", "hashed"]
)
async def test_a_client_that_does_not_wait_for_its_bind(
    serve: Serve, connected: Connect, world: World, password: str
) -> None:
    client = await connected(await serve([account(password=password)]))
    answers = [client.request(TRX, bind_body("acme", "secret"))]
    answers += [client.request(SUBMIT_SM, submit_body(NUMBER)) for _ in range(5)]
    async with asyncio.timeout(10):
        assert [(await answer).status for answer in answers] == [0] * 6
    assert client.seen[0][0] == TRX | RESPONSE
    assert len(world.ledger.taken) == 5


async def test_a_hasty_client_that_is_refused(serve: Serve, connected: Connect, world: World) -> None:
    client = await connected(await serve())
    bind = client.request(TRX, bind_body("acme", "wrong"))
    client.request(SUBMIT_SM, submit_body(NUMBER))
    assert (await bind).status == 0x0E
    await client.end()
    assert world.ledger.taken == []


# --- unbind, enquire_link, timers --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RX, TX, TRX])
async def test_unbind(serve: Serve, bound: Connect, kind: int) -> None:
    client = await bound(await serve(), kind)
    assert (await client.ask(UNBIND)).status == 0


async def test_unbind_waits_for_what_is_unanswered(serve: Serve, bound: Connect, world: World) -> None:
    client = await bound(await serve())
    world.ledger.held = asyncio.Event()
    client.request(SUBMIT_SM, submit_body(NUMBER))
    await world.ledger.until(1)
    unbound = client.request(UNBIND)
    await client.ask(ENQUIRE_LINK)
    assert not unbound.done()
    world.ledger.held.set()
    assert (await unbound).status == 0
    assert [command for command, _ in client.seen[-2:]] == [SUBMIT_SM_RESP, UNBIND | RESPONSE]


async def test_we_ask_whether_the_client_is_there(serve: Serve, bound: Connect) -> None:
    client = await bound(await serve(enquire_link_interval=0.1, response_timeout=0.1))
    await client.until(lambda: [command for command, _ in client.seen].count(ENQUIRE_LINK) == 3)
    assert not client.closed.is_set()


async def test_a_client_that_is_not_there_any_more(serve: Serve, bound: Connect) -> None:
    client = await bound(await serve(enquire_link_interval=0.1, response_timeout=0.1))
    client.alive = False
    await client.end(5)
    assert [command for command, _ in client.seen] == [TRX | RESPONSE, ENQUIRE_LINK]


async def test_a_client_that_never_binds(serve: Serve, connected: Connect) -> None:
    client = await connected(await serve(session_init_timeout=0.2))
    await client.ask(ENQUIRE_LINK)
    await client.end(5)


async def test_an_idle_client_is_unbound(serve: Serve, bound: Connect) -> None:
    client = await bound(await serve(enquire_link_interval=0.1, inactivity_timeout=0.4))
    await client.end(5)
    assert client.seen[-1][0] == UNBIND


# --- back-pressure -----------------------------------------------------------------------------------------------


async def test_reading_stops_while_the_window_is_full(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account(window=2), account("other")])
    client, other = await bound(server), await bound(server, system_id="other")
    world.ledger.held = asyncio.Event()
    answers = [client.request(SUBMIT_SM, submit_body(NUMBER)) for _ in range(2)]
    await world.ledger.until(2)
    answers += [client.request(SUBMIT_SM, submit_body(NUMBER)) for _ in range(2)]
    await client.writer.drain()
    for _ in range(3):  # the server has had its chances
        await other.ask(ENQUIRE_LINK)
    assert len(world.ledger.taken) == 2
    world.ledger.held.set()
    async with asyncio.timeout(10):
        assert [(await answer).status for answer in answers] == [0] * 4


async def test_a_client_that_never_reads(
    serve: Serve, bound: Connect, world: World, deaf: Callable[[SmppServer], Deaf]
) -> None:
    """Nothing more is read from it, others are served, and it is cut off like one that is not there."""
    server = await serve([account(max_binds=1), account("other")], response_timeout=4.0)
    client = deaf(server)
    await client.write(pdu(TX, bind_body("acme", "secret")))
    flooding = asyncio.create_task(client.flood(pdu(ENQUIRE_LINK) * 500))
    other = await bound(server, system_id="other")
    while not flooding.done():
        assert (await other.submit(NUMBER)).status == 0
    await flooding
    await client.cut_off()
    await bound(server)  # its place is free again


# --- logs --------------------------------------------------------------------------------------------------------


async def test_logs_show_no_secret_no_number_and_no_text(serve: Serve, connected: Connect, world: World) -> None:
    client = await connected(await serve())
    with structlog.testing.capture_logs() as logs:
        await client.bind()
        await client.submit(NUMBER, b"a private text")
        world.ledger.refusal = Refusal(Reason.NO_ROUTE, "no route")
        await client.submit(NUMBER, b"a private text")
        await client.submit("ACME", b"a private text")
        await client.ask(SUBMIT_SM, submit_body("3" * 21, b"a private text"))
        await client.submit(NUMBER, b"private\xff", data_coding=1)
        await client.unbind()
    shown = str(logs)
    assert [line["event"] for line in logs].count("submit_refused") == 3
    assert "pdu_malformed" in shown
    for hidden in ("secret", NUMBER, "private", "3333"):
        assert hidden not in shown
