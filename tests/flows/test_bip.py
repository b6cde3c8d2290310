"""Messages through BiP: one by one with the result in the answer, in lists with the result at /report, and back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from flows.bip_server import BipServer
from flows.bridges import Bridge, until
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks

from bridge.message import State

Launch = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def bip() -> AsyncIterator[BipServer]:
    async with BipServer() as server:
        yield server


@pytest.fixture
def launch(start: Start, bip: BipServer, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Starts a bridge to BiP; keyword arguments are settings of the provider. Retries come soon."""
    monkeypatch.setattr("bridge.dispatch.retry._FIRST_DELAY_S", 0.02)

    async def begin(*, called: bool = True, send: str = "[bip]", **more: object) -> Bridge:
        settings = {
            "type": "bip",
            "base_url": bip.base_url,
            "username": bip.username,
            "password": bip.password,
            "callback_token": "token",
            **more,
        }
        bridge = await start(f"""
listeners: {{http: [{{listen: "127.0.0.1:0"}}]}}
accounts:
  acme: {{http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}}}
providers:
  bip: {{{", ".join(f"{key}: {value!r}" for key, value in settings.items())}}}
  sms: {{type: virtual}}
routes: [{{send: {send}}}]
inbound: [{{account: acme}}]
""")
        if called:
            bip.feedback_url = f"http://127.0.0.1:{bridge.http}/callbacks/bip/token"
        return bridge

    return begin


