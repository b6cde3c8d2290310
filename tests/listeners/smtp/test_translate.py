from __future__ import annotations

import re
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from itertools import count
from typing import Any

import pytest

from bridge.errors import Refusal
from bridge.listeners.smtp.ports import Account
from bridge.listeners.smtp.settings import Mail, SmtpAccount
from bridge.listeners.smtp.text import Letter
from bridge.listeners.smtp.translate import (
    REPLY,
    Recipient,
    Submission,
    is_temporary,
    mail_from_owed,
    may_send,
    messages_from_mail,
    reply_of,
    reply_of_taken,
    report_on,
    text_from_mail,
    text_of,
)
from bridge.message import Inbound, Message, Owed, Reason, Report, ReportOn, State

MAIL = Mail(smarthost="smtp://127.0.0.1", **{"from": "bridge@sms.example"})
NOW = 1_800_000_000.0


def side(**settings: Any) -> SmtpAccount:
    return SmtpAccount(login="acme", password="secret", **{"from": ["*@acme.example"], **settings})


# --- mail -> messages


@pytest.mark.parametrize(("subject", "text"), [("ignore", "body"), ("only", "Subject"), ("prefix", "Subject\nbody")])
def test_subject(subject: str, text: str) -> None:
    assert text_from_mail(b"Subject: Subject\r\n\r\nbody\r\n", side(subject=subject)) == text


@pytest.mark.parametrize(
    ("subject", "octets", "text"),
    [("prefix", b"\r\nbody", "body"), ("prefix", b"Subject: S\r\n\r\n", "S"), ("only", b"Subject: S\r\n\r\n", "S")],
)
def test_what_is_missing_leaves_no_blank_line(subject: str, octets: bytes, text: str) -> None:
    assert text_from_mail(octets, side(subject=subject)) == text


@pytest.mark.parametrize(
    ("subject", "octets"), [("ignore", b"Subject: S\r\n\r\n \r\n"), ("only", b"\r\nbody"), ("prefix", b"")]
)
def test_a_mail_without_text_is_refused(subject: str, octets: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        text_from_mail(octets, side(subject=subject))
    assert caught.value.reason == Reason.INVALID_TEXT


@pytest.mark.parametrize(("letter", "fits"), [("a", 2 * 153), ("ж", 2 * 67)])
def test_a_text_of_too_many_parts_is_refused(letter: str, fits: int) -> None:
    assert text_from_mail(b"\r\n" + (letter * fits).encode(), side(max_parts=2)) == letter * fits
    for length in (fits + 1, 100_000):
        with pytest.raises(Refusal, match="more than 2 parts") as caught:
            text_from_mail(b"\r\n" + (letter * length).encode(), side(max_parts=2))
        assert caught.value.reason == Reason.TEXT_TOO_LONG


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("it@acme.example", True), ("IT@ACME.EXAMPLE", True), ("it@acme.example.evil", False), ("it@evil.example", False)],
)
def test_may_send(address: str, allowed: bool) -> None:
    assert may_send(side(), address) is allowed


def test_one_message_for_each_recipient() -> None:
    submission = Submission(
        account=Account(name="acme", settings=side(source="Acme"), validity_s=60.0),
        mail_from="it@acme.example",
        ret="HDRS",
        envid="E1",
        recipients=[
            Recipient(
                number="447700900001",
                address="447700900001@sms.example",
                notify=("SUCCESS", "FAILURE"),
                orcpt="rfc822;bob@acme.example",
            ),
            Recipient(number="447700900002", address="447700900002@sms.example"),
        ],
    )
    letter = Letter(subject="Disk full", body="x", message_id="<1@acme.example>")
    ids = count(7)
    first, second = messages_from_mail(submission, letter, "x", NOW, lambda: next(ids))
    assert first == Message(
        message_id=7,
        account="acme",
        listener="smtp",
        destination="447700900001",
        source="Acme",
        text="x",
        accepted_at=NOW,
        expires_at=NOW + 60,
        report_on=ReportOn.FINAL,
        native={
            "mail_from": "it@acme.example",
            "subject": "Disk full",
            "message_id_header": "<1@acme.example>",
            "ret": "HDRS",
            "envid": "E1",
            "rcpt": "447700900001@sms.example",
            "notify": "SUCCESS,FAILURE",
            "orcpt": "rfc822;bob@acme.example",
        },
    )
    assert (second.message_id, second.report_on) == (8, ReportOn.FAILURE)
    assert second.native.keys() == first.native.keys() - {"notify", "orcpt"}


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [
        ((), ReportOn.FAILURE),
        (("FAILURE",), ReportOn.FAILURE),
        (("SUCCESS",), ReportOn.SUCCESS),
        (("SUCCESS", "FAILURE", "DELAY"), ReportOn.FINAL),
        (("FAILURE", "DELAY"), ReportOn.FAILURE),
        (("DELAY",), ReportOn.NEVER),
        (("NEVER",), ReportOn.NEVER),
    ],
)
def test_report_on(notify: tuple[str, ...], wanted: ReportOn) -> None:
    assert report_on(notify) is wanted


