"""A plan with a next provider by the clock, or on a reported failure: one message, one final state, both legs shown."""

from __future__ import annotations

import pytest
from flows.bridges import Bridge, until
from flows.bsg_server import BsgServer, Reporting, Sms
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks
from flows.test_main_job import send_by_http

from bridge.message import Reason, State
from bridge.store import Record


def configuration(viber: BsgServer, sms: BsgServer, callbacks: Callbacks) -> str:
    return f"""
listeners: {{http: [{{listen: "127.0.0.1:0"}}]}}
accounts:
  acme: {{http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}}}
providers:
  viber: {{type: bsg, base_url: "{viber.base_url}", api_key: live_key, poll: 1h}}
  sms: {{type: bsg, base_url: "{sms.base_url}", api_key: live_key, poll: 1h}}
routes: [{{send: [viber, sms], else_after: 2m}}]
"""


@pytest.fixture
async def legs(bsg: BsgServer, start: Start, callbacks: Callbacks) -> tuple[Bridge, BsgServer]:
    """A bridge with two providers that are one vendor, one that reports when a test says so."""
    bridge = await start(configuration(bsg, bsg, callbacks))
    return bridge, bsg


def on(bridge: Bridge, name: str) -> str:
    return f"http://127.0.0.1:{bridge.http}/callbacks/{name}"


def steps(record: Record) -> list[tuple[str, str | None]]:
    return [(str(event["event"]), event.get("provider")) for event in record.timeline]


async def sent(bridge: Bridge, message_id: str, provider: str) -> Record:
    async def look() -> Record | None:
        record = await bridge.record(message_id)
        return record if ("sent", provider) in steps(record) else None

    record = await until(look)
    assert record is not None
    return record


async def test_a_reported_failure_is_the_next_ones_turn(legs: tuple[Bridge, BsgServer], callbacks: Callbacks) -> None:
    bridge, server = legs
    server.callback_url = on(bridge, "viber")
    server.outcome = lambda sms: "undeliverable"

    def first_fails(sms: Sms) -> Reporting:
        return Reporting.PLAIN if len(server.taken) == 1 else Reporting.NEVER

    server.reporting = first_fails
    message_id = await send_by_http(bridge, 1)
    await sent(bridge, message_id, "sms")
    assert len(server.taken) == 2  # one vendor has both legs, and does not take the second for the first repeated
    first, second = server.taken.values()
    assert first.reference != second.reference
    assert (await bridge.record(message_id)).state is State.ENROUTE

    server.callback_url = on(bridge, "sms")
    await server._call_once(second, "delivered")
    record = await bridge.final(message_id)
    assert record.state is State.DELIVERED
    assert [step for step in steps(record) if step[0] in ("sent", "goes_on")] == [
        ("sent", "viber"),
        ("goes_on", "viber"),
        ("sent", "sms"),
    ]
    await callbacks.news.until(lambda: callbacks.bodies)
    await bridge.settled()
    assert [body["data"]["state"] for body in callbacks.bodies] == ["delivered"]


async def test_no_delivery_in_time_is_the_next_ones_turn_also_after_a_restart(
    legs: tuple[Bridge, BsgServer], callbacks: Callbacks
) -> None:
    bridge, server = legs
    server.reporting = lambda sms: Reporting.NEVER
    message_id = await send_by_http(bridge, 1)
    await sent(bridge, message_id, "viber")
    await bridge.stop()
    bridge.ahead_s += 119
    await bridge.start()
    assert len(server.taken) == 1
    bridge.ahead_s += 2
    await sent(bridge, message_id, "sms")
    first, second = server.taken.values()

    # The second leg ends the message; what the first still says, by no more than its own id, is noted.
    server.callback_url = on(bridge, "sms")
    await server._call_once(second, "undeliverable")
    record = await bridge.final(message_id)
    assert (record.state, record.provider) == (State.UNDELIVERABLE, "sms")
    server.callback_url = on(bridge, "viber")
    server.reporting = lambda sms: Reporting.EARLY_BY_ID
    await server._call_once(first, "delivered")
    record = await bridge.record(message_id)
    assert record.state is State.UNDELIVERABLE
    assert "delivered" in [event.get("state") for event in record.timeline]
    await callbacks.news.until(lambda: callbacks.bodies)
    await bridge.settled()
    assert [body["data"]["state"] for body in callbacks.bodies] == ["undeliverable"]


async def test_a_late_delivery_by_the_first_ends_it(legs: tuple[Bridge, BsgServer]) -> None:
    bridge, server = legs
    server.reporting = lambda sms: Reporting.NEVER
    message_id = await send_by_http(bridge, 1)
    await sent(bridge, message_id, "viber")
    bridge.ahead_s += 121
    await sent(bridge, message_id, "sms")
    first, second = server.taken.values()
    server.callback_url = on(bridge, "viber")
    await server._call_once(first, "undeliverable")
    assert (await bridge.record(message_id)).state is State.ENROUTE
    await server._call_once(first, "delivered")
    assert (await bridge.final(message_id)).state is State.DELIVERED
    server.callback_url = on(bridge, "sms")
    await server._call_once(second, "undeliverable")
    assert (await bridge.record(message_id)).state is State.DELIVERED


async def test_the_last_one_ends_it(legs: tuple[Bridge, BsgServer]) -> None:
    bridge, server = legs
    server.outcome = lambda sms: "undeliverable"
    server.reporting = lambda sms: Reporting.NEVER
    message_id = await send_by_http(bridge, 1)
    await sent(bridge, message_id, "viber")
    for number, name in enumerate(("viber", "sms")):
        await sent(bridge, message_id, name)
        server.callback_url = on(bridge, name)
        await server._call_once(list(server.taken.values())[number], "undeliverable")
    record = await bridge.final(message_id)
    assert (record.state, record.reason) == (State.UNDELIVERABLE, Reason.UNSPECIFIED)
