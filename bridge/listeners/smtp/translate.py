"""Between mail and our words: mail -> text -> messages, refusals -> replies, what is owed -> mail.

Pure. Replies are those of RFC 5321 §4.2 with the enhanced status of RFC 3463; reports are those of RFC 3464.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.message import Message as Part
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, formataddr, parseaddr
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from bridge.errors import Refusal
from bridge.listeners.smtp.options import options_of
from bridge.listeners.smtp.ports import Account
from bridge.listeners.smtp.settings import Mail, SmtpAccount
from bridge.listeners.smtp.text import Letter, read_mail
from bridge.listeners.smtp.trim import shortened, trimmed
from bridge.message import Message, Owed, Reason, Report, ReportOn, State
from bridge.sms.segments import count_parts

# Reason -> reply code, subject and detail of the enhanced status, and a sentence. A reply's class is the code's; in a
# report it is 5, because a report is only ever written of what is over. Reasons that are learnt after the mail was
# taken have a code all the same: nothing forbids a later check at the door.
_WIRE: dict[Reason, tuple[int, str, str]] = {
    Reason.INVALID_REQUEST: (554, "6.0", "The mail was not understood"),
    Reason.INVALID_SOURCE: (550, "1.7", "The sender of the message is malformed"),
    Reason.SOURCE_NOT_ALLOWED: (550, "7.1", "This account may not use that sender"),
    Reason.INVALID_DESTINATION: (550, "1.3", "The recipient is not a phone number"),
    Reason.INVALID_TEXT: (554, "6.0", "The mail has no text that could be sent"),
    Reason.TEXT_TOO_LONG: (552, "3.4", "The text is too long"),
    Reason.INVALID_VALIDITY: (554, "5.4", "The validity of the message is malformed or over"),
    Reason.INVALID_SCHEDULE: (554, "5.4", "The scheduled time is malformed or too far away"),
    Reason.UNSUPPORTED: (554, "6.1", "No provider can carry this content"),
    Reason.NO_ROUTE: (550, "1.1", "No route leads to this number"),
    Reason.NOT_PERMITTED: (550, "7.1", "The account may not do this"),
    Reason.THROTTLED: (452, "3.1", "Too many messages; try again later"),
    Reason.QUEUE_FULL: (452, "3.1", "The queue is full; try again later"),
    Reason.UNAVAILABLE: (451, "3.0", "The message cannot be stored now; try again later"),
    Reason.PARTS_MISSING: (554, "6.0", "The rest of the message never came"),
    Reason.CANCELLED: (554, "0.0", "The message was cancelled"),
    Reason.VALIDITY_ELAPSED: (554, "4.7", "The message was not delivered in time"),
    Reason.UNKNOWN_SUBSCRIBER: (550, "1.1", "The number does not exist"),
    Reason.ABSENT_SUBSCRIBER: (554, "4.1", "The phone is switched off or out of reach"),
    Reason.HANDSET_ERROR: (554, "2.0", "The phone refused the message or its memory is full"),
    Reason.BARRED: (550, "2.1", "The subscriber or the operator does not take such messages"),
    Reason.BLOCKED: (550, "7.1", "The message was blocked: opt-out, blacklist or spam filter"),
    Reason.NETWORK_ERROR: (554, "4.0", "The operator's network failed"),
    Reason.CONTENT_REFUSED: (554, "6.0", "The provider refuses the text"),
    Reason.SENDER_REFUSED: (550, "7.1", "The provider refuses the sender"),
    Reason.NO_CREDIT: (554, "3.0", "The provider refuses the message: no credit"),
    Reason.PROVIDER_ACCOUNT: (554, "3.5", "The provider refuses our account"),
    Reason.PROVIDER_UNREACHABLE: (554, "4.1", "The provider could not be reached"),
    Reason.PROVIDER_REFUSED: (554, "3.0", "The provider refused the message"),
    Reason.UNSURE: (554, "0.0", "Nobody knows whether the message arrived"),
    Reason.NO_REPORT: (554, "0.0", "The provider never said what became of the message"),
    Reason.UNSPECIFIED: (554, "0.0", "No reason was given"),
}
REPLY: dict[Reason, str] = {
    reason: f"{code} {code // 100}.{status} {text}" for reason, (code, status, text) in _WIRE.items()
}
_DELIVERED = "2.1.5"
_REPLY_IDS = 20  # that a reply names; a line holds 512 octets (RFC 5321 §4.5.3.1.5)


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """One RCPT that was taken."""

    number: str  # E.164 digits
    address: str  # as it was written
    flash: bool = False
    validity_s: float | None = None
    notify: tuple[str, ...] = ()
    orcpt: str | None = None


class Submission(msgspec.Struct, kw_only=True):
    """One mail on its way in, from MAIL to the end of DATA."""

    account: Account
    mail_from: str
    ret: str | None = None
    envid: str | None = None
    recipients: list[Recipient] = []
    commands: list[list[Recipient]] = []  # those that each RCPT has added
    verify: Literal["either", "both"] | None = None  # what must yet be known of a sender who has not logged in


# --- mail -> messages ---------------------------------------------------------------------------------------------


def may_send(settings: SmtpAccount, address: str) -> bool:
    """True when one of the account's `from` patterns matches the whole address, in either case."""
    return any(fnmatchcase(address.lower(), pattern.lower()) for pattern in settings.senders)