# --- refusals -> replies


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_reply(reason: Reason) -> None:
    match = re.fullmatch(r"([45])\d\d ([45])\.\d\.\d{1,2} [ -~]{5,80}", REPLY[reason])
    assert match is not None
    assert match[1] == match[2]


def test_what_passes_is_temporary_and_nothing_else() -> None:
    temporary = {reason for reason in Reason if is_temporary(Refusal(reason, ""))}
    assert temporary == {Reason.THROTTLED, Reason.QUEUE_FULL, Reason.UNAVAILABLE}


def test_reply_has_the_words_of_the_refusal_on_one_line() -> None:
    assert reply_of(Refusal(Reason.NO_ROUTE, "no\r\n250 wäy")) == "550 5.1.1 no 250 w?y"
    assert reply_of(Refusal(Reason.NO_ROUTE, "")) == REPLY[Reason.NO_ROUTE]


def test_reply_names_ids_as_far_as_a_line_holds_them() -> None:
    assert reply_of_taken([5, 6]) == "250 2.0.0 Ok: queued as 5 6"
    long = reply_of_taken([9_999_999_999] * 100)
    assert long.endswith(" and 80 more")
    assert len(long) < 510


# --- what is owed -> mail


def owed_report(state: State, reason: Reason | None = None, native: str = "", **changes: Any) -> Owed:
    known = {
        "mail_from": "it@acme.example",
        "subject": "Grüße",
        "message_id_header": "<1@acme.example>",
        "envid": "E1",
        "rcpt": "+44 7700@sms.example",
        "orcpt": "rfc822;bob@acme.example",
    }
    message = Message(
        message_id=7,
        account="acme",
        listener="smtp",
        destination="447700900001",
        text="the secret text",
        accepted_at=NOW,
        expires_at=NOW + 60,
        native={name: value for name, value in {**known, **changes}.items() if value is not None},
    )
    report = Report(state=state, reason=reason, native=native, at=NOW + 30)
    return Owed(
        owed_id=3,
        account="acme",
        listener="smtp",
        created_at=NOW + 31,
        due_at=NOW + 31,
        known_id=7,
        message=message,
        report=report,
    )


