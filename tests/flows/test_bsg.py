"""The channels of BSG: Viber with an SMS in its place, numbers that are looked at, and the second generation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import pytest
from flows.bridges import Bridge, until
from flows.bsg_one_server import BsgOneServer
from flows.bsg_server import BsgServer, Reporting
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks
from flows.test_main_job import send_by_http

from bridge.message import Reason, State
from bridge.providers import Money
from bridge.providers._cases.making import attempts_of
from bridge.store import Record
from bridge.transport import Transport

Launch = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def one() -> AsyncIterator[BsgOneServer]:
    async with BsgOneServer() as server:
        yield server


@pytest.fixture
def launch(start: Start, callbacks: Callbacks) -> Launch:
    """Starts a bridge to BSG, which is told where it is; keyword arguments are settings of the provider."""

    async def begin(**more: object) -> Bridge:
        settings = {"type": "bsg", "api_key": "live_key", "callback_token": "t0ken", "poll": "200ms", **more}
        bridge = await start(f"""
listeners: {{http: [{{listen: "127.0.0.1:0"}}]}}
accounts:
  acme: {{http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}}}
providers:
  bsg: {{{", ".join(f"{key}: {value!r}" for key, value in settings.items())}}}
routes: [{{send: [bsg]}}]
""")
        # Which port it is was not known before it was started.
        bridge.app.providers["bsg"].callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/bsg/t0ken"
        return bridge

    return begin


async def sent(bridge: Bridge, *numbers: int) -> list[Record]:
    """The final records of messages, one to each number."""
    ids = await asyncio.gather(*(send_by_http(bridge, number) for number in numbers))
    return [await bridge.final(each) for each in ids]


def said(record: Record) -> list[str]:
    """What the provider's reports said, in its words."""
    return [str(event["native"]) for event in record.timeline if event["event"] == "report"]


async def test_viber_is_reported_where_its_requests_say(launch: Launch, bsg: BsgServer, callbacks: Callbacks) -> None:
    bsg.outcome = lambda sms: "not_viber_user" if sms.msisdn.endswith("3") else "read"
    bsg.viber_senders = frozenset({"ACME"})
    bridge = await launch(base_url=bsg.base_url, channel="viber", poll="1h", concurrency=1)
    records = await sent(bridge, *range(20))
    for number, record in enumerate(records):
        failed = number % 10 == 3
        assert record.state is (State.UNDELIVERABLE if failed else State.DELIVERED)
        assert record.reason == (Reason.UNKNOWN_SUBSCRIBER if failed else None)
    await callbacks.news.until(lambda: len(callbacks.bodies) == 20, 15)
    assert {sms.channel for sms in bsg.taken.values()} == {"viber"}
    assert bsg.requests < 20, "each went out alone"
    assert not bsg.refused
    assert not bsg.polls


async def test_an_sms_in_place_of_viber_is_a_delivery(launch: Launch, bsg: BsgServer, callbacks: Callbacks) -> None:
    bsg.outcome = lambda sms: "undeliverable"
    bsg.alt_outcome = lambda sms: "rejected" if sms.msisdn.endswith("3") else "delivered"
    bsg.viber_senders = frozenset({"ACME"})
    bridge = await launch(base_url=bsg.base_url, channel="viber", fallback_sender="Acme", fallback_after="5m")
    records = await sent(bridge, 1, 2, 3)
    assert [record.state for record in records] == [State.DELIVERED] * 2 + [State.REJECTED]
    assert [said(record)[-1] for record in records] == ["undeliverable, sms delivered"] * 2 + [
        "undeliverable, sms rejected"
    ]
    assert all(sms.alt_route == {"originator": "Acme", "text": sms.body} for sms in bsg.taken.values())
    await callbacks.news.until(lambda: len(callbacks.bodies) == 3, 15)
    await bridge.settled()
    assert sorted(body["data"]["state"] for body in callbacks.bodies) == ["delivered", "delivered", "rejected"]


