"""Mail to SMS: a mail server hands over a mail, and its sender gets a report by mail."""

from __future__ import annotations

import asyncio
import smtplib

import pytest
from flows.bridges import Bridge, until
from flows.conftest import Start
from flows.sinks import Mailbox, delivery_status

DELIVERED, ABSENT, REFUSED = "380501234500", "380501234501", "380501234502"


def configuration(mailbox: Mailbox) -> str:
    return f"""
listeners:
  smtp: [{{listen: "127.0.0.1:0", domain: sms.example, auth_without_tls: true}}]
accounts:
  acme: {{smtp: {{login: acme, password: secret, from: ["*@acme.example"], source: ACME}}}}
providers:
  virtual: {{type: virtual, poll: 50ms}}
routes: [{{send: [virtual]}}]
mail: {{smarthost: "smtp://127.0.0.1:{mailbox.port}", from: reports@sms.example}}
"""


async def send(bridge: Bridge, *numbers: str, notify: str | None = None, text: str = "hello") -> list[str]:
    """Sends a mail; gives the ids that the reply names."""

    def talk() -> bytes:
        with smtplib.SMTP("127.0.0.1", bridge.smtp, timeout=10) as client:
            client.login("acme", "secret")
            assert client.mail("it@acme.example", ["RET=HDRS", "ENVID=envelope-1"])[0] == 250
            for number in numbers:
                options = [f"NOTIFY={notify}"] if notify else []
                assert client.rcpt(f"+{number}@sms.example", options)[0] == 250
            code, reply = client.data(
                f"From: it@acme.example\r\nSubject: alarm\r\nMessage-ID: <1@acme.example>\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
            )
            assert code == 250
            return reply

    reply = (await asyncio.to_thread(talk)).decode()
    return reply.partition("queued as ")[2].split()


async def test_reports_of_every_recipient(start: Start, mailbox: Mailbox) -> None:
    bridge = await start(configuration(mailbox))
    message_ids = await send(bridge, DELIVERED, ABSENT, REFUSED, notify="SUCCESS,FAILURE", text="Привіт")
    assert len(message_ids) == 3
    await mailbox.news.until(lambda: len(mailbox.mails) == 3)
    await bridge.settled()
    assert mailbox.envelopes == [("", ["it@acme.example"])] * 3
    told = {}
    for mail in mailbox.mails:
        fields = delivery_status(mail)
        assert mail["To"] == "it@acme.example"
        assert mail["Auto-Submitted"] == "auto-replied"
        assert mail["In-Reply-To"] == "<1@acme.example>"
        assert fields["Original-Envelope-Id"] == "envelope-1"
        assert fields["Reporting-MTA"] == "dns; sms.example"
        told[fields["Final-Recipient"]] = (fields["Action"], fields["Status"])
    assert told == {
        f"rfc822; +{DELIVERED}@sms.example": ("delivered", "2.1.5"),
        f"rfc822; +{ABSENT}@sms.example": ("failed", "5.4.1"),
        f"rfc822; +{REFUSED}@sms.example": ("failed", "5.3.0"),
    }
    record = await bridge.record(message_ids[0])
    assert (record.message.text, record.message.source) == ("Привіт", "ACME")


@pytest.mark.parametrize(("notify", "told"), [(None, {ABSENT}), ("SUCCESS", {DELIVERED}), ("NEVER", set())])
async def test_who_wants_to_be_told(start: Start, mailbox: Mailbox, notify: str | None, told: set[str]) -> None:
    """Without NOTIFY a report tells of failures only (RFC 3461 §4.1)."""
    bridge = await start(configuration(mailbox))
    for message_id in await send(bridge, DELIVERED, ABSENT, notify=notify):
        await bridge.final(message_id)
    await bridge.settled()
    recipients = {delivery_status(mail)["Final-Recipient"] for mail in mailbox.mails}
    assert recipients == {f"rfc822; +{number}@sms.example" for number in told}


async def test_a_smarthost_that_is_busy(start: Start, mailbox: Mailbox) -> None:
    bridge = await start(configuration(mailbox))
    mailbox.answering = lambda mail: "451 come again"
    (message_id,) = await send(bridge, ABSENT)
    await bridge.final(message_id)

    async def put_off() -> bool:
        owed = await bridge.app.store.owed("smtp", "acme", 0, 10, bridge.clock() + 3600)
        return [item.attempts for item in owed] == [1]

    await until(put_off)
    mailbox.answering = lambda mail: "250 OK"
    await bridge.skip(6.0)
    await mailbox.news.until(lambda: len(mailbox.mails) == 1)
    await bridge.settled()


async def test_a_smarthost_that_refuses(start: Start, mailbox: Mailbox) -> None:
    """A report that will never be taken is given up, visibly."""
    bridge = await start(configuration(mailbox))
    mailbox.answering = lambda mail: "550 no such user"
    (message_id,) = await send(bridge, ABSENT)
    await bridge.final(message_id)
    await bridge.settled()
    event = (await bridge.record(message_id)).timeline[-1]
    assert event["event"] == "report_given_up"
    assert "550 no such user" in event["why"]


async def test_reports_wait_for_the_smarthost_over_a_restart(start: Start, mailbox: Mailbox) -> None:
    bridge = await start(configuration(mailbox))
    mailbox.answering = lambda mail: "451 come again"
    (message_id,) = await send(bridge, ABSENT)
    await bridge.final(message_id)
    await mailbox.news.until(lambda: bridge.app.delivery.waiting == 0)
    await bridge.stop()
    mailbox.answering = lambda mail: "250 OK"
    bridge.ahead_s += 10.0
    await bridge.start()
    await mailbox.news.until(lambda: len(mailbox.mails) == 1)
    await bridge.settled()
