"""The second generation of BSG's REST API, "One API": a message a request, by SMS, or by Viber and then SMS.

A token stands for the key, until it is refused. What an HTTP status of a refusal does not say, the names of the fields
that `errors` complains about do. A reference that is there already is known by the words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from bridge.message import Accepted, Content, Message, Outcome, Reason, Refused, Retry, Unsure
from bridge.providers._bsg_said import code_of, outcomes_of
from bridge.providers._contract import (
    Attempt,
    Capabilities,
    Reference,
    Request,
    Response,
    decode,
    retry_after_s,
    status_outcome,
)
from bridge.providers._reading import text_of

if TYPE_CHECKING:
    from bridge.providers.bsg import Settings

_OBJECT = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_DAY_S = 86400
_SHORTEST_S = 30
_LONGEST_H = 72
_SMS_MAX = 765  # characters of a text
_VIBER_MAX = 1000
_REFUSALS = (400, 402, 404, 409, 422)  # HTTP statuses whose body says what is wrong with the message
_MONEY = ("funds", "balance", "money")
_THERE = ("already", "duplicate", "unique", "exist", "taken")

# By the last part of a field's name, such as `phone.number` or `sms.sender`: what is refused with it.
FIELDS: dict[str, Reason] = {
    "number": Reason.INVALID_DESTINATION,
    "phone": Reason.INVALID_DESTINATION,
    "sender": Reason.SENDER_REFUSED,
    "text": Reason.CONTENT_REFUSED,
    "image_url": Reason.CONTENT_REFUSED,
    "button_caption": Reason.CONTENT_REFUSED,
    "link_url": Reason.CONTENT_REFUSED,
    "validity": Reason.INVALID_VALIDITY,
    "validity_seconds": Reason.INVALID_VALIDITY,
}
_CAN = Capabilities(
    idempotent=True,
    lookup=True,
    source_max=15,
    alphanumeric_max=11,
    text_max=_SMS_MAX,
    validity=True,
    push_reports=True,
    poll_reports=True,
)


class One:
    """`/api/messages/send`, by SMS, or by Viber with or without an SMS in its place."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._url = f"{settings.base_url}/api"
        self._send = f"{self._url}/messages/send"
        self._viber = settings.channel == "viber"
        self._channels = [settings.channel]
        self.capabilities = _CAN
        if self._viber:
            longest = _VIBER_MAX if settings.fallback_sender is None else _SMS_MAX
            kinds = frozenset({"photo", "buttons"})
            self.capabilities = replace(_CAN, source_max=40, alphanumeric_max=None, text_max=longest, content=kinds)
            if settings.fallback_sender is not None:
                self._channels.append("sms")

    def key(self, message: Message) -> object:
        """A request holds one message."""
        return None

    def build(self, attempts: Sequence[Attempt], callback_url: str | None) -> Request:
        """The channels in the order of trying, and what each sends."""
        (attempt,) = attempts
        message = attempt.message
        phone = {"number": message.destination, "reference_id": attempt.reference}
        body: dict[str, Any] = {"channels": self._channels, "phone": phone, **self._says(message)}
        body |= _validity(message, self.settings.fallback_after) | {"add_to_contact_book": False}
        if callback_url is not None:
            body["callback_url"] = callback_url
        if self.settings.tariff is not None:
            body["tariff_code"] = self.settings.tariff
        return Request(method="POST", url=self._send, headers=_JSON, body=_encode(body))

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """`data` with an id accepts; else what `error`, `errors` or `message` say."""
        answer = decode(response.body, _OBJECT)
        if answer is None:
            return [status_outcome(response)] * len(attempts)
        if code_of(answer.get("error")):
            return outcomes_of(response, attempts)
        data = answer.get("data")
        provider_ref = text_of(data.get("id")) if isinstance(data, dict) else ""
        if provider_ref and 200 <= response.status < 300:
            return [Accepted(provider_ref=provider_ref)]
        return [_refusal(answer, response)] * len(attempts)

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        """Of SMS only, one text to all."""
        if self._viber:
            return None
        says = self._says(attempts[0].message)["sms"]
        body = {**says, "messages": [{"phone": int(attempt.message.destination)} for attempt in attempts]}
        if self.settings.tariff is not None:
            body["tariff_code"] = self.settings.tariff
        return Request(method="POST", url=f"{self._url}/campaigns/price", headers=_JSON, body=_encode(body))

    def status(self, reference: Reference) -> Request:
        """By reference, which both legs of a message share."""
        wanted = quote("filter[reference_id]")
        return Request(method="GET", url=f"{self._url}/messages?{wanted}={reference.reference}", headers=_JSON)

    def balance(self) -> Request:
        """What is left in the account."""
        return Request(method="GET", url=f"{self._url}/accounts/balance", headers=_JSON)

    def login(self) -> Request | None:
        """The key for a token."""
        body = _encode({"api_key": self.settings.api_key.get_secret_value()})
        return Request(method="POST", url=f"{self._url}/auth/login", headers=_JSON, body=body)

    def _says(self, message: Message) -> dict[str, Any]:
        sender = message.source or self.settings.sender
        if not self._viber:
            return {"sms": _sms(sender, message.text)}
        text = message.text
        if message.content is not None and message.content.kind == "photo":
            text = text or message.content.caption
        viber: dict[str, Any] = {} if message.content is None else _options(message.content)
        viber |= {"sender": sender, "text": text or ""}
        says: dict[str, Any] = {"viber": {name: value for name, value in viber.items() if value is not None}}
        if self.settings.fallback_sender is not None:
            says["sms"] = _sms(self.settings.fallback_sender, text)
        return says