def written(owed: Owed, inbound_to: str | None = None) -> tuple[str, str, EmailMessage]:
    made = mail_from_owed(owed, MAIL, "sms.example", NOW + 40, inbound_to)
    assert made is not None
    sender, recipient, octets = made
    assert b"\n" not in octets.replace(b"\r\n", b"")
    mail = message_from_bytes(octets, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return sender, recipient, mail


def fields_of(mail: EmailMessage) -> tuple[Any, Any]:
    """The blocks of a delivery status: of the mail, and of its recipient."""
    human, status, headers = mail.iter_parts()
    assert human.get_content_type() == "text/plain"
    assert headers.get_content_type() == "text/rfc822-headers"
    assert status.get_content_type() == "message/delivery-status"
    whole, recipient = status.get_payload()
    return whole, recipient


def test_failure_report() -> None:
    sender, recipient, mail = written(owed_report(State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER, "absent\nx" * 60))
    assert (sender, recipient) == ("", "it@acme.example")
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "delivery-status"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["In-Reply-To"] == mail["References"] == "<1@acme.example>"
    assert mail["To"] == "it@acme.example"
    assert "bridge@sms.example" in mail["From"]
    whole, of_recipient = fields_of(mail)
    assert whole["Reporting-MTA"] == "dns; sms.example"
    assert whole["Original-Envelope-Id"] == "E1"
    assert whole["Arrival-Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert of_recipient["Original-Recipient"] == "rfc822;bob@acme.example"
    assert of_recipient["Final-Recipient"] == "rfc822; +44 7700@sms.example"
    assert of_recipient["Action"] == "failed"
    assert of_recipient["Status"] == "5.4.1"
    assert of_recipient["Diagnostic-Code"].startswith("x-smsbridge; absent_subscriber absent x")
    assert of_recipient["Last-Attempt-Date"] == "Fri, 15 Jan 2027 08:00:30 +0000"
    human, _, headers = mail.iter_parts()
    text = human.get_content()
    assert "Your message to +447700900001 was not delivered." in text
    assert "The phone is switched off or out of reach." in text
    assert "Grüße" in text
    original = message_from_string(headers.get_content(), policy=policy.default)
    assert original["Message-ID"] == "<1@acme.example>"
    assert original["Subject"] == "Grüße"
    assert "the secret text" not in mail.as_string()


def test_success_report() -> None:
    _, _, mail = written(owed_report(State.DELIVERED))
    _, of_recipient = fields_of(mail)
    assert (of_recipient["Action"], of_recipient["Status"]) == ("delivered", "2.1.5")
    assert mail["Subject"] == "Delivered: message to +447700900001"
    assert "was delivered." in next(mail.iter_parts()).get_content()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_permanent_status(reason: Reason) -> None:
    _, _, mail = written(owed_report(State.UNDELIVERABLE, reason))
    assert re.fullmatch(r"5\.[0-7]\.\d{1,2}", fields_of(mail)[1]["Status"])


@pytest.mark.parametrize(
    ("state", "status"),
    [(State.EXPIRED, "5.4.7"), (State.DELETED, "5.0.0"), (State.UNKNOWN, "5.0.0"), (State.REJECTED, "5.0.0")],
)
def test_a_state_without_reason_has_a_status(state: State, status: str) -> None:
    assert fields_of(written(owed_report(state))[2])[1]["Status"] == status


def test_report_without_anything_known_but_the_sender() -> None:
    bare = dict.fromkeys(("subject", "message_id_header", "envid", "rcpt", "orcpt"))
    _, _, mail = written(owed_report(State.REJECTED, **bare))
    whole, of_recipient = fields_of(mail)
    assert whole["Original-Envelope-Id"] is None
    assert of_recipient["Final-Recipient"] == "rfc822; +447700900001@sms.example"
    assert mail["In-Reply-To"] is None


def test_the_same_report_is_written_alike() -> None:
    owed = owed_report(State.EXPIRED)
    assert mail_from_owed(owed, MAIL, "sms.example", NOW) == mail_from_owed(owed, MAIL, "sms.example", NOW)


def test_report_to_an_address_that_is_not_ascii() -> None:
    made = mail_from_owed(owed_report(State.EXPIRED, mail_from="jörg@acme.example"), MAIL, "sms.example", NOW)
    assert made is not None
    assert made[1] == "jörg@acme.example"
    assert "To: jörg@acme.example\r\n".encode() in made[2]


def test_nobody_answers_the_null_sender() -> None:
    assert mail_from_owed(owed_report(State.EXPIRED, mail_from=""), MAIL, "sms.example", NOW) is None
    assert mail_from_owed(owed_report(State.EXPIRED, mail_from=None), MAIL, "sms.example", NOW) is None


def owed_inbound(source: str, text: str) -> Owed:
    inbound = Inbound(source=source, destination="447700900999", text=text)
    return Owed(account="acme", listener="smtp", created_at=NOW, due_at=NOW, known_id=9, owed_id=4, inbound=inbound)


def test_inbound_message() -> None:
    sender, recipient, mail = written(owed_inbound("447700900001", "Привіт\n.\n"), "it@acme.example")
    assert (sender, recipient) == ("bridge@sms.example", "it@acme.example")
    assert mail["From"].addresses[0].addr_spec == "+447700900001@sms.example"
    assert mail["Subject"] == "Message from +447700900001"
    assert mail.get_content() == "Привіт\r\n.\r\n"


def test_inbound_message_of_an_alphanumeric_sender() -> None:
    _, _, mail = written(owed_inbound("Bank\r\nX: y", ""), "it@acme.example")
    assert mail["From"].addresses[0].addr_spec == "no-reply@sms.example"
    assert mail["Subject"] == "Message from Bank X: y"
    assert mail["X"] is None


def test_inbound_message_that_is_not_text() -> None:
    inbound = Inbound(source="447700900001", destination="447700900999", binary=b"\0\xff", udh=b"\1\2")
    thing = Owed(account="acme", listener="smtp", created_at=NOW, due_at=NOW, known_id=9, owed_id=4, inbound=inbound)
    _, _, mail = written(thing, "it@acme.example")
    (attached,) = mail.iter_attachments()
    assert (attached.get_content_type(), attached.get_content()) == ("application/octet-stream", b"\1\2\0\xff")


def test_inbound_message_without_a_mailbox() -> None:
    assert mail_from_owed(owed_inbound("447700900001", "x"), MAIL, "sms.example", NOW) is None


@pytest.mark.parametrize(
    ("parts", "text", "begins", "length"),
    [
        (1, "word " * 100, "word word ", 157),
        (2, "x" * 1000, "xxx", 306),
        (1, "я" * 100, "яяя", 70),
        (1, "x" * 200 + "я", "xxx", 160),
    ],
)
def test_too_long_text_is_truncated(parts: int, text: str, begins: str, length: int) -> None:
    settings = SmtpAccount(login="a", password="s", max_parts=parts, too_long="truncate", **{"from": ["*"]})
    found = text_of(Letter(subject="", body=text), settings)
    assert found.startswith(begins)
    assert found.endswith("...")
    assert len(found) == length


def test_attachments_refused() -> None:
    settings = SmtpAccount(login="a", password="s", attachments="refuse", **{"from": ["*"]})
    mixed = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: a/pdf\r\n\r\n"
        b"x\r\n--b--\r\n"
    )
    assert text_from_mail(mixed, settings.model_copy(update={"attachments": "ignore"})) == "hello"
    with pytest.raises(Refusal, match="attachments are not taken"):
        text_from_mail(mixed, settings)
    assert text_from_mail(b"\r\nhello\r\n", settings) == "hello"
