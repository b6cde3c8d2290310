"""SMS Center's mails: one line of fields between colons, account and password among them, and the text last.

`login:psw:id:time,tz:translit,format,sender,test:phones:mes`, or with no phones a list of `phones:mes`, one a line.
Pure. A mail may be wrapped in `[text]…[/text]`; without a charset it is KOI8-R.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from bridge.errors import Refusal
from bridge.listeners.smtp.ports import Account
from bridge.message import Message, Reason, ReportOn
from bridge.routing.numbers import NumberError, normalise, source_of
from bridge.sms.segments import count_parts

CHARSET = "koi8-r"
_WRAPPED = re.compile(r"\[text\](.*?)(?:\[/text\]|\Z)", re.DOTALL | re.IGNORECASE)
_MOSCOW_H = 3  # what `tz` is counted from
_FLASH = "1"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail asks for."""

    login: str
    password: str
    client_ref: str | None
    deliver_at: float | None
    source: str | None
    flash: bool
    test: bool  # nothing is to be sent
    texts: list[tuple[str, str]]  # phones as they were written, text


def order_from_text(text: str, now: float) -> Order:
    """Reads the text of a mail. `now`: Unix seconds. Raises Refusal."""
    wrapped = _WRAPPED.search(text)
    fields = (wrapped[1] if wrapped else text).strip().split(":", 6)
    if len(fields) != 7:
        raise Refusal(Reason.INVALID_REQUEST, "the mail is login:psw:id:time:translit,format,sender:phones:mes")
    login, password, ref, time, options, phones, rest = fields
    translit, kind, source, test = [*(each.strip() for each in options.split(",")), "", "", "", ""][:4]
    if translit not in ("", "0"):
        raise Refusal(Reason.UNSUPPORTED, "texts are not transliterated here")
    if kind not in ("", "0", _FLASH):
        raise Refusal(Reason.UNSUPPORTED, "the formats are 0 (SMS) and 1 (flash)")
    texts = [(phones, rest.strip())]
    if not phones.strip():
        lines = (line.partition(":") for line in rest.split("\n") if line.strip())
        texts = [(numbers, message.strip()) for numbers, _, message in lines]
    try:
        sender = source_of(source) if source else None
    except NumberError as error:
        raise Refusal(Reason.INVALID_SOURCE, str(error), field="source") from None
    return Order(
        login=login.strip(),
        password=password,
        client_ref=ref.strip() or None,
        deliver_at=_deliver_at(time.strip(), now),
        source=sender,
        flash=kind == _FLASH,
        test=test == "1",
        texts=texts,
    )


def messages_of_order(
    order: Order, account: Account, mail_from: str, now: float, next_id: Callable[[], int]
) -> list[Message]:
    """One message for each number of each text. Raises Refusal, and what `next_id` raises."""
    found = []
    for phones, text in order.texts:
        if not text:
            raise Refusal(Reason.INVALID_TEXT, "a message has no text", field="text")
        most = account.settings.max_parts
        if len(text) > most * 160 or count_parts(text)[1] > most:
            raise Refusal(Reason.TEXT_TOO_LONG, f"the text takes more than {most} parts", field="text")
        found += [(number, text) for number in dict.fromkeys(_numbers(phones, account.region))]
    begins = now if order.deliver_at is None else order.deliver_at
    return [
        Message(
            message_id=next_id(),
            account=account.name,
            listener="smtp",
            destination=number,
            source=order.source or account.settings.source,
            text=text,
            flash=order.flash,
            accepted_at=now,
            deliver_at=order.deliver_at,
            expires_at=begins + account.validity_s,
            report_on=ReportOn.FAILURE,
            client_ref=order.client_ref,
            native={"mail_from": mail_from},
        )
        for number, text in found
    ]


def _numbers(phones: str, region: str | None) -> list[str]:
    try:
        numbers = [normalise(each, region) for each in re.split("[,;\n]", phones) if each.strip()]
    except NumberError as error:
        raise Refusal(Reason.INVALID_DESTINATION, str(error), field="destination") from None
    if not numbers:
        raise Refusal(Reason.INVALID_DESTINATION, "there are no phones", field="destination")
    return numbers


def _deliver_at(value: str, now: float) -> float | None:
    """DDMMYYhhmm in Moscow's time plus `tz` hours, +minutes, or 0 and Unix seconds; nothing or 0: now."""
    time, _, zone = (piece.strip() for piece in value.partition(","))
    try:
        if time in ("", "0"):
            return None
        if time.startswith("+"):
            return now + 60 * int(time[1:])
        if len(time) > 10 and time.startswith("0"):
            return float(int(time[1:]))
        local = datetime.strptime(time, "%d%m%y%H%M").replace(tzinfo=UTC)
        return (local - timedelta(hours=_MOSCOW_H + float(zone or 0))).timestamp()
    except (ValueError, OverflowError):
        raise Refusal(Reason.INVALID_SCHEDULE, "a time is DDMMYYhhmm, or +minutes", field="deliver_at") from None