def text_from_mail(octets: bytes, settings: SmtpAccount) -> str:
    """The text to send of a mail. Raises Refusal: INVALID_TEXT when nothing is there, TEXT_TOO_LONG."""
    return text_of(read_mail(octets), settings)


def text_of(letter: Letter, settings: SmtpAccount) -> str:
    """Subject and body of a letter as the account wants them joined. Raises Refusal as `text_from_mail`."""
    body = trimmed(letter.body, settings.cut or (), settings.end_mark)
    wanted = {"ignore": (body,), "only": (letter.subject,), "prefix": (letter.subject, body)}
    text = "\n".join(filter(None, wanted[settings.subject]))
    if letter.attached and settings.attachments == "refuse":
        raise Refusal(Reason.INVALID_TEXT, "attachments are not taken", field="text")
    if not text:
        empty = "subject" if settings.subject == "only" else "text"
        raise Refusal(Reason.INVALID_TEXT, f"the mail has no {empty}", field="text")
    if not _fits(text, settings.max_parts):
        if settings.too_long == "truncate":
            return _truncated(text, settings.max_parts)
        raise Refusal(Reason.TEXT_TOO_LONG, f"the text takes more than {settings.max_parts} parts", field="text")
    return text


def _fits(text: str, parts: int) -> bool:
    # Not even a GSM 7-bit text of more characters can fit; counting it would take its time.
    return len(text) <= parts * 160 and count_parts(text)[1] <= parts


def _truncated(text: str, parts: int) -> str:
    # What is cut off may hold the only character that needs UCS-2: so the longest that fits is looked for.
    shortest, longest = 3, min(len(text), parts * 160)
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        if _fits(shortened(text, middle), parts):
            shortest = middle
        else:
            longest = middle - 1
    return shortened(text, shortest)


def messages_from_mail(
    submission: Submission, letter: Letter, text: str, now: float, next_id: Callable[[], int]
) -> list[Message]:
    """One message per recipient. `now`: Unix seconds. `next_id` may raise StoreUnavailable."""
    account = submission.account
    # A mail whose sender was verified alone may have got more headers on its way, which nobody has signed.
    options = options_of({} if submission.verify else letter.options, account.region)
    source = account.settings.source if options.source is None else options.source
    return [
        Message(
            message_id=next_id(),
            account=account.name,
            listener="smtp",
            destination=recipient.number,
            source=source,
            text=text,
            accepted_at=now,
            expires_at=now + (recipient.validity_s or options.validity_s or account.validity_s),
            flash=recipient.flash or options.flash,
            priority=options.priority,
            report_on=report_on(recipient.notify),
            native=_known(
                mail_from=submission.mail_from,
                subject=letter.subject[:200] or None,
                message_id_header=letter.message_id,
                ret=submission.ret,
                envid=submission.envid,
                rcpt=recipient.address,
                notify=",".join(recipient.notify) or None,
                orcpt=recipient.orcpt,
            ),
        )
        for recipient in submission.recipients
    ]


