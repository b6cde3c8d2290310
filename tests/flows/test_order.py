"""A receipt never comes before the answer to its submit_sm, however fast the provider is."""

from __future__ import annotations

import asyncio

from flows.conftest import Start
from listeners.smpp.esme import DELIVER_SM, RESPONSE, SUBMIT_SM, Esme, submit_body

CONFIGURATION = """
listeners:
  smpp: [{listen: "127.0.0.1:0"}]
accounts:
  acme: {smpp: {system_id: acme, password: secret, deliver_window: 1000}}
providers:
  virtual: {type: virtual, poll: 10ms}
routes: [{send: [virtual]}]
"""


async def follow(client: Esme, bodies: list[bytes]) -> None:
    """Submits, and compares where answers and receipts stand in the stream."""
    answers = await asyncio.gather(*(client.request(SUBMIT_SM, body) for body in bodies))
    assert {answer.status for answer in answers} == {0}
    delivered = await client.receipts(len(bodies))
    place = {key: number for number, key in enumerate(client.seen)}
    answered = {answer.message_id: place[SUBMIT_SM | RESPONSE, answer.sequence] for answer in answers}
    for deliver in delivered:
        assert place[DELIVER_SM, deliver.sequence] > answered[deliver.receipt["id"]]
    await client.unbind()


async def test_delivered_in_the_answer_itself(start: Start) -> None:
    bridge = await start(CONFIGURATION)
    await follow(await Esme.bound(bridge.smpp), [submit_body(f"38050{n:05}09") for n in range(300)])


async def test_refused_at_once(start: Start) -> None:
    bridge = await start(CONFIGURATION)
    await follow(await Esme.bound(bridge.smpp), [submit_body(f"38050{n:05}02") for n in range(300)])


async def test_parts_that_make_no_text(start: Start) -> None:
    """What is wrong with them shows when the last one is there; nothing is sent, and they are told at once."""
    bridge = await start(CONFIGURATION)
    client = await Esme.bound(bridge.smpp)
    bodies = [
        submit_body(
            "380501234567", bytes((5, 0, 3, reference, 2, number)) + b"odd", data_coding=4 * number, esm_class=0x40
        )
        for reference in range(50)
        for number in (1, 2)
    ]
    await follow(client, bodies)
    assert {deliver.receipt["stat"] for deliver in client.delivered} == {"REJECTD"}
