"""Pacing: a client over its rate is read no faster, and nothing is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import ENQUIRE_LINK, SUBMIT_SM, TRX, TX, Esme, pdu, submit_body
from listeners.smpp.requests import SUBMIT_MULTI, multi_body
from listeners.smpp.world import Ledger, World, account
from unit.desk import Limits

from bridge.admission import Admission
from bridge.errors import Refusal
from bridge.message import Message, Usage

NUMBER = "380501234567"


class Paced(Ledger):
    """A ledger that keeps to an account's rate as intake does, and notes when something came."""

    def __init__(self, rate: float, burst: int) -> None:
        super().__init__()
        self.times: list[float] = []
        self.admission = Admission(self, time.time)
        self.admission.configure({"acme": Limits(rate=rate, burst=burst, over_rate="pace")})

    def usage(self) -> Sequence[Usage]:
        return []

    def keep_usage(self, gather: object) -> asyncio.Future[None]:
        raise AssertionError("there is no quota")

    def room(self, account: str) -> tuple[int, float]:
        return self.admission.room(account)

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        assert [self.admission.refuse(message) for message in messages] == [None] * len(messages)
        self.times += [time.monotonic()] * len(messages)
        return super().accept(messages)


def burst_of(count: int, first: int = 100) -> bytes:
    return b"".join(pdu(SUBMIT_SM, submit_body(NUMBER), sequence=first + number) for number in range(count))


async def answered(*clients: Esme, count: int) -> None:
    for client in clients:
        await client.until(lambda client=client: len(client.answers) >= count + 1)  # the bind's is one
        assert {answer.status for answer in client.answers} == {0}


@pytest.fixture
def paced(world: World) -> Paced:
    ledger = world.ledger = Paced(rate=50.0, burst=5)
    return ledger


async def test_nothing_is_refused_and_the_rate_is_kept(serve: Serve, bound: Connect, paced: Paced) -> None:
    client = await bound(await serve([account(paced=True)]), TX)
    client.write(burst_of(30))
    await answered(client, count=30)
    assert paced.times[-1] - paced.times[0] >= (30 - 6) / 50 * 0.95
    assert sum(at - paced.times[0] < 0.015 for at in paced.times) <= 7  # the burst, and one more


async def test_what_waits_keeps_its_order_and_other_requests_theirs(serve: Serve, bound: Connect, paced: Paced) -> None:
    client = await bound(await serve([account(paced=True)]), TX)
    client.write(burst_of(10) + pdu(ENQUIRE_LINK, sequence=200) + burst_of(2, first=300))
    await answered(client, count=13)
    assert [answer.sequence for answer in client.answers[1:] if answer.sequence != 200] == [*range(100, 110), 300, 301]


async def test_binds_of_an_account_share_its_rate_evenly(serve: Serve, bound: Connect, world: World) -> None:
    ledger = world.ledger = Paced(rate=50.0, burst=1)
    server = await serve([account(paced=True)])
    clients = [await bound(server, TX) for _ in range(3)]
    for client in clients:
        client.write(burst_of(10))
    await clients[0].until(lambda: len(clients[0].answers) == 11)
    assert all(len(client.answers) >= 8 for client in clients)
    await answered(*clients, count=10)
    assert ledger.times[-1] - ledger.times[0] >= (30 - 2) / 50 * 0.95


async def test_one_who_leaves_while_it_waits_holds_nobody_up(serve: Serve, bound: Connect, paced: Paced) -> None:
    server = await serve([account(paced=True)])
    hasty, patient = await bound(server, TX), await bound(server, TX)
    hasty.write(burst_of(50))
    await hasty.until(lambda: len(hasty.answers) >= 5)
    await hasty.abort()
    patient.write(burst_of(5))
    await answered(patient, count=5)


async def test_one_who_keeps_to_its_rate_is_never_held_up(serve: Serve, bound: Connect, paced: Paced) -> None:
    client = await bound(await serve([account(paced=True)]), TX)
    client.write(burst_of(5))
    await answered(client, count=5)
    assert paced.times[-1] - paced.times[0] < 0.1


async def test_a_long_rest_is_no_silence(serve: Serve, bound: Connect, world: World) -> None:
    """Not read, a client cannot answer our enquire_link, so none is missed."""
    world.ledger = Paced(rate=2.0, burst=1)
    server = await serve([account(paced=True)], enquire_link_interval=0.1, inactivity_timeout=0.3, response_timeout=0.1)
    client = await bound(server, TX)
    client.write(burst_of(4))
    await answered(client, count=4)


async def test_a_debt_does_not_make_deaf(serve: Serve, bound: Connect, world: World) -> None:
    """What one submit_multi is over the rate holds up the next submission, and nothing else."""
    world.ledger = Paced(rate=20.0, burst=1)
    server = await serve([account(paced=True)], response_timeout=0.2)
    client = await bound(server, TRX)
    assert (await client.ask(SUBMIT_MULTI, multi_body(*[f"3805012345{number:02}" for number in range(20)]))).status == 0
    since = time.monotonic()
    await world.owe()
    for _ in range(3):
        await client.ask(ENQUIRE_LINK)
    await client.receipts(1)
    await world.nothing_owed()
    assert time.monotonic() - since < 0.6
    await client.submit(NUMBER)
    assert time.monotonic() - since >= 0.8
    assert len(client.delivered) == 1


async def test_a_response_that_lies_unread_is_not_missed(serve: Serve, bound: Connect, world: World) -> None:
    world.ledger = Paced(rate=2.0, burst=1)
    client = await bound(await serve([account(paced=True)], response_timeout=0.1), TRX)
    client.write(burst_of(3))
    await client.until(lambda: len(client.answers) >= 2)
    await world.owe()
    await answered(client, count=3)
    await world.nothing_owed()
    assert len(client.delivered) == 1


async def test_who_is_bound_when_a_pace_is_set_keeps_to_it(serve: Serve, bound: Connect, paced: Paced) -> None:
    server = await serve([account()])
    client = await bound(server, TX)
    server.replace_accounts([account(paced=True)])
    client.write(burst_of(20))
    await answered(client, count=20)
    assert paced.times[-1] - paced.times[0] >= (20 - 6) / 50 * 0.95


async def test_others_are_not_paced(serve: Serve, bound: Connect, world: World) -> None:
    world.ledger = Paced(rate=1.0, burst=1)
    server = await serve([account(paced=True), account("other")])
    client = await bound(server, TX, system_id="other")
    client.write(burst_of(50))
    await answered(client, count=50)
