"""Messages over HTTP, and callbacks that the standardwebhooks library takes for authentic."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from flows.bridges import Bridge, until
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

DELIVERED, ABSENT = "380501234500", "380501234501"


def configuration(callbacks: Callbacks) -> str:
    return f"""
listeners:
  http: [{{listen: "127.0.0.1:0"}}]
accounts:
  acme: {{http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}}}
providers:
  virtual: {{type: virtual, poll: 50ms}}
routes: [{{send: [virtual]}}]
"""


async def send(bridge: Bridge, number: str, **fields: str) -> str:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret-key"}) as session:
        url = f"http://127.0.0.1:{bridge.http}/v1/messages"
        async with session.post(url, json={"to": number, "text": "hello", **fields}) as answer:
            assert answer.status == 202
            return str((await answer.json())["id"])


async def put_off(bridge: Bridge, times: int) -> None:
    """Waits until the one thing owed was put off so many times, on disk."""

    async def look() -> bool:
        owed = await bridge.app.store.owed("http", "acme", 0, 10, bridge.clock() + 1e6)
        return [item.attempts for item in owed] == [times]

    await until(look)


async def test_told(start: Start, callbacks: Callbacks) -> None:
    bridge = await start(configuration(callbacks))
    ids = [await send(bridge, number, client_ref=f"ref-{number}") for number in (DELIVERED, ABSENT)]
    await callbacks.news.until(lambda: len(callbacks.bodies) == 2)
    await bridge.settled()
    assert callbacks.ids == [f"msg_{body['data']['id']}" for body in callbacks.bodies]
    told: dict[str, dict[str, Any]] = {body["data"]["id"]: body for body in callbacks.bodies}
    delivered, failed = told[ids[0]], told[ids[1]]
    assert (delivered["type"], delivered["data"]["state"]) == ("message.delivered", "delivered")
    assert delivered["data"]["client_ref"] == f"ref-{DELIVERED}"
    assert (failed["type"], failed["data"]["reason"]) == ("message.failed", "absent_subscriber")


@pytest.mark.parametrize("status", [500, 404, 301, 429])
async def test_told_until_it_is_taken(start: Start, callbacks: Callbacks, status: int) -> None:
    """Each time with the same id, and a signature that is good then."""
    bridge = await start(configuration(callbacks))
    callbacks.answering = lambda body: status
    message_id = await send(bridge, DELIVERED)
    for times in (1, 2):
        await callbacks.news.until(lambda n=times: len(callbacks.ids) == n)
        await put_off(bridge, times)
        await bridge.skip(11.0)
    await put_off(bridge, 3)
    callbacks.answering = lambda body: 204
    await bridge.skip(21.0)
    await callbacks.news.until(lambda: len(callbacks.bodies) == 1)
    await bridge.settled()
    assert callbacks.ids == [f"msg_{message_id}"] * 4
    events = [event["event"] for event in (await bridge.record(message_id)).timeline]
    assert events.count("reported") == 1


async def test_the_first_delay_is_real(start: Start, callbacks: Callbacks) -> None:
    """Nobody has to look: the callback comes again by itself, after five seconds."""
    bridge = await start(configuration(callbacks))
    callbacks.answering = lambda body: 500 if len(callbacks.ids) == 1 else 200
    await send(bridge, DELIVERED)
    await callbacks.news.until(lambda: len(callbacks.bodies) == 1, 9)
    await bridge.settled()
    assert len(callbacks.ids) == 2


async def test_told_after_a_restart(start: Start, callbacks: Callbacks) -> None:
    bridge = await start(configuration(callbacks))
    callbacks.answering = lambda body: 503
    message_id = await send(bridge, DELIVERED)
    await put_off(bridge, 1)
    await bridge.stop()
    callbacks.answering = lambda body: 200
    bridge.ahead_s += 6.0
    await bridge.start()
    await callbacks.news.until(lambda: len(callbacks.bodies) == 1)
    await bridge.settled()
    assert callbacks.bodies[0]["data"]["id"] == message_id


def test_the_sink_would_notice_a_wrong_signature() -> None:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1795372632", "webhook-signature": "v1,AAAA"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers)
