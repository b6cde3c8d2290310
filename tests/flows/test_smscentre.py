"""Messages through SMS Center: by list, reported by its handler or by a list of statuses, and what handsets answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from flows.bridges import Bridge, until
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks
from flows.smsc_server import SmscServer

from bridge.message import State

Launch = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def smsc() -> AsyncIterator[SmscServer]:
    async with SmscServer() as server:
        yield server


@pytest.fixture
def launch(start: Start, smsc: SmscServer, callbacks: Callbacks) -> Launch:
    """Starts a bridge to SMS Center; keyword arguments are settings of the provider."""

    async def begin(*, called: bool = True, **more: object) -> Bridge:
        settings = {
            "type": "smscentre",
            "base_url": smsc.base_url,
            "api_key": smsc.api_key,
            "callback_secret": smsc.secret,
            "callback_token": "token",
            "poll": "200ms",
            "inbox_poll": "50ms",
            **more,
        }
        bridge = await start(f"""
listeners: {{http: [{{listen: "127.0.0.1:0"}}]}}
accounts:
  acme: {{http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}}}
providers:
  smsc: {{{", ".join(f"{key}: {value!r}" for key, value in settings.items())}}}
routes: [{{send: [smsc]}}]
inbound: [{{account: acme}}]
""")
        if called:
            smsc.callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/smsc/token?charset=utf-8"
        return bridge

    return begin


async def send(bridge: Bridge, *numbers: int, text: str | None = None) -> list[str]:
    """The ids of messages, one to each number."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret-key"}) as session:

        async def one(number: int) -> str:
            body = {"to": f"+38050{number:07}", "text": text or f"text {number}", "from": "ACME"}
            async with session.post(f"http://127.0.0.1:{bridge.http}/v1/messages", json=body) as answer:
                assert answer.status == 202, await answer.text()
                return str((await answer.json())["id"])

        return list(await asyncio.gather(*map(one, numbers)))


async def test_lists_go_out_and_are_reported_by_the_handler(
    launch: Launch, smsc: SmscServer, callbacks: Callbacks
) -> None:
    smsc.outcome = lambda sms: (20, 6) if sms.phone.endswith("3") else (1, 0)
    bridge = await launch(inbox=False, poll="1h", concurrency=1)
    ids = await send(bridge, *range(20))
    records = [await bridge.final(each) for each in ids]
    for number, record in enumerate(records):
        failed = number % 10 == 3
        assert record.state is (State.UNDELIVERABLE if failed else State.DELIVERED)
        assert record.reason == ("absent_subscriber" if failed else None)
    await callbacks.news.until(lambda: len(callbacks.bodies) == 20, 15)
    assert sorted((sms.phone, sms.text) for sms in smsc.taken) == [(f"38050{n:07}", f"text {n}") for n in range(20)]
    assert smsc.sends < 20, "each went out alone"
    assert not smsc.refused
    assert smsc.asked["status"] == smsc.asked["get"] == 0


async def test_without_a_handler_statuses_are_asked_for_in_a_list(launch: Launch, smsc: SmscServer) -> None:
    smsc.outcome = lambda sms: (25, 248) if sms.phone.endswith("3") else (2, 0)
    bridge = await launch(called=False, inbox=False)
    ids = await send(bridge, 1, 2, 3)
    bridge.ahead_s += 61.0  # whoever was not in the first list is in the next
    states = [(await bridge.final(each)).state for each in ids]
    assert states == [State.DELIVERED, State.DELIVERED, State.UNDELIVERABLE]
    assert not smsc.refused


async def test_message_that_was_never_answered_is_found_and_not_sent_again(launch: Launch, smsc: SmscServer) -> None:
    smsc.silent = lambda number: number == 0
    bridge = await launch(called=False, inbox=False)
    (message_id,) = await send(bridge, 7)
    record = await bridge.final(message_id)
    assert record.state is State.DELIVERED
    assert [event["event"] for event in record.timeline][:2] == ["accepted", "unsure"]
    assert len(smsc.taken) == 1
    assert record.provider_ref == f"{smsc.taken[0].number}:{smsc.taken[0].phone}"


async def test_wrong_number_is_refused_and_harms_nobody_else(launch: Launch, smsc: SmscServer) -> None:
    smsc.wrong = lambda phone: phone.endswith("3")
    bridge = await launch(inbox=False, concurrency=1)
    records = [await bridge.final(each) for each in await send(bridge, 1, 2, 3, 4, text="the same")]
    assert [record.state for record in records] == [State.DELIVERED] * 2 + [State.UNDELIVERABLE, State.DELIVERED]
    assert records[2].reason == "invalid_destination"


async def test_what_handsets_say_comes_by_the_handler_and_from_the_inbox_once(
    launch: Launch, smsc: SmscServer, callbacks: Callbacks
) -> None:
    bridge = await launch(inbox_poll="300ms")
    said = {"received": "22.11.2026 12:00:00", "phone": "380501112233", "to_phone": "380440000000", "sent": ""}
    smsc.answers = [said | {"id": 41, "message": "Так"}, said | {"id": 42, "message": "Yes"}]
    assert await smsc.inbound("380501112233", "Так", "380440000000", "41") == 200
    await callbacks.news.until(lambda: len(callbacks.bodies) == 2, 15)
    await until_asked(smsc, "get", smsc.asked["get"] + 1)
    await bridge.settled()
    texts = [body["data"]["text"] for body in callbacks.bodies]
    assert sorted(texts) == ["Yes", "Так"]


async def test_handler_is_not_deceived(launch: Launch, smsc: SmscServer) -> None:
    bridge = await launch(inbox=False, poll="1h")
    smsc.callback_url, right = None, smsc.callback_url
    (message_id,) = await send(bridge, 1)
    await until_asked(smsc, "send", 1)
    smsc.callback_url = right
    (sms,) = smsc.taken
    said = {"id": str(sms.number), "phone": sms.phone, "status": "1"}
    assert await smsc.call(said) == 401
    assert await smsc.call(said | {"md5": "0" * 32}) == 401
    assert (await bridge.record(message_id)).state is not State.DELIVERED


async def until_asked(smsc: SmscServer, page: str, count: int) -> None:
    async def look() -> bool:
        return smsc.asked[page] >= count

    await until(look)
