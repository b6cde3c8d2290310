"""The load keeps its windows and limits, confirms receipts, and says when it cannot go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from bridge.cli.benching.client import Load, LoadError, submit_sm
from bridge.cli.benching.tally import Tally, destination_of
from bridge.smpp.codec import Framer, decode, encode
from bridge.smpp.enums import Status
from bridge.smpp.pdus import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from bridge.smpp.receipts import receipt_tlvs


class Smsc(asyncio.Protocol):
    """Accepts binds and gathers everything else; the test answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.framer = Framer()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.world.smscs.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.framer.feed(data)
        for pdu in self.framer:
            assert isinstance(pdu, Pdu)
            if isinstance(pdu, BindTransceiver):
                status = 0 if pdu.password == "right" else Status.RINVPASWD
                self.write(BindTransceiverResp(sequence=pdu.sequence, status=status, system_id="test"))
            else:
                self.world.heard.put_nowait((self, pdu))

    def write(self, pdu: Pdu) -> None:
        self.transport.write(encode(pdu))


class World:
    def __init__(self) -> None:
        self.smscs: list[Smsc] = []
        self.heard: asyncio.Queue[tuple[Smsc, Pdu]] = asyncio.Queue()
        self.port = 0
        self.loads: list[Load] = []

    async def load(self, *, window: int = 10, rate: float | None = None, binds: int = 1, messages: int = 100) -> Load:
        load = Load(Tally(messages), window=window, rate=rate)
        self.loads.append(load)
        await load.bind("127.0.0.1", self.port, "bench", "right", binds)
        return load

    async def next(self) -> tuple[Smsc, Pdu]:
        return await asyncio.wait_for(self.heard.get(), 10)

    async def submits(self, count: int) -> list[tuple[Smsc, SubmitSm]]:
        """So many submit_sm, and then nothing but the answer to an enquire_link."""
        found = []
        for _ in range(count):
            smsc, pdu = await self.next()
            assert isinstance(pdu, SubmitSm)
            found.append((smsc, pdu))
        for smsc in self.smscs:
            smsc.write(EnquireLink(sequence=77))
            assert await self.next() == (smsc, EnquireLinkResp(sequence=77))
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    server = await asyncio.get_running_loop().create_server(lambda: Smsc(world), "127.0.0.1", 0)
    world.port = server.sockets[0].getsockname()[1]
    yield world
    for load in world.loads:
        load.stop()
    for smsc in world.smscs:
        await asyncio.wait_for(smsc.closed, 10)
    server.close()
    await server.wait_closed()


def accepted(pdu: SubmitSm) -> SubmitSmResp:
    return SubmitSmResp(sequence=pdu.sequence, message_id=str(5000 + pdu.sequence))


def receipt(pdu: SubmitSm, sequence: int = 9) -> DeliverSm:
    return DeliverSm(
        sequence=sequence,
        source_addr=pdu.destination_addr,
        esm_class=4,
        tlvs=receipt_tlvs(accepted(pdu).message_id, 2),
    )


def test_messages_differ_and_ask_for_a_receipt() -> None:
    one, other = (decode(encode(submit_sm(number))) for number in (1, 2))
    assert isinstance(one, SubmitSm)
    assert isinstance(other, SubmitSm)
    assert one.registered_delivery == 1
    assert one.destination_addr == destination_of(1)
    assert one.short_message != other.short_message


async def test_a_window_is_kept_on_each_bind(world: World) -> None:
    load = await world.load(window=3, binds=2)
    load.submit(range(10))
    submits = await world.submits(6)
    assert sorted(pdu.destination_addr for _, pdu in submits) == [destination_of(number) for number in range(6)]
    assert [sum(smsc is each for each, _ in submits) for smsc in world.smscs] == [3, 3]
    smsc, pdu = submits[0]
    smsc.write(accepted(pdu))
    ((again, _),) = await world.submits(1)
    assert again is smsc
    assert (load.tally.submitted, load.tally.accepted) == (7, 1)


async def test_messages_on_the_way_are_bounded(world: World) -> None:
    load = await world.load(window=50)
    load.submit(range(10), on_the_way=4)
    submits = await world.submits(4)
    for smsc, pdu in submits:
        smsc.write(accepted(pdu))
    await world.submits(0)
    assert load.tally.accepted == 4
    smsc, pdu = submits[0]
    smsc.write(receipt(pdu))
    assert await world.next() == (smsc, DeliverSmResp(sequence=9))
    await world.submits(1)
    assert load.tally.reported == 1


async def test_a_refusal_makes_room_too(world: World) -> None:
    load = await world.load(window=50)
    load.submit(range(3), on_the_way=1)
    for refused in range(3):
        ((smsc, pdu),) = await world.submits(1)
        assert load.tally.refused == refused
        smsc.write(SubmitSmResp(sequence=pdu.sequence, status=Status.RTHROTTLED))
    await world.submits(0)
    assert (load.tally.refused, load.tally.accepted) == (3, 0)


async def test_a_receipt_of_nobody_is_confirmed_and_strange(world: World) -> None:
    load = await world.load()
    world.smscs[0].write(DeliverSm(sequence=4, source_addr="380671234567", esm_class=4))
    assert (await world.next())[1] == DeliverSmResp(sequence=4)
    assert load.tally.strange == 1


async def test_with_a_rate_messages_count_from_when_they_were_due(world: World) -> None:
    load = await world.load(window=1, rate=100.0)
    load.submit(range(5))
    for _ in range(5):
        smsc, pdu = await world.next()
        assert isinstance(pdu, SubmitSm)
        smsc.write(accepted(pdu))
    due = list(load.tally.submitted_at[:5])
    assert [at - due[0] for at in due] == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04])


async def test_unbind_is_answered(world: World) -> None:
    await world.load()
    world.smscs[0].write(Unbind(sequence=8))
    assert (await world.next())[1] == UnbindResp(sequence=8)


async def test_a_refused_bind_is_an_error(world: World) -> None:
    load = Load(Tally(1), window=1)
    world.loads.append(load)
    with pytest.raises(LoadError, match="refused with status 0xe"):
        await load.bind("127.0.0.1", world.port, "bench", "wrong", 1)


async def told(load: Load) -> str:
    """The error that the load has, or will have soon."""
    async with asyncio.timeout(10):
        while load.error is None:  # noqa: ASYNC110 - whoever runs a load looks at it from time to time, too
            await asyncio.sleep(0.001)
    return str(load.error)


async def test_octets_that_are_no_pdu_are_an_error(world: World) -> None:
    load = await world.load()
    world.smscs[0].transport.write(b"\0\0\0\0")
    assert "could not be read" in await told(load)


async def test_a_closed_connection_is_an_error_but_not_after_the_end(world: World) -> None:
    load, stopped = await world.load(), await world.load()
    stopped.stop()
    world.smscs[0].transport.abort()
    assert "closed while messages were under way" in await told(load)
    await world.smscs[1].closed
    assert stopped.error is None
