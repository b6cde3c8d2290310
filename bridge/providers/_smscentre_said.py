"""What SMS Center says of messages: statuses and why, inbound messages, and whether it is SMS Center that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bridge.message import Inbound, Reason, Report, State
from bridge.providers._contract import BadCallback, Callback, decode, form
from bridge.providers._reading import int_of, text_of
from bridge.values import same_secret

# In which a handler may be called, by the `charset` of its address; the first is the one without.
ENCODINGS = ("windows-1251", "utf-8", "koi8-r")
_NO_STATUS = 245

# `status`; -3 is "not found".
STATES: dict[str, tuple[State, Reason | None]] = {
    "-2": (State.DELETED, Reason.PROVIDER_REFUSED),  # stopped
    "-1": (State.SCHEDULED, None),
    "0": (State.ENROUTE, None),
    "1": (State.DELIVERED, None),
    "2": (State.DELIVERED, None),  # read
    "3": (State.EXPIRED, Reason.VALIDITY_ELAPSED),
    "4": (State.DELIVERED, None),  # a link in it was followed
    "6": (State.REJECTED, Reason.BLOCKED),  # taken for spam
    "20": (State.UNDELIVERABLE, Reason.UNSPECIFIED),
    "22": (State.UNDELIVERABLE, Reason.UNKNOWN_SUBSCRIBER),  # wrong number
    "23": (State.REJECTED, Reason.PROVIDER_REFUSED),  # forbidden
    "24": (State.REJECTED, Reason.NO_CREDIT),
    "25": (State.UNDELIVERABLE, Reason.NETWORK_ERROR),  # number not available
}
# `err`: why it was not delivered.
ERRORS: dict[int, Reason] = {
    1: Reason.UNKNOWN_SUBSCRIBER,
    6: Reason.ABSENT_SUBSCRIBER,
    11: Reason.BARRED,  # no service
    12: Reason.HANDSET_ERROR,
    13: Reason.BARRED,
    21: Reason.BARRED,  # service not supported
    200: Reason.UNSPECIFIED,  # sent virtually
    219: Reason.ABSENT_SUBSCRIBER,  # the SIM was replaced
    220: Reason.NETWORK_ERROR,  # the operator's queue is full
    237: Reason.ABSENT_SUBSCRIBER,  # no answer
    238: Reason.CONTENT_REFUSED,  # no template
    239: Reason.PROVIDER_ACCOUNT,  # our address is forbidden
    240: Reason.ABSENT_SUBSCRIBER,  # busy
    241: Reason.CONTENT_REFUSED,  # conversion failed
    242: Reason.ABSENT_SUBSCRIBER,  # answering machine
    243: Reason.PROVIDER_ACCOUNT,  # no contract
    244: Reason.BLOCKED,  # mailings are forbidden
    245: Reason.NO_REPORT,  # no status was received
    246: Reason.PROVIDER_REFUSED,  # limit by time
    247: Reason.PROVIDER_REFUSED,  # limit of messages
    248: Reason.NETWORK_ERROR,  # no route
    249: Reason.INVALID_DESTINATION,
    250: Reason.PROVIDER_REFUSED,  # forbidden by settings
    251: Reason.PROVIDER_REFUSED,  # limit for one number
    252: Reason.BLOCKED,  # number forbidden
    253: Reason.BLOCKED,  # spam filter
    254: Reason.SENDER_REFUSED,  # sender not registered
    255: Reason.NETWORK_ERROR,  # rejected by the operator
}


def digits_of(phone: object) -> str:
    """A number without its +, or an address in lower case."""
    return text_of(phone).lower().removeprefix("+")


def fields_of(callback: Callback) -> dict[str, str]:
    """What a callback says, in a form or in JSON, over what its address says. Raises BadCallback."""
    encoding = callback.query.get("charset", ENCODINGS[0]).lower()
    if encoding not in ENCODINGS:
        raise BadCallback("a callback is in utf-8, windows-1251 or koi8-r")
    said = decode(callback.body, dict[str, Any]) or form(callback.body, encoding)
    return {**callback.query, **{name: each if isinstance(each, str) else text_of(each) for name, each in said.items()}}


def state_of(status: str, error: int, *, looked_at: bool) -> tuple[State, Reason | None]:
    """The state, and why; `looked_at`: of a number, no message, where an error says that it is out of reach."""
    state, reason = STATES.get(status, (State.UNKNOWN, None))
    if state is State.DELIVERED and error and looked_at:
        state = State.UNDELIVERABLE
    if state not in (State.UNDELIVERABLE, State.REJECTED, State.EXPIRED) or not error:
        return state, reason
    if error == _NO_STATUS:
        return State.UNKNOWN, None
    return state, ERRORS.get(error, reason or Reason.UNSPECIFIED)


def reports_of(items: Iterable[Mapping[str, Any]], at: str, *, looked_at: bool) -> Iterator[Report]:
    """The reports in objects that have an id, a phone and a status; `at` is the field of the time."""
    for item in items:
        number, phone, status = int_of(item.get("id")), digits_of(item.get("phone")), text_of(item.get("status"))
        if number is None or not phone or not status:
            continue
        error = int_of(item.get("err")) or 0
        state, reason = state_of(status, error, looked_at=looked_at)
        time = int_of(item.get(at)) or 0
        yield Report(
            state=state,
            reason=reason,
            provider_ref=f"{number}:{phone}",
            at=float(time) if 0 < time < 1e11 else None,
            native=f"{status} err {error}" if error else status,
        )


def inbound_of(items: Iterable[Mapping[str, Any]], text: str, to: str) -> Iterator[Inbound]:
    """The messages in objects that have a phone and a text; `text` and `to` are their fields."""
    for item in items:
        source, words = digits_of(item.get("phone")), item.get(text)
        if source and isinstance(words, str):
            number = text_of(item.get("id")) or None
            yield Inbound(source=source, destination=digits_of(item.get(to)), text=words, provider_ref=number)


def signed(fields: Mapping[str, str], names: Iterable[str], secret: str) -> bool:
    """Whether `md5` or `sha1` is the hash of those fields and the secret, in whichever encoding it was made."""
    words = ":".join([*(fields.get(name, "") for name in names), secret])
    for encoding in ENCODINGS:
        octets = words.encode(encoding, "replace")
        for name, digest in (("md5", hashlib.md5), ("sha1", hashlib.sha1)):
            if same_secret(fields.get(name, "").lower(), digest(octets, usedforsecurity=False).hexdigest()):
                return True
    return False
