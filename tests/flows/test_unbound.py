"""Reports wait for a client that is away, also while the bridge itself is away."""

from __future__ import annotations

import asyncio

import structlog
from flows.bridges import Bridge, until
from flows.conftest import Start
from listeners.smpp.esme import ENQUIRE_LINK, RX, SUBMIT_SM, TX, Esme, submit_body

CONFIGURATION = """
listeners:
  smpp: [{listen: "127.0.0.1:0"}]
accounts:
  acme:
    smpp: {system_id: acme, password: secret}
    reports_kept: 1d
  other: {smpp: {system_id: other, password: secret}}
providers:
  virtual: {type: virtual, poll: 50ms}
routes: [{send: [virtual]}]
"""


async def submit_and_leave(bridge: Bridge, count: int, kind: int = TX) -> list[str]:
    """Submits messages, and leaves at once; they are final when this returns."""
    client = await Esme.bound(bridge.smpp, kind)
    bodies = [submit_body(f"38050{number:05}00") for number in range(count)]
    answers = await asyncio.gather(*(client.request(SUBMIT_SM, body) for body in bodies))
    await client.unbind()
    message_ids = [answer.message_id for answer in answers]
    for message_id in message_ids:
        await bridge.final(message_id)
    return message_ids


async def told(bridge: Bridge, count: int) -> list[str]:
    """The ids that a client that comes back is told, in order, once there are so many and all are confirmed."""
    client = await Esme.bound(bridge.smpp, RX)
    await client.receipts(count)
    await bridge.settled()
    await client.unbind()
    return [deliver.receipt["id"] for deliver in client.delivered]


async def test_kept_over_a_restart(start: Start) -> None:
    bridge = await start(CONFIGURATION)
    before = await submit_and_leave(bridge, 20)
    await bridge.stop()
    await bridge.start()
    after = await submit_and_leave(bridge, 20)
    other = await Esme.bound(bridge.smpp, system_id="other")
    found = await told(bridge, 40)
    assert sorted(found) == sorted(before + after)
    assert set(found[:20]) == set(before)  # the oldest first
    assert other.delivered == []
    await other.unbind()
    # What was confirmed is over.
    await bridge.stop()
    await bridge.start()
    client = await Esme.bound(bridge.smpp, RX)
    await client.ask(ENQUIRE_LINK)
    assert client.delivered == []
    await client.unbind()


async def test_a_restart_in_the_middle(start: Start) -> None:
    """What was told and not confirmed is told again."""
    bridge = await start(CONFIGURATION)
    message_ids = await submit_and_leave(bridge, 10)
    client = await Esme.connect(bridge.smpp)
    confirmed: list[str] = []

    def answer(deliver: object) -> int | None:
        if len(confirmed) == 4:
            return None
        confirmed.append(client.delivered[-1].receipt["id"])
        return 0

    client.answering = answer
    await client.bind(RX)
    await client.receipts(10)

    async def four() -> bool:
        return len(await bridge.app.store.owed("smpp", "acme", 0, 100, bridge.clock())) == 6

    await until(four)
    await bridge.stop()
    await client.end()
    await bridge.start()
    assert sorted(await told(bridge, 6)) == sorted(set(message_ids) - set(confirmed))


async def test_more_than_memory_holds(start: Start) -> None:
    bridge = await start(CONFIGURATION)
    message_ids = await submit_and_leave(bridge, 2500)
    assert bridge.app.delivery.waiting <= 2000
    assert sorted(await told(bridge, 2500)) == sorted(message_ids)


async def test_nobody_comes(start: Start) -> None:
    """After the account's time a report is given up, visibly."""
    bridge = await start(CONFIGURATION)
    (message_id,) = await submit_and_leave(bridge, 1)
    bridge.ahead_s += 86_401.0
    with structlog.testing.capture_logs() as logs:
        await bridge.app.delivery.sweep()
        await bridge.settled()
    assert [line["event"] for line in logs if line["log_level"] == "warning"]
    record = await bridge.record(message_id)
    assert record.timeline[-1]["event"] == "report_given_up"
