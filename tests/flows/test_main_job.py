"""The job itself: messages in over three protocols, out to a provider that makes every kind of trouble, reports back.

Every message ends in one final state, its sender is told, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import smtplib
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from flows.bridges import Bridge, until
from flows.bsg_server import BsgServer, Reporting, Trouble
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks, Mailbox, delivery_status
from listeners.smpp.esme import SUBMIT_SM, Esme, submit_body

from bridge.message import State

Launch = Callable[..., Awaitable[Bridge]]


def configuration(bsg: BsgServer, callbacks: Callbacks, mailbox: Mailbox, **provider: object) -> str:
    settings = {"type": "bsg", "base_url": bsg.base_url, "api_key": "live_key", "callback_token": "token", **provider}
    return f"""
listeners:
  smpp: [{{listen: "127.0.0.1:0"}}]
  smtp: [{{listen: "127.0.0.1:0", domain: sms.example, auth_without_tls: true}}]
  http: [{{listen: "127.0.0.1:0"}}]
accounts:
  acme:
    smpp: {{system_id: acme, password: secret}}
    smtp: {{login: acme, password: secret, from: ["*@acme.example"], source: ACME}}
    http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}
providers:
  bsg: {{{", ".join(f"{key}: {value!r}" for key, value in settings.items())}}}