def _sms(sender: str | None, text: str | None) -> dict[str, str]:
    return {"text": text or ""} | ({} if sender is None else {"sender": sender})


def _options(content: Content) -> dict[str, Any]:
    """A picture, or a button with its caption and where it leads."""
    if content.kind == "photo":
        return {**content.native, "image_url": content.url}
    return {**content.native, "button_caption": content.caption, "link_url": content.url}


def _validity(message: Message, at_most_s: float | None) -> dict[str, int]:
    """Seconds for a day, hours for more; from when the message may leave until it expires, rounded up."""
    seconds = message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)
    seconds = math.ceil(seconds if at_most_s is None else min(seconds, at_most_s))
    if seconds <= _DAY_S:
        return {"validity_seconds": max(seconds, _SHORTEST_S)}
    return {"validity": min(math.ceil(seconds / 3600), _LONGEST_H)}


def _refusal(answer: dict[str, Any], response: Response) -> Outcome:
    """What an answer means that accepts nothing."""
    words = text_of(answer.get("message"))
    complaints = dict(_complaints(answer.get("errors")))
    said = " ".join([words, *complaints.values()]).lower()
    native = f"HTTP {response.status} {said[:160]}".strip()
    if response.status == 429 and "duplicate" in said:
        return Unsure(native=native)  # the same was sent a moment ago: what became of that one is not told
    if response.status not in _REFUSALS or not said:
        return status_outcome(response)
    if response.status == 402 or any(word in said for word in _MONEY):
        return Retry(reason=Reason.NO_CREDIT, pause=True, native=native, after_s=retry_after_s(response))
    if "reference" in said + " ".join(complaints) and any(word in said for word in _THERE):
        return Accepted(native=native)
    if "tariff" in said + " ".join(complaints):
        return Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True, native=native)
    if response.status == 404:
        return status_outcome(response)
    names = [name.rpartition(".")[2] for name in complaints]
    return Refused(
        reason=next((FIELDS[name] for name in names if name in FIELDS), Reason.PROVIDER_REFUSED), native=native
    )


def _complaints(errors: object) -> Iterator[tuple[str, str]]:
    """Fields and what is wrong with them, from an object of texts or lists of texts, or a list of texts."""
    if isinstance(errors, list):
        errors = dict(enumerate(errors))
    if isinstance(errors, dict):
        for name, said in errors.items():
            words = said if isinstance(said, list) else [said]
            yield str(name), " ".join(filter(None, map(text_of, words)))