async def test_viber_refuses_a_sender_it_does_not_know(launch: Launch, bsg: BsgServer) -> None:
    bridge = await launch(base_url=bsg.base_url, channel="viber")
    (record,) = await sent(bridge, 1)
    assert (record.state, record.reason) == (State.REJECTED, Reason.SENDER_REFUSED)
    assert set(bsg.refused) == {45}


@pytest.mark.parametrize("called", [True, False])
async def test_numbers_are_looked_at_and_texts_stay_here(launch: Launch, bsg: BsgServer, called: bool) -> None:
    bsg.outcome = lambda sms: "absent" if sms.msisdn.endswith("3") else "active"
    if not called:
        bsg.reporting = lambda sms: Reporting.NEVER
    bridge = await launch(base_url=bsg.base_url, channel="hlr", poll="1h" if called else "200ms")
    records = await sent(bridge, 1, 2, 3)
    assert [record.state for record in records] == [State.DELIVERED] * 2 + [State.UNDELIVERABLE]
    assert records[2].reason == Reason.ABSENT_SUBSCRIBER
    assert [said(record)[-1] for record in records] == ["active 25501 ported"] * 2 + ["absent 25501 ported"]
    assert {sms.body for sms in bsg.taken.values()} == {""}
    assert bool(bsg.polls) is not called


async def test_second_generation_renews_its_token(launch: Launch, one: BsgOneServer) -> None:
    bridge = await launch(base_url=one.base_url, generation=2, poll="1h")
    await sent(bridge, 1)
    one.token = "another"
    records = await sent(bridge, 2, 3)
    assert [record.state for record in records] == [State.DELIVERED] * 2
    assert one.logins == 2
    assert set(one.refused) == {401}
    assert {body["sms"]["text"] for body in one.taken.values()} == {"http 1", "http 2", "http 3"}


async def test_second_generation_knows_a_reference_that_was_never_answered(launch: Launch, one: BsgOneServer) -> None:
    one.silent = lambda number: number == 0
    one.calls_back = False
    bridge = await launch(base_url=one.base_url, generation=2)
    (record,) = await sent(bridge, 1)
    assert record.state is State.DELIVERED
    assert len(one.taken) == 1
    assert set(one.refused) <= {422}  # either it was asked about first, or sent again and known


async def test_second_generation_sends_an_sms_in_place_of_viber(launch: Launch, one: BsgOneServer) -> None:
    one.outcome = lambda body: "not_viber_user"
    one.alt_outcome = lambda body: "expired" if body["phone"]["number"].endswith("3") else "delivered"
    bridge = await launch(base_url=one.base_url, generation=2, channel="viber", fallback_sender="Acme")
    records = await sent(bridge, 1, 3)
    assert [record.state for record in records] == [State.DELIVERED, State.EXPIRED]
    assert {tuple(body["channels"]) for body in one.taken.values()} == {("viber", "sms")}


async def test_wrong_key_pauses_the_second_generation(launch: Launch, one: BsgOneServer) -> None:
    bridge = await launch(base_url=one.base_url, generation=2, api_key="another")
    message_id = await send_by_http(bridge, 1)

    async def look() -> bool:
        return one.refused[401] > 0

    await until(look)
    record = await bridge.record(message_id)
    assert not record.state.final
    assert not one.taken


@pytest.mark.parametrize("generation", [1, 2])
async def test_prices_and_balances_cost_nothing(
    launch: Launch, bsg: BsgServer, one: BsgOneServer, generation: int
) -> None:
    base_url = bsg.base_url if generation == 1 else one.base_url
    bridge = await launch(base_url=base_url, generation=generation)
    provider = bridge.app.providers["bsg"]
    attempts = attempts_of([{"destination": "380501112233", "text": "a", "source": "ACME"}])
    async with Transport() as transport:
        line = transport.line(provider)
        balance, price = provider.balance(), provider.price(attempts)
        assert balance is not None
        assert price is not None
        assert provider.balance_of(await line.ask(balance)) == Money(Decimal("14.5"), "EUR")
        assert provider.price_of(await line.ask(price)) == Money(Decimal("0.05"), "EUR")
    assert not bsg.taken
    assert not one.taken