def report_on(notify: Sequence[str]) -> ReportOn:
    """When the sender wants to be told: without NOTIFY, of failures (RFC 3461 §4.1); of delays we never tell."""
    if not notify:
        return ReportOn.FAILURE
    success, failure = "SUCCESS" in notify, "FAILURE" in notify
    if success and failure:
        return ReportOn.FINAL
    return ReportOn.SUCCESS if success else ReportOn.FAILURE if failure else ReportOn.NEVER


# --- refusals -> replies ------------------------------------------------------------------------------------------


def reply_of(refusal: Refusal) -> str:
    """The reply that a refusal is, with its own words."""
    code, status, text = _WIRE[Reason(refusal.reason)]
    return f"{code} {code // 100}.{status} {_line(refusal.text, 200) or text}"


def is_temporary(refusal: Refusal) -> bool:
    """True when the client may come again with the same mail."""
    return _WIRE[Reason(refusal.reason)][0] < 500


def reply_of_taken(ids: Sequence[int]) -> str:
    """The reply when the mail is on disk, with the ids its messages got."""
    shown = " ".join(map(str, ids[:_REPLY_IDS]))
    more = f" and {len(ids) - _REPLY_IDS} more" if len(ids) > _REPLY_IDS else ""
    return f"250 2.0.0 Ok: queued as {shown}{more}"


# --- what is owed -> mail -----------------------------------------------------------------------------------------


def mail_from_owed(
    owed: Owed, settings: Mail, domain: str, now: float, inbound_to: str | None = None
) -> tuple[str, str, bytes] | None:
    """Envelope sender, recipient and octets of the mail that tells a report, or hands over an inbound message.

    A report goes to the sender of its message, an inbound message to `inbound_to`. None: there is nobody to write to.
    The same `owed` and `now` give the same octets. `now`: Unix seconds.
    """
    if owed.inbound is not None:
        return (_address(settings), inbound_to, _inbound(owed, domain, now, inbound_to)) if inbound_to else None
    if owed.message is None or owed.report is None:
        return None
    sender = owed.message.native.get("mail_from")
    # The null sender never answers itself: RFC 5321 §4.5.5.
    return ("", sender, _report(owed, owed.message, owed.report, settings, domain, now)) if sender else None


def _report(owed: Owed, message: Message, report: Report, settings: Mail, domain: str, now: float) -> bytes:
    native = message.native
    recipient = native.get("rcpt") or f"+{message.destination}@{domain}"
    delivered = report.state is State.DELIVERED
    reason = report.reason or _REASON_OF.get(report.state, Reason.UNSPECIFIED)
    sentence = "" if delivered else _WIRE[reason][2]

    # An address that is not ASCII needs a header that is not (RFC 6532), and a smarthost that takes it.
    policy = _POLICY.clone(utf8=not (native["mail_from"] + recipient).isascii())
    mail = EmailMessage(policy)
    mail["Content-Type"] = f'multipart/report; report-type="delivery-status"; boundary="=_report_{owed.owed_id}"'
    mail["MIME-Version"] = "1.0"
    mail["From"] = formataddr(("Mail Delivery System", _address(settings)))
    mail["To"] = native["mail_from"]
    mail["Subject"] = f"{'Delivered' if delivered else 'Not delivered'}: message to +{message.destination}"
    _stamp(mail, owed, domain, now)
    mail["Auto-Submitted"] = "auto-replied"
    if native.get("message_id_header"):
        mail["In-Reply-To"] = mail["References"] = native["message_id_header"]
    human = EmailMessage(policy)
    human.set_content(_explanation(owed, message, report, sentence), cte="quoted-printable")
    status = _fields(policy, ("Content-Type", "message/delivery-status"))
    action, code = ("delivered", _DELIVERED) if delivered else ("failed", f"5.{_WIRE[reason][1]}")
    diagnostic = _line(f"{report.state.word if delivered else reason.value} {report.native}", 400)
    status.set_payload(
        [
            _fields(
                policy,
                ("Original-Envelope-Id", native.get("envid")),
                ("Reporting-MTA", f"dns; {domain}"),
                ("Arrival-Date", _date(message.accepted_at)),
            ),
            _fields(
                policy,
                ("Original-Recipient", native.get("orcpt")),
                ("Final-Recipient", f"rfc822; {recipient}"),
                ("Action", action),
                ("Status", code),
                ("Diagnostic-Code", f"x-smsbridge; {diagnostic}"),
                ("Last-Attempt-Date", None if report.at is None else _date(report.at)),
            ),
        ]
    )
    headers = _fields(policy, ("Content-Type", "text/rfc822-headers"))
    original = _fields(
        policy,
        ("Return-Path", f"<{native['mail_from']}>"),
        ("Message-ID", native.get("message_id_header")),
        ("Subject", native.get("subject")),
    )
    headers.set_payload(original.as_bytes().decode("ascii", "surrogateescape"))
    mail.set_payload([human, status, headers])
    return mail.as_bytes()