routes: [{{send: [bsg]}}]
mail: {{smarthost: "smtp://127.0.0.1:{mailbox.port}", from: reports@sms.example}}
"""


@pytest.fixture
def launch(start: Start, bsg: BsgServer, callbacks: Callbacks, mailbox: Mailbox) -> Launch:
    """Starts the bridge between the provider and the sinks; keyword arguments are settings of the provider."""

    async def begin(**provider: object) -> Bridge:
        settings = {"timeout": "700ms", "poll": "500ms", "batch": 3, **provider}
        bridge = await start(configuration(bsg, callbacks, mailbox, **settings))
        bsg.callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/bsg/token"
        return bridge

    return begin


async def send_by_http(bridge: Bridge, number: int) -> str:
    async with aiohttp.ClientSession() as session:
        answer = await session.post(
            f"http://127.0.0.1:{bridge.http}/v1/messages",
            headers={"Authorization": "Bearer secret-key"},
            json={"to": f"+38050{number:07}", "text": f"http {number}", "from": "ACME"},
        )
        assert answer.status == 202
        return str((await answer.json())["id"])


def send_by_mail(port: int, number: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.login("acme", "secret")
        client.sendmail(
            "it@acme.example",
            f"38050{number:07}@sms.example",
            f"Subject: s\r\n\r\nmail {number}\r\n",
            rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
        )


async def test_all_troubles_at_once(launch: Launch, bsg: BsgServer, callbacks: Callbacks, mailbox: Mailbox) -> None:
    troubles = [None, *Trouble, None, *Trouble]
    bsg.trouble = lambda number: troubles[number] if number < len(troubles) else None
    ways = list(Reporting)
    bsg.reporting = lambda sms: ways[int(sms.msisdn[-2:]) % len(ways)]
    bsg.outcome = lambda sms: "undeliverable" if int(sms.msisdn[-2:]) % 7 == 0 else "delivered"
    bridge = await launch()
    esme = await Esme.bound(bridge.smpp)

    submits = [esme.request(SUBMIT_SM, submit_body(f"38050{n:07}", f"smpp {n}".encode())) for n in range(30)]
    mails = [asyncio.to_thread(send_by_mail, bridge.smtp, n) for n in range(30, 40)]
    by_http = await asyncio.gather(*(send_by_http(bridge, n) for n in range(40, 50)))
    await asyncio.gather(*mails)
    answers = await asyncio.gather(*submits)
    assert {answer.status for answer in answers} == {0}

    by_smpp = [answer.message_id for answer in answers]
    await esme.receipts(30, 30)
    await callbacks.news.until(lambda: len(callbacks.bodies) >= 10, 30)
    await mailbox.news.until(lambda: len(mailbox.mails) >= 10, 30)
    await bridge.settled()

    # Each was told once, and the truth.
    word = {number: "UNDELIV" if number % 7 == 0 else "DELIVRD" for number in range(50)}
    told = {deliver.receipt["id"]: deliver.receipt["stat"] for deliver in esme.delivered}
    assert len(esme.delivered) == 30
    assert told == {message_id: word[number] for number, message_id in enumerate(by_smpp)}
    assert sorted(body["data"]["id"] for body in callbacks.bodies) == sorted(by_http)
    for body in callbacks.bodies:
        delivered = word[int(body["data"]["to"][-2:])] == "DELIVRD"
        assert body["type"] == ("message.delivered" if delivered else "message.failed")
    actions = {fields["Final-Recipient"]: fields["Action"] for fields in map(delivery_status, mailbox.mails)}
    assert actions == {
        f"rfc822; 38050{n:07}@sms.example": "delivered" if word[n] == "DELIVRD" else "failed" for n in range(30, 40)
    }
    # Each was sent once: its text is at the provider under one reference.
    texts = Counter(sms.body for sms in bsg.taken.values())
    kinds = {"smpp": range(30), "mail": range(30, 40), "http": range(40, 50)}
    assert texts == Counter(f"{kind} {number}" for kind, numbers in kinds.items() for number in numbers)
    # And each ended once, as its timeline shows.
    for message_id in [*by_smpp, *by_http]:
        record = await bridge.record(message_id)
        undeliverable = word[int(record.message.destination[-2:])] == "UNDELIV"
        assert record.state is (State.UNDELIVERABLE if undeliverable else State.DELIVERED)
        assert [event["event"] for event in record.timeline].count("reported") == 1
    assert set(bsg.met) == set(Trouble)
    assert set(bsg.refused) == {23}  # what was taken without an answer was sent again under the same reference
    assert bridge.app.store.queued == 0
    await esme.unbind()


async def test_refused_in_a_batch(launch: Launch, bsg: BsgServer) -> None:
    """A number that the provider refuses does not hold back those beside it in the request."""
    bsg.directions = lambda msisdn: not msisdn.endswith("3")
    bridge = await launch(batch=50, concurrency=1)
    esme = await Esme.bound(bridge.smpp)
    answers = await asyncio.gather(
        *(esme.request(SUBMIT_SM, submit_body(f"38050{n:07}", f"text {n}".encode())) for n in range(10))
    )
    told = {deliver.receipt["id"]: deliver.receipt for deliver in await esme.receipts(10)}
    for number, answer in enumerate(answers):
        receipt = told[answer.message_id]
        assert (receipt["stat"], receipt["err"]) == (("REJECTD", "207") if number == 3 else ("DELIVRD", "000"))
    assert len(bsg.taken) == 9
    assert bsg.requests < 10
    await esme.unbind()


async def test_account_at_the_provider_at_fault(launch: Launch, bsg: BsgServer) -> None:
    """With a wrong key everything waits, visibly, and is sent once the key is right."""
    bsg.key = "changed"
    bridge = await launch()
    esme = await Esme.bound(bridge.smpp)
    message_ids = [(await esme.submit(f"38050{n:07}")).message_id for n in range(5)]

    async def held_back() -> list[str]:
        names: list[str] = bridge.app.health()[1]["held_back"]
        return names

    assert await until(held_back) == ["bsg"]
    assert bsg.taken == {}
    assert bridge.app.store.queued == 5
    assert not any([(await bridge.record(message_id)).state.final for message_id in message_ids])

    bsg.key = "live_key"
    bridge.ahead_s += 61  # what the lane waits before it tries again
    assert {deliver.receipt["id"] for deliver in await esme.receipts(5)} == set(message_ids)
    assert bridge.app.health()[1]["held_back"] == []
    await esme.unbind()


async def test_never_taken_in_time(launch: Launch, bsg: BsgServer) -> None:
    """What the provider never takes expires; what it may have taken is asked for."""
    bsg.trouble = lambda number: Trouble.BUSY
    bridge = await launch()
    esme = await Esme.bound(bridge.smpp)
    await esme.submit("380501111111", validity="000000000002000R")
    (deliver,) = await esme.receipts(1)
    assert (deliver.receipt["stat"], deliver.receipt["err"]) == ("EXPIRED", "210")
    assert bsg.taken == {}

    bsg.trouble = lambda number: Trouble.TAKEN_SILENT
    bsg.reporting = lambda sms: Reporting.NEVER
    await esme.submit("380501111112", validity="000000000001000R")
    assert (await esme.receipts(2))[1].receipt["stat"] == "DELIVRD"
    assert sum(bsg.polls.values()) > 0
    await esme.unbind()
