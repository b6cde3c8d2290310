"""What BSG says of messages, in both generations of its API: error codes, statuses, answers and reports.

Everything is read as it comes: a code or an id may be a number or its digits, an answer may stand in a `result` or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from bridge.message import FINAL, Accepted, Outcome, Reason, Refused, Report, Retry, State
from bridge.providers._contract import Attempt, References, Response, decode, retry_after_s, status_outcome
from bridge.providers._reading import objects_of, text_of

_OBJECT = dict[str, Any]  # made once: subscribing a type costs more than looking a decoder up
_NATIVE_MAX = 200  # characters of what is put together from several values
_DUPLICATE = Accepted()
_INVALID = Refused(reason=Reason.PROVIDER_REFUSED)
_OURS = Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True)
_NUMBER = Refused(reason=Reason.INVALID_DESTINATION)
_SENDER = Refused(reason=Reason.SENDER_REFUSED)
_TEXT = Refused(reason=Reason.CONTENT_REFUSED)
_TIME = Refused(reason=Reason.INVALID_VALIDITY)
_AGAIN = Retry(reason=Reason.PROVIDER_REFUSED)

# Error codes of a send, of SMS from 20, of Viber from 40, of HLR from 60. One that is not here is retried: it was not
# taken.
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
    45: _SENDER,  # not registered with Viber
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
    # of a number that was looked at
    "active": (State.DELIVERED, None),
    "absent": (State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER),
}


class Taken(msgspec.Struct, frozen=True, gc=False, rename={"text": "errorDescription", "provider_ref": "id"}):
    """What is said of one message that was sent; the values may be anything."""

    error: Any = None
    text: Any = None
    reference: Any = None
    provider_ref: Any = None


class _Answer(Taken, frozen=True, gc=False):
    result: list[Taken] | Taken | None = None


class Said(msgspec.Struct, frozen=True, gc=False, rename={"provider_ref": "id", "looked_at": "statusDatetime"}):
    """What is said of one message later; the values may be anything."""

    status: Any = None
    provider_ref: Any = None
    reference: Any = None
    reference_id: Any = None  # generation 2
    time_dr: Any = None
    delivered_at: Any = None  # generation 2
    error: Any = None
    alt_route: Any = None  # the SMS in place of Viber
    alternative_channels: Any = None  # the same in generation 2, without its state
    network: Any = None  # of a number, as the next ones
    details: Any = None
    ported: Any = None
    roaming: Any = None
    looked_at: Any = None


class _Saying(Said, frozen=True, gc=False):
    result: list[Said] | Said | None = None
    data: list[Said] | Said | None = None


# --- answers to a send ------------------------------------------------------------------------------------------------


def outcomes_of(response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
    """Each item's `error`, found by reference or else by place; an error of the whole answer is everybody's."""
    answer = _answer_in(response.body)
    if answer is None:
        return [status_outcome(response)] * len(attempts)
    alone = len(attempts) == 1
    result = answer.result
    items: Sequence[Taken] = result if isinstance(result, list) else (result or answer,)
    if alone and len(items) == 1 and items[0].reference == attempts[0].reference:
        outcome = _outcome(items[0], response, alone=True)
        if outcome is not None:
            return [outcome]
    by_reference = {text_of(item.reference).lower(): item for item in items}
    overall = _outcome(answer, response, alone=alone) if code_of(answer.error) else None
    outcomes: list[Outcome] = []
    for place, attempt in enumerate(attempts):
        item = by_reference.get(attempt.reference)
        if item is None and len(items) == len(attempts) and not text_of(items[place].reference):
            item = items[place]
        outcome = _outcome(item, response, alone=True) if item is not None else None
        outcomes.append(outcome or overall or status_outcome(response))
    return outcomes


def _answer_in(body: bytes) -> _Answer | None:
    answer = decode(body, _Answer)
    if answer is None:
        loose = decode(body, _OBJECT)
        if loose is not None:
            answer = msgspec.convert(loose | {"result": objects_of(loose.get("result"))}, _Answer)
    return answer


def _outcome(item: Taken, response: Response, *, alone: bool) -> Outcome | None:
    """What an object with an `error` says; `alone`: of one message. None when it says nothing."""
    code = code_of(item.error)
    if code is None:
        return None
    if code == 0:
        provider_ref = text_of(item.provider_ref)
        return Accepted(provider_ref=provider_ref) if provider_ref and 200 <= response.status < 300 else None
    outcome = CODES.get(code, _AGAIN)
    if not alone and not isinstance(outcome, Retry):
        # One of them is at fault, and nobody says which; they come again, and not all together.
        outcome = _AGAIN
    native = f"{code} {text_of(item.text)[:80]}".strip()
    if isinstance(outcome, Retry):
        return replace(outcome, native=native, after_s=retry_after_s(response))
    if isinstance(outcome, Accepted):
        return replace(outcome, native=native, provider_ref=text_of(item.provider_ref) or None)
    return replace(outcome, native=native)


def code_of(error: object) -> int | None:
    """The code in an `error`, a number or its digits."""
    if type(error) is int:
        return error if 0 <= error < 1_000_000 else None
    text = text_of(error)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


# --- reports ----------------------------------------------------------------------------------------------------------


def said_in(body: bytes) -> Sequence[Said]:
    """What a body says: an object, a list, or either of them in a `result` or in `data`."""
    saying = decode(body, _Saying)
    if saying is not None:
        inner = saying.result if saying.data is None else saying.data
        return inner if isinstance(inner, list) else (inner or saying,)
    found = decode(body, object)
    if isinstance(found, dict):
        found = found.get("result", found.get("data"))
    return [msgspec.convert(item, Said) for item in objects_of(found)]


def reports_of(sayings: Iterable[Said], references: References, *, holds: bool) -> Iterator[Report]:
    """The reports in what is said; `holds`: an SMS follows a failure, and only what is said of that one is the end."""
    for said in sayings:
        native, provider_ref = text_of(said.status), text_of(said.provider_ref) or None
        message_id = references.message_id(text_of(said.reference) or text_of(said.reference_id))
        if not native or (message_id is None and provider_ref is None):
            continue
        state, reason = _state(native)
        if holds or said.alt_route is not None or said.alternative_channels is not None:
            state, reason, native = _with_sms(said, state, reason, native, holds)
        if said.network is not None:
            native = _with_network(said, native)
        yield Report(
            state=state,
            reason=reason,
            message_id=message_id,
            provider_ref=provider_ref,
            at=_time(text_of(said.time_dr) or text_of(said.delivered_at) or text_of(said.looked_at)),
            native=native,
        )


def last_of(reports: Iterable[Report]) -> list[Report]:
    """One report a message, where it is said several times because an SMS stands beside it: a delivery if there is
    one, else whatever is still under way, else the last failure.
    """
    last: dict[int | str | None, Report] = {}
    for report in reports:
        known = report.message_id or report.provider_ref
        if known not in last or _hope(report.state) >= _hope(last[known].state):
            last[known] = report
    return list(last.values())


def _hope(state: State) -> int:
    if state is State.DELIVERED:
        return 2
    return 1 if state is State.UNKNOWN or state not in FINAL else 0


def _with_sms(
    said: Said, state: State, reason: Reason | None, native: str, holds: bool
) -> tuple[State, Reason | None, str]:
    """Of a message and of the SMS that stands in for it: one that came, else one still under way, else the last."""
    legs = [(text_of(leg.get("channel")), text_of(leg.get("status"))) for leg in objects_of(said.alt_route)]
    if isinstance(said.alternative_channels, dict):
        legs += [(channel, "") for channel in said.alternative_channels]
    native = ", ".join([native, *(" ".join(leg).strip() for leg in legs)])[:_NATIVE_MAX]
    states = [_state(word) for _, word in legs]
    if any(each is State.DELIVERED for each, _ in states):
        return State.DELIVERED, None, native
    if _hope(state):
        return state, reason, native
    if any(_hope(each) for each, _ in states) or (holds and not legs):
        return State.ENROUTE, None, native
    return (*(states[-1] if states else (state, reason)), native)


def _with_network(said: Said, native: str) -> str:
    """A number's status with its network (MCC and MNC), and whether it was ported or is roaming."""
    details = said.details if isinstance(said.details, dict) else {}
    marks = {"ported": said.ported or details.get("ported"), "roaming": said.roaming or details.get("roaming")}
    words = [native, text_of(said.network), *(name for name, mark in marks.items() if mark in (1, "1"))]
    return " ".join(filter(None, words))[:_NATIVE_MAX]


@lru_cache(maxsize=256)
def _time(text: str) -> float | None:
    """Unix seconds of a date and time, in UTC unless it says otherwise; many reports are of the same second."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=256)
def _state(native: str) -> tuple[State, Reason | None]:
    return STATES.get(native.lower().replace(" ", "_"), (State.UNKNOWN, None))