def _explanation(owed: Owed, message: Message, report: Report, sentence: str) -> str:
    what = {State.DELIVERED: "was delivered", State.EXPIRED: "was not delivered in time"}
    lines = [f"Your message to +{message.destination} {what.get(report.state, 'was not delivered')}.", ""]
    if sentence:
        lines.append(f"Reason: {sentence}.")
    if report.native:
        lines.append(f"The provider's words: {_line(report.native, 200)}")
    if message.native.get("subject"):
        lines.append(f"Subject: {message.native['subject']}")
    lines += [f"Sent: {_date(message.accepted_at)}", f"Message: {owed.known_id}"]
    return "\n".join(lines) + "\n"


def _inbound(owed: Owed, domain: str, now: float, recipient: str) -> bytes:
    inbound = owed.inbound
    assert inbound is not None
    digits = inbound.source.isascii() and inbound.source.isdigit()
    number = f"+{inbound.source}" if digits else _line(inbound.source, 60)
    mail = EmailMessage(_POLICY.clone(utf8=not recipient.isascii()))
    # An answer to it is mail to a number, and so a message back; nobody can answer an alphanumeric sender.
    mail["From"] = formataddr((number, f"{number if digits else 'no-reply'}@{domain}"))
    mail["To"] = recipient
    mail["Subject"] = f"Message from {number}"
    _stamp(mail, owed, domain, now)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(inbound.text or "\n", charset="utf-8", cte="quoted-printable")
    if inbound.binary is not None:
        octets = (inbound.udh or b"") + inbound.binary
        mail.add_attachment(octets, maintype="application", subtype="octet-stream", filename="message.bin")
    return mail.as_bytes()


def _stamp(mail: Part, owed: Owed, domain: str, now: float) -> None:
    mail["Date"] = _date(now)
    # Made of what never changes, so that the receiver knows a repeated mail again.
    mail["Message-ID"] = f"<{owed.owed_id}.{owed.known_id}.{int(owed.created_at)}@{domain}>"


# Lines of 998 octets are allowed (RFC 5322 §2.1.1); folded at 78, the library would encode a long Message-ID.
_POLICY = SMTP.clone(max_line_length=900)
_REASON_OF = {State.EXPIRED: Reason.VALIDITY_ELAPSED, State.DELETED: Reason.CANCELLED, State.UNKNOWN: Reason.NO_REPORT}


def _fields(policy: EmailPolicy[EmailMessage], *pairs: tuple[str, str | None]) -> Part:
    block: Part = EmailMessage(policy)
    for name, value in pairs:
        if value is not None:
            block[name] = value
    return block


def _address(settings: Mail) -> str:
    return parseaddr(settings.sender)[1] or settings.sender


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))


def _line(text: str, longest: int) -> str:
    """ASCII on one line, at most `longest` characters: what a reply or a field of a report can hold."""
    ascii_only = text.encode("ascii", "replace").decode("ascii")
    return " ".join("".join(c if c.isprintable() else " " for c in ascii_only).split())[:longest]


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
