"""BSG (bsg.world, formerly app.bsg.hk): SMS through the REST API of the first generation.

Documents: https://bsg.world/documentations/rest-api/. `POST /sms/create` takes one message (`phone`), one text for many
(`phones`) or a text each (`individual`), 50 at most. Their HTTP statuses are not documented: an `error` in the body is
believed before them. A reference is unique in the account, so one repeated is refused as known and not sent twice.
Reports are asked for with `GET /sms/reference/{reference}`, and taken when BSG calls back. Times are taken as UTC.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
from pydantic import Field

from bridge.message import Accepted, Message, Outcome, Reason, Refused, Report, Retry, State
from bridge.providers import _contract
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Capabilities,
    Heard,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
    decode,
    retry_after_s,
    status_outcome,
)
from bridge.values import BaseUrl, Secret

_OBJECT = dict[str, Any]  # made once: subscribing a type costs more than looking a decoder up
_encode = msgspec.json.Encoder().encode
_VALIDITY_H = 72  # the longest, and the default
_DUPLICATE = Accepted()
_INVALID = Refused(reason=Reason.PROVIDER_REFUSED)
_OURS = Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True)
_NUMBER = Refused(reason=Reason.INVALID_DESTINATION)
_SENDER = Refused(reason=Reason.SENDER_REFUSED)
_TEXT = Refused(reason=Reason.CONTENT_REFUSED)
_TIME = Refused(reason=Reason.INVALID_VALIDITY)
_AGAIN = Retry(reason=Reason.PROVIDER_REFUSED)

# Error codes of a send; 40 and above are the same for Viber and HLR. One that is not here is retried: it was not taken.
CODES: dict[int, Outcome] = {
    1: _OURS,  # API key invalid
    2: _OURS,  # user blocked
    3: _INVALID,  # parameters missing
    4: _OURS,  # unsupported function
    5: Retry(reason=Reason.PROVIDER_UNREACHABLE),  # unknown error
    6: _OURS,  # bad tariff number
    7: _INVALID,  # parameters invalid
    8: Retry(reason=Reason.NO_CREDIT, pause=True),  # insufficient funds
    9: _OURS,  # tariff inactive
    10: Refused(reason=Reason.INVALID_SCHEDULE),  # invalid sending time
    11: Retry(reason=Reason.THROTTLED),  # too many messages processed simultaneously
    12: _INVALID,  # package too large
    21: _NUMBER,  # bad phone
    22: _INVALID,  # external id missing
    23: _DUPLICATE,  # external id already exists
    24: _INVALID,  # bad payload
    25: _SENDER,  # bad originator
    26: _TEXT,  # text empty or too long
    27: _INVALID,  # bad external id
    28: _TIME,  # bad validity
    29: _INVALID,  # bad task id
    30: _INVALID,  # task not found
    31: _AGAIN,  # phone already in this list: not this time, but in a request of its own
    32: _SENDER,  # sender not allowed
    33: _INVALID,  # direction not allowed
    34: _TEXT,  # OTP macro wrong
    35: _SENDER,  # 2-way not active
    36: _SENDER,  # wrong 2-way sender
    41: _NUMBER,
    43: _DUPLICATE,
    44: _INVALID,
    45: _SENDER,
    46: _TEXT,
    47: _INVALID,
    48: _TIME,
    49: _INVALID,  # bad Viber options
    51: _AGAIN,
    61: _NUMBER,
    62: _INVALID,
    63: _DUPLICATE,
    64: _INVALID,
    65: _INVALID,
    66: _AGAIN,
}
# Status words, in lower case with underscores.
STATES: dict[str, tuple[State, Reason | None]] = {
    "scheduled": (State.SCHEDULED, None),
    "moderation": (State.ACCEPTED, None),
    "accepted": (State.ACCEPTED, None),
    "sending": (State.ENROUTE, None),
    "sent": (State.ENROUTE, None),
    "delivered": (State.DELIVERED, None),
    "read": (State.DELIVERED, None),
    "expired": (State.EXPIRED, Reason.VALIDITY_ELAPSED),
    "undeliverable": (State.UNDELIVERABLE, Reason.UNSPECIFIED),
    "undelivered": (State.UNDELIVERABLE, Reason.UNSPECIFIED),
    "failed": (State.UNDELIVERABLE, Reason.UNSPECIFIED),
    "not_viber_user": (State.UNDELIVERABLE, Reason.UNKNOWN_SUBSCRIBER),
    "not_service_user": (State.UNDELIVERABLE, Reason.UNKNOWN_SUBSCRIBER),
    "rejected": (State.REJECTED, Reason.PROVIDER_REFUSED),
    "unknown": (State.UNKNOWN, None),
}


class Settings(ProviderSettings):
    """How BSG is configured.

    `sender` stands in for messages that have none; without it the account's own default does. `tariff` is the number of
    the price plan, 0 to 9. `channel` and `generation` name the only API that is spoken so far.
    """

    type: Literal["bsg"]
    base_url: BaseUrl = "https://app.bsg.hk/rest"
    api_key: Secret
    sender: str | None = Field(default=None, min_length=1, max_length=14)
    tariff: int = Field(default=0, ge=0, le=9)
    channel: Literal["sms"] = "sms"
    generation: Literal[1] = 1


class Provider(_contract.Provider):
    """SMS by `/sms/create`, up to 50 in a request; only their validity must be the same."""

    capabilities = Capabilities(
        batch_size=50,
        idempotent=True,
        lookup=True,
        source_max=14,
        validity=True,
        push_reports=True,
        poll_reports=True,
    )
    settings: Settings

    def __init__(self, name: str, settings: Settings, references: References) -> None:
        super().__init__(name, settings, references)
        self._headers = {"X-API-KEY": settings.api_key.get_secret_value()}
        self._create_headers = {**self._headers, "Content-Type": "application/json"}
        self._create_url = f"{settings.base_url}/sms/create"

    def batch_key(self, message: Message) -> object:
        """The validity, which is one for the whole request."""
        return _validity_h(message)

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """The shortest of the three forms that says it."""
        first = attempts[0].message
        body: dict[str, Any] = {"validity": _validity_h(first), "tariff": str(self.settings.tariff)}
        if len(attempts) == 1:
            body |= {"destination": "phone", **_phone(attempts[0]), **self._content(first)}
        elif all((each.message.text, each.message.source) == (first.text, first.source) for each in attempts):
            body |= {"destination": "phones", "phones": [_phone(each) for each in attempts], **self._content(first)}
        else:
            phones = [_phone(each) | self._content(each.message) for each in attempts]
            body |= {"destination": "individual", "phones": phones}
        return Request(method="POST", url=self._create_url, headers=self._create_headers, body=_encode(body))

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """Each item's `error`, found by reference or else by place; an error of the whole answer is everybody's."""
        answer = decode(response.body, _OBJECT)
        if answer is None:
            return [status_outcome(response)] * len(attempts)
        items = _items(answer.get("result", answer))
        by_reference = {_text(item.get("reference")).lower(): item for item in items}
        overall = _outcome(answer, response, alone=len(attempts) == 1) if _code(answer) else None
        outcomes: list[Outcome] = []
        for place, attempt in enumerate(attempts):
            item = by_reference.get(attempt.reference)
            if item is None and len(items) == len(attempts) and not _text(items[place].get("reference")):
                item = items[place]
            outcome = _outcome(item, response, alone=True) if item is not None else None
            outcomes.append(outcome or overall or status_outcome(response))
        return outcomes

    def reports(self, callback: Callback) -> Heard:
        """A report, or several of them in a list or a `result`; BSG documents the body and not the method."""
        if callback.method == "GET":
            found: object = dict(callback.query)
        elif callback.method in ("POST", "PUT"):
            found = decode(callback.body, object)
        else:
            raise BadCallback("a report comes by POST, PUT or GET", status=405)
        if isinstance(found, dict):
            found = found.get("result", found)
        reports = list(self._reports(_items(found)))
        if not reports:
            raise BadCallback("a report has a status, and a reference or an id")
        return Heard(items=reports)

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """One request a message, by reference: a number alone could be taken for an id."""
        return [
            Request(
                method="GET",
                url=f"{self.settings.base_url}/sms/reference/{reference.reference}",
                headers=self._headers,
            )
            for reference in wanted
        ]

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """The status of one message; an error, such as 20 for one that is not known, says nothing."""
        answer = decode(response.body, _OBJECT)
        if answer is None or not 200 <= response.status < 300:
            return Heard()
        items = [item for item in _items(answer.get("result", answer)) if _code(item) in (None, 0)]
        return Heard(items=list(self._reports(items)))

    def _content(self, message: Message) -> dict[str, str]:
        content = {"body": message.text or ""}
        if sender := message.source or self.settings.sender:
            content["originator"] = sender
        return content

    def _reports(self, items: Iterable[dict[str, Any]]) -> Iterator[Report]:
        for item in items:
            native, provider_ref = _text(item.get("status")), _text(item.get("id")) or None
            message_id = self.references.message_id(_text(item.get("reference")))
            if not native or (message_id is None and provider_ref is None):
                continue
            state, reason = _state(native)
            yield Report(
                state=state,
                reason=reason,
                message_id=message_id,
                provider_ref=provider_ref,
                at=_time(_text(item.get("time_dr"))),
                native=native,
            )


def _validity_h(message: Message) -> int:
    """Hours from when the message may leave until it expires, rounded up, 1 to 72."""
    seconds = message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)
    return min(max(math.ceil(seconds / 3600), 1), _VALIDITY_H)


def _phone(attempt: Attempt) -> dict[str, str]:
    return {"msisdn": attempt.message.destination, "reference": attempt.reference}


def _outcome(item: dict[str, Any], response: Response, *, alone: bool) -> Outcome | None:
    """What an object with an `error` says; `alone`: of one message. None when it says nothing."""
    code = _code(item)
    if code is None:
        return None
    if code == 0:
        provider_ref = _text(item.get("id"))
        return Accepted(provider_ref=provider_ref) if provider_ref and 200 <= response.status < 300 else None
    outcome = CODES.get(code, _AGAIN)
    if not alone and not isinstance(outcome, Retry):
        # One of them is at fault, and nobody says which; they come again, and not all together.
        outcome = _AGAIN
    native = f"{code} {_text(item.get('errorDescription'))[:80]}".strip()
    if isinstance(outcome, Retry):
        return msgspec.structs.replace(outcome, native=native, after_s=retry_after_s(response))
    if isinstance(outcome, Accepted):
        return msgspec.structs.replace(outcome, native=native, provider_ref=_text(item.get("id")) or None)
    return msgspec.structs.replace(outcome, native=native)


def _items(value: object) -> list[dict[str, Any]]:
    """The objects in a list, or the object itself."""
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, dict)]


def _code(item: dict[str, Any]) -> int | None:
    """The `error` of an object, a number or its digits."""
    error = item.get("error")
    if type(error) is int:
        return error if 0 <= error < 1_000_000 else None
    text = _text(error)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _text(value: object) -> str:
    """Ids come as strings or as numbers; anything else is nothing."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


@lru_cache(maxsize=256)
def _time(text: str) -> float | None:
    """Unix seconds of `yyyy-mm-dd hh:mm:ss`; many reports are of the same second."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _state(native: str) -> tuple[State, Reason | None]:
    return STATES.get(native.lower().replace(" ", "_"), (State.UNKNOWN, None))
