"""Receipts as an account wants them, from submit_sm to deliver_sm: news on the way, one for all parts, its own form."""

from __future__ import annotations

import pytest
from flows.bsg_server import BsgServer
from flows.conftest import Start
from flows.test_long_messages import TEXT, parts, submit
from listeners.smpp.esme import DATA_SM, TX, Deliver, Esme

NUMBER = "380501234567"
BOTH = 0x11  # of registered_delivery: the end, and what happens on the way
FINAL, NEWS = 0x04, 0x20  # esm_class


def configuration(bsg: BsgServer, receipts: str) -> str:
    return f"""
listeners:
  smpp: [{{listen: "127.0.0.1:0"}}]
  http: [{{listen: "127.0.0.1:0"}}]
accounts:
  acme:
    smpp: {{system_id: acme, password: secret, receipts: {receipts}}}
providers:
  bsg: {{type: bsg, base_url: "{bsg.base_url}", api_key: live_key, poll: 200ms}}
routes: [{{send: [bsg]}}]
"""


def told(deliver: Deliver) -> tuple[int, str, str]:
    return deliver.esm_class, deliver.receipt["stat"], deliver.receipt["id"]


async def test_news_and_the_end(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, "standard"))
    client = await Esme.bound(bridge.smpp)
    message_id = (await client.submit(NUMBER, registered=BOTH)).message_id
    await client.receipts(2)
    assert [told(deliver) for deliver in client.delivered] == [
        (NEWS, "ENROUTE", message_id),
        (FINAL, "DELIVRD", message_id),
    ]
    await bridge.settled()
    await client.unbind()


@pytest.mark.parametrize("receipts", ["v33", "{intermediate: false}"])
async def test_no_news_where_the_account_wants_none(start: Start, bsg: BsgServer, receipts: str) -> None:
    bridge = await start(configuration(bsg, receipts))
    client = await Esme.bound(bridge.smpp)
    await client.submit(NUMBER, registered=BOTH)
    await client.receipts(1)
    await bridge.settled()
    assert [deliver.esm_class for deliver in client.delivered] == [FINAL]
    await client.unbind()


async def test_a_client_that_was_away_hears_the_end_only(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, "standard"))
    transmitter = await Esme.bound(bridge.smpp, TX)
    message_id = (await transmitter.submit(NUMBER, registered=BOTH)).message_id
    await bridge.final(message_id)
    await bridge.stop()
    await bridge.start()
    client = await Esme.bound(bridge.smpp)
    await client.receipts(1)
    await bridge.settled()
    assert [told(deliver) for deliver in client.delivered] == [(FINAL, "DELIVRD", message_id)]
    await transmitter.abort()
    await client.unbind()


async def test_one_receipt_for_a_long_message(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, "{per: message, by: data_sm}"))
    client = await Esme.bound(bridge.smpp)
    bodies = parts(TEXT, "udh8", 7)
    answers = await submit([client], bodies)
    await client.receipts(1)
    await bridge.settled()
    (deliver,) = client.delivered
    assert (deliver.command, told(deliver)) == (DATA_SM, (FINAL, "DELIVRD", answers[0].message_id))
    assert deliver.receipt["sub"] == deliver.receipt["dlvrd"] == f"{len(bodies):03d}"
    await client.unbind()


async def test_the_id_is_the_same_in_the_response_and_the_receipt(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, "{preset: v33, case: upper, tlvs: true}"))
    client = await Esme.bound(bridge.smpp)
    shown = (await client.submit(NUMBER)).message_id
    assert len(shown) == 8
    (deliver,) = await client.receipts(1)
    assert deliver.receipt["id"] == shown
    assert deliver.tlvs[0x001E] == shown.encode() + b"\0"
    await client.unbind()