async def send(bridge: Bridge, *numbers: int, text: str | None = None) -> list[str]:
    """The ids of messages, one to each number."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret-key"}) as session:

        async def one(number: int) -> str:
            body = {"to": f"+90532{number:07}", "text": text or f"text {number}", "from": "ACME"}
            async with session.post(f"http://127.0.0.1:{bridge.http}/v1/messages", json=body) as answer:
                assert answer.status == 202, await answer.text()
                return str((await answer.json())["id"])

        return list(await asyncio.gather(*map(one, numbers)))


async def test_one_by_one_with_the_result_in_the_answer(launch: Launch, bip: BipServer, callbacks: Callbacks) -> None:
    bip.code = lambda receiver: 301 if receiver.endswith("3") else 0
    bridge = await launch()
    ids = await send(bridge, *range(10))
    for number, record in enumerate([await bridge.final(each) for each in ids]):
        assert record.state is (State.UNDELIVERABLE if number == 3 else State.DELIVERED)
        assert record.reason == ("unknown_subscriber" if number == 3 else None)
    await callbacks.news.until(lambda: len(callbacks.bodies) == 10, 15)
    assert sorted(each.texts[0] for each in bip.taken) == [f"text {number}" for number in range(10) if number != 3]
    assert all(each.ttl is not None and 172_000 < each.ttl <= 172_800 for each in bip.taken)
    assert bip.asked.keys() == {"sendmsgserv"}


@pytest.mark.parametrize("notice_first", [False, True])
@pytest.mark.parametrize(("text", "method"), [("the same", "sendmsgservlist"), (None, "sendmultiusermulticontent")])
async def test_lists_with_the_result_at_report(
    launch: Launch, bip: BipServer, callbacks: Callbacks, text: str | None, method: str, notice_first: bool
) -> None:
    bip.notice_first = notice_first
    bip.code = lambda receiver: 312 if receiver.endswith("3") else 0
    bridge = await launch(method="list", concurrency=1)
    ids = await send(bridge, *range(20), text=text)
    for number, record in enumerate([await bridge.final(each) for each in ids]):
        failed = number % 10 == 3
        assert (record.state, record.reason) == ((State.REJECTED, "no_credit") if failed else (State.DELIVERED, None))
    await callbacks.news.until(lambda: len(callbacks.bodies) == 20, 15)
    assert len(bip.taken) == 18
    assert bip.requests < 20, "each went out alone"
    assert method in bip.asked


async def test_of_lists_that_were_not_answered_the_reports_tell(launch: Launch, bip: BipServer) -> None:
    bip.silent = lambda number: number % 3 == 0
    bip.busy = lambda number: number % 3 == 1
    bridge = await launch(method="list", concurrency=2, batch=5)
    records = [await bridge.final(each, 30) for each in await send(bridge, *range(30))]
    assert {record.state for record in records} == {State.DELIVERED}
    assert any(event["event"] == "unsure" for record in records for event in record.timeline)
    assert set(Counter(each.receiver for each in bip.taken).values()) == {1}
    assert not bip.refused


async def test_what_was_not_answered_is_recognised_and_not_sent_twice(launch: Launch, bip: BipServer) -> None:
    bip.silent = lambda number: number % 3 == 0
    bip.busy = lambda number: number % 5 == 1
    bridge = await launch(report_timeout="1h")
    ids = await send(bridge, *range(30))
    await until(lambda: _all_sent(bridge, ids))
    assert set(Counter(each.receiver for each in bip.taken).values()) == {1}
    assert len(bip.taken) == 30
    assert bip.refused.keys() == {310}


async def _all_sent(bridge: Bridge, ids: list[str]) -> bool:
    records = [await bridge.record(each) for each in ids]
    return all(record.state in (State.ENROUTE, State.DELIVERED) for record in records)


async def test_a_quota_holds_messages_and_costs_none(launch: Launch, bip: BipServer) -> None:
    bip.quota = lambda number: number == 0
    bridge = await launch(concurrency=1)
    ids = await send(bridge, 1, 2)
    await until(lambda: _answered(bip.refused[312]))
    assert (await bridge.record(ids[0])).state is State.ACCEPTED
    bridge.ahead_s += 61.0
    assert {(await bridge.final(each)).state for each in ids} == {State.DELIVERED}
    assert bip.refused == {312: 1}  # the txnid of the first attempt would have been refused as known
    assert len({each.txnid for each in bip.taken}) == 2


async def _answered(count: int) -> bool:
    return count > 0


@pytest.mark.parametrize("session", [True, False])
async def test_without_a_session_a_list_of_one_is_tried(launch: Launch, bip: BipServer, session: bool) -> None:
    bip.session = lambda receiver: session
    bridge = await launch(method="auto")
    (message_id,) = await send(bridge, 1)
    assert (await bridge.final(message_id)).state is State.DELIVERED
    assert bip.asked["sendmsgservlist"] == (not session)
    assert len(bip.taken) == 1


@pytest.mark.parametrize("plan", ["[bip, sms]", "[bip, sms], else_after: 10m"])
async def test_whoever_is_not_there_gets_an_sms(launch: Launch, bip: BipServer, plan: str) -> None:
    bip.code = lambda receiver: 301
    bridge = await launch(send=plan, method="list" if "else_after" in plan else "single")
    (message_id,) = await send(bridge, 0)
    record = await bridge.final(message_id)
    assert (record.state, record.provider) == (State.DELIVERED, "sms")


async def test_all_followers_are_told_by_one_message(launch: Launch, bip: BipServer) -> None:
    bridge = await launch(receiver="followers")
    (message_id,) = await send(bridge, 1)
    assert (await bridge.final(message_id)).state is State.DELIVERED
    assert [each.receiver for each in bip.taken] == ["everybody"]


async def test_without_the_right_to_reports_what_is_taken_is_delivered(launch: Launch, bip: BipServer) -> None:
    bip.reports = False
    bridge = await launch(reports=False)
    (message_id,) = await send(bridge, 1)
    assert (await bridge.final(message_id)).state is State.DELIVERED


async def test_what_users_say_and_do_comes_once(launch: Launch, bip: BipServer, callbacks: Callbacks) -> None:
    await launch()
    sent = {"sender": "905320000009", "msgid": 9321, "sendtime": "12.10.2015 08:00:00.123 +0300"}
    for said in ({"type": "M", "ctype": "T", "content": "merhaba"}, {"type": "E", "event": "U"}):
        for _ in range(2):
            assert await bip.call(sent | said) == 200
    await callbacks.news.until(lambda: len(callbacks.bodies) == 2, 15)
    assert sorted(body["data"]["text"] for body in callbacks.bodies) == ["merhaba", "unsubscribed"]
    assert {body["data"]["from"] for body in callbacks.bodies} == {"905320000009"}


@pytest.mark.parametrize("url", ["", "/wrong", "/wrong/token"])
async def test_feedback_is_taken_with_the_token_alone(launch: Launch, bip: BipServer, url: str) -> None:
    bridge = await launch()
    bip.feedback_url = f"http://127.0.0.1:{bridge.http}/callbacks/bip{url}"
    for path in ("", "/report"):
        answered = await bip.call({"txnid": "t", "resultcode": 0, "list": []}, path)
        assert answered == (200 if f"{url}{path}".endswith("/token") else 401)
