"""SMS Center (smscentre.com, smsc.ru, smsc.kz, smsc.ua and their white labels): messages through `send.php`.

Documents: https://smscentre.com/api/http/. A request holds one text for many (`phones`) or a text each (`list`) and one
`id` that we choose; so a message is known there as `id:phone`. An id may come twice and the message is then sent twice:
what was never answered is looked for with `status.php`, which takes one list a minute. HTTP statuses say nothing of
what became of a request, `error_code` does. Callbacks are signed with a hash of some fields and a secret; inbound
messages come by the same callback, or are asked for with `get.php`. Scheduled messages wait with us.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from msgspec.structs import replace
from pydantic import Field, field_validator, model_validator

from bridge.message import Accepted, Inbound, Message, Outcome, Reason, Refused, Report, Retry
from bridge.providers import _contract
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Capabilities,
    Heard,
    Money,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
    decode,
    retry_after_s,
    status_outcome,
)
from bridge.providers._reading import int_of, money_of, objects_of, text_of
from bridge.providers._smscentre_downloads import Downloads
from bridge.providers._smscentre_said import ERRORS, STATES, digits_of, fields_of, inbound_of, reports_of, signed
from bridge.values import BaseUrl, Secret

_OBJECT = dict[str, Any]
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_LAST_ID = 2**31 - 1
_DAY_MIN = 24 * 60
_NOT_FOUND = -3
_AGAIN = Retry(reason=Reason.PROVIDER_REFUSED)
_CAN = Capabilities(
    batch_size=100,
    lookup=True,
    binary=True,
    flash=True,
    source_max=15,
    alphanumeric_max=11,
    text_max=1000,
    validity=True,
    push_reports=True,
    poll_reports=True,
    poll_size=500,
    poll_rate=1 / 60,
    inbound=True,
)

_PARAMETER = {"telegram": "tg", "social": "soc"}  # the others are called as their channel
# `error_code` of a send.
CODES: dict[int, Outcome] = {
    1: Refused(reason=Reason.PROVIDER_REFUSED),  # error in the parameters
    2: Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True),  # login or password wrong, or our address not allowed
    3: Retry(reason=Reason.NO_CREDIT, pause=True),
    4: Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True),  # our address blocked for a time, after too many errors
    5: Refused(reason=Reason.INVALID_VALIDITY),  # wrong format of a date
    6: Refused(reason=Reason.CONTENT_REFUSED),  # forbidden, for its text or its sender
    7: Refused(reason=Reason.INVALID_DESTINATION),
    8: Refused(reason=Reason.UNKNOWN_SUBSCRIBER),  # cannot be delivered to this number
    9: Retry(reason=Reason.THROTTLED),  # the same twice in a minute, or too many requests at once
}


class Settings(ProviderSettings):
    """How SMS Center is configured: with `api_key`, or with `login` and `password`; the handler's address, and what
    it is signed with, are entered in the account there.
    """

    type: Literal["smscentre"]
    base_url: BaseUrl = "https://smscentre.com/sys"  # a host alone stands for its /sys
    api_key: Secret | None = None  # in place of login and password
    login: str | None = Field(default=None, min_length=1)  # with password, in place of api_key
    password: Secret | None = None
    callback_secret: Secret | None = None  # callbacks that are not signed with it are refused
    channel: Literal["sms", "flash", "viber", "whatsapp", "telegram", "social", "mail", "call", "hlr", "ping"] = "sms"
    sender: str | None = Field(default=None, min_length=1, max_length=40)  # of messages that have none
    mail_domain: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+\.[A-Za-z0-9-]+$")  # mail only
    subject: str | None = Field(default=None, min_length=1, max_length=200)  # mail only
    voice: str | None = Field(default=None, pattern=r"^[a-z0-9]{1,8}$")  # one of the account's voices, call only
    test: bool = False  # virtually: everything happens but the sending
    inbox: bool = True  # inbound messages are asked for
    concurrency: int = Field(default=8, ge=1, le=14)  # fifteen requests at once are too many for them

    @field_validator("base_url")
    @classmethod
    def _with_path(cls, value: str) -> str:
        return value if urlsplit(value).path else f"{value}/sys"

    @model_validator(mode="after")
    def _one_login(self) -> Settings:
        by_password = self.login is not None and self.password is not None
        if (self.api_key is None) is not by_password or (self.login is None) is not (self.password is None):
            raise ValueError("give an api_key, or a login and a password")
        if {self.mail_domain is not None, self.subject is not None} != {self.channel == "mail"}:
            raise ValueError("the channel mail needs a mail_domain and a subject, and no other takes them")
        if self.voice is not None and self.channel != "call":
            raise ValueError("a voice belongs to the channel call")
        return self


class Provider(_contract.Provider):
    """Up to 100 messages in a request of `send.php`, which may differ in text only."""

    capabilities = _CAN
    settings: Settings

    def __init__(self, name: str, settings: Settings, references: References) -> None:
        super().__init__(name, settings, references)
        if settings.channel != "sms":
            self.capabilities = replace(_CAN, binary=False, flash=False)
        if settings.api_key is not None:
            self._who = {"apikey": settings.api_key.get_secret_value()}
        elif settings.login is not None and settings.password is not None:
            self._who = {"login": settings.login, "psw": settings.password.get_secret_value()}
        self._looks = settings.channel in ("hlr", "ping")  # at a number, and sends nothing
        self._kind = {} if settings.channel == "sms" else {_PARAMETER.get(settings.channel, settings.channel): "1"}
        options = {"voice": settings.voice, "subj": settings.subject, "test": "1" if settings.test else None}
        self._kind |= {name: value for name, value in options.items() if value is not None}

    def batch_key(self, message: Message) -> object:
        """All but number and text; and a text that a list cannot hold, because it ends the line there."""
        alone = message.text if "\n" in (message.text or "") or "\r" in (message.text or "") else None
        return (message.source, message.flash, _valid(message), message.binary, message.udh, alone)

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """`phones` where all say the same, else `list`."""
        return self._request("send.php", self._sent(attempts))

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """`error_code` is everybody's; an `id` accepts all, but for those whose entry in `phones` says otherwise."""
        answer = decode(response.body, _OBJECT)
        if answer is None:
            return [status_outcome(response)] * len(attempts)
        code, number = int_of(answer.get("error_code")), int_of(answer.get("id"))
        if code is not None:
            outcome = CODES.get(code, _AGAIN)
            if len(attempts) > 1 and isinstance(outcome, Refused):
                outcome = _AGAIN  # one of them is at fault, and nobody says which; they come again, not all together
            if isinstance(outcome, Retry):
                outcome = replace(outcome, after_s=retry_after_s(response))
            return [replace(outcome, native=f"{code} {text_of(answer.get('error'))[:80]}".strip())] * len(attempts)
        if number is None or not 200 <= response.status < 300:
            return [status_outcome(response)] * len(attempts)
        refs = self._refs(number, attempts)
        phones = {digits_of(item.get("phone")): item for item in objects_of(answer.get("phones"))}
        if not phones:
            return [Accepted(provider_ref=ref) for ref in refs]
        wanted = [digits_of(self._phone(attempt)) for attempt in attempts]
        return [_outcome(phones.get(phone), ref, response) for phone, ref in zip(wanted, refs, strict=True)]

    def provider_refs(self, attempts: Sequence[Attempt]) -> Sequence[str | None]:
        """The id of the request is ours."""
        return self._refs(_id(attempts), attempts)

    def reports(self, callback: Callback) -> Heard:
        """A status, an inbound message (it has `mes`), or a call to verify a number (`waitcall`), which is nothing."""
        if callback.method not in ("GET", "POST"):
            raise BadCallback("a callback comes by GET or POST", status=405)
        fields = fields_of(callback)
        if "mes" in fields:
            names: tuple[str, ...] = ("phone", "mes", "to")
            items: Sequence[Report | Inbound] = list(inbound_of([fields], "mes", "to"))
        elif "waitcall" in fields:
            names, items = ("phone", "ts"), []
        else:
            names, items = ("id", "phone", "status"), list(reports_of([fields], "ts", looked_at=self._looks))
        secret = self.settings.callback_secret
        if secret is not None and not signed(fields, names, secret.get_secret_value()):
            raise BadCallback("the hash of this callback is missing or wrong", status=401)
        if not items and "waitcall" not in fields:
            raise BadCallback("a callback has id, phone and status, or phone, mes and to")
        return Heard(items=items)

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """One list; the comma at the end has a list come back for a single message too."""
        refs = [reference.provider_ref.partition(":") for reference in wanted if reference.provider_ref]
        if not refs:
            return []
        lists = {"id": "".join(f"{ref[0]}," for ref in refs), "phone": "".join(f"{ref[2]}," for ref in refs)}
        return [self._request("status.php", lists)]

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """Status -3 is a message that is not known, and says nothing."""
        items = objects_of(decode(response.body, object)) if 200 <= response.status < 300 else []
        known = [item for item in items if int_of(item.get("status")) != _NOT_FOUND]
        return Heard(items=list(reports_of(known, "last_timestamp", looked_at=self._looks)))

    def inbox(self, since: float, now: float) -> Request | None:
        """What came within whole hours, a week at most."""
        hours = min(max(math.ceil((now - since) / 3600), 1), 168)
        asked = {"get_answers": "1", "hour": str(hours), "cnt": "10000"}
        return self._request("get.php", asked) if self.settings.inbox else None

    def inbox_of(self, response: Response) -> Heard | None:
        """A list; an object is an error."""
        items = decode(response.body, list[Any]) if 200 <= response.status < 300 else None
        return None if items is None else Heard(items=list(inbound_of(objects_of(items), "message", "to_phone")))

    def balance(self) -> Request | None:
        """With its currency."""
        return self._request("balance.php", {"cur": "1"})

    def balance_of(self, response: Response) -> Money | None:
        """`credit` is not counted in."""
        answer = decode(response.body, _OBJECT) or {}
        return money_of(answer.get("balance"), answer.get("currency"))

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        """As for sending, with `cost=1`."""
        return self._request("send.php", self._sent(attempts) | {"cost": "1"})

    def price_of(self, response: Response) -> Money | None:
        """In the currency of the account."""
        return money_of((decode(response.body, _OBJECT) or {}).get("cost"))

    def setup(self, callback_url: str, answers: Sequence[Response]) -> Request | str:
        """By hand: the address is one of the account's settings."""
        address = f"{callback_url}?charset=utf-8&md5&sha1"
        return f"enter {address} as the address of the handler in the account's settings, and callback_secret there"

    def exports(self) -> Downloads:
        """The deferred tasks."""
        return Downloads(self._request)

    def _request(self, page: str, fields: Mapping[str, str]) -> Request:
        body = urlencode({**self._who, **fields, "fmt": "3", "charset": "utf-8"}).encode()
        return Request(method="POST", url=f"{self.settings.base_url}/{page}", headers=_FORM, body=body)

    def _sent(self, attempts: Sequence[Attempt]) -> dict[str, str]:
        first = attempts[0].message
        fields = self._kind | {"id": str(_id(attempts)), "op": "1", "err": "1", "translit": "0", "valid": _valid(first)}
        sender = self.settings.sender if "mail" in fields else first.source or self.settings.sender
        if sender is not None:
            fields["sender"] = sender
        if first.flash:
            fields["flash"] = "1"
        if first.binary is not None:
            fields |= {"bin": "2", "mes": ((first.udh or b"") + first.binary).hex().upper()}
        elif not self._looks:
            fields["mes"] = first.text or ""
        if any(attempt.message.text != first.text for attempt in attempts) and "mes" in fields:
            del fields["mes"]
            fields["list"] = "\n".join(f"{self._phone(attempt)}:{attempt.message.text}" for attempt in attempts)
        else:
            fields["phones"] = ",".join(map(self._phone, attempts))
        return fields

    def _phone(self, attempt: Attempt) -> str:
        """An address, or the number as it is: without the + it would be "corrected"."""
        number, domain = attempt.message.destination, self.settings.mail_domain
        return f"+{number}" if domain is None else f"{number}@{domain}"

    def _refs(self, number: int, attempts: Sequence[Attempt]) -> list[str]:
        return [f"{number}:{digits_of(self._phone(attempt))}" for attempt in attempts]


def _id(attempts: Sequence[Attempt]) -> int:
    """The id of a request, 1..2147483647: its first message's own for two billion messages on end."""
    return int(attempts[0].reference, 16) % _LAST_ID + 1


def _valid(message: Message) -> str:
    """hh:mm from when the message may leave until it expires, rounded up, 00:01 to 24:00."""
    seconds = message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)
    minutes = min(max(math.ceil(seconds / 60), 1), _DAY_MIN)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _outcome(item: Mapping[str, Any] | None, ref: str, response: Response) -> Outcome:
    """What the entry of one number says: it is named when it was looked at, and has a status when that was all."""
    if item is None:
        return status_outcome(response)
    status, error = text_of(item.get("status")), int_of(item.get("error")) or 0
    reason = STATES[status][1] if status in STATES else None
    if reason is None and not error:
        return Accepted(provider_ref=ref)
    native = f"{status} err {error}".strip()
    if reason is Reason.NO_CREDIT:
        return Retry(reason=reason, pause=True, native=native)
    return Refused(reason=ERRORS.get(error) or reason or Reason.PROVIDER_REFUSED, native=native)
