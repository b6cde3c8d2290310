"""What BICS says: whether it took a message, what became of it, and what handsets write.

Words and codes: https://eu.cpaas.bics.com/docs/v2/sms/smpp, and the pages of each channel's statuses. Times without a
zone are of nobody knows which, and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from bridge.message import FINAL, Inbound, Outcome, Reason, Refused, Retry, State
from bridge.providers._contract import Response, decode, shared_outcome, status_outcome
from bridge.providers._reading import int_of, objects_of, text_of

_OBJECT = dict[str, Any]
_AGAIN = Retry(reason=Reason.PROVIDER_REFUSED)
_INVALID = Refused(reason=Reason.PROVIDER_REFUSED)
_POOR = re.compile(r"\b(insufficient|not enough|no|low)\s+(\w+\s+)?(balance|credit|fund)", re.IGNORECASE)

# What the code of a refusal means; 401, 403, 408, 429 and 5xx mean what they mean everywhere.
CODES: dict[int, Outcome] = {
    400: _INVALID,  # malformed
    402: Retry(reason=Reason.NO_CREDIT, pause=True),
    404: _INVALID,  # what the request names is not there
    409: _AGAIN,  # something else changes the same at the same time
    422: _INVALID,  # validation
}
_WORDS: tuple[tuple[State, Reason | None, str], ...] = (
    (State.ENROUTE, None, "AWAITING-DLR QUEUED DISPATCHED SENT"),
    (State.DELIVERED, None, "000 DELIVRD DELIVERED READ"),
    (State.EXPIRED, Reason.VALIDITY_ELAPSED, "021 EXPIRED"),
    (State.DELETED, Reason.UNSPECIFIED, "DELETED"),
    (State.UNKNOWN, Reason.NO_REPORT, "TIMEOUT-DLR"),  # no operator ever told
    (State.UNDELIVERABLE, Reason.UNKNOWN_SUBSCRIBER, "001 002 015 INVALID-SUB"),
    (State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER, "003 010 ABSENT-SUB 013 MOB-OFF 016 HANDSET-BUSY OFFLINE"),
    (State.UNDELIVERABLE, Reason.HANDSET_ERROR, "004 006 007 HANDSET-ERR 009 MEMEXEC"),
    (State.UNDELIVERABLE, Reason.BARRED, "005 020 BARRED"),
    (State.UNDELIVERABLE, Reason.NETWORK_ERROR, "008 012 017 019 NET-ERR 011 014"),
    (State.UNDELIVERABLE, Reason.UNSPECIFIED, "045 462 FAILED 034 099 461 UNDELIV"),
    (State.UNDELIVERABLE, Reason.PROVIDER_UNREACHABLE, "403 405 406 430 431 432 433 SERVER-ERR"),
    (State.UNDELIVERABLE, Reason.INVALID_DESTINATION, "404 INV-NUMBER"),
    (State.REJECTED, Reason.BLOCKED, "018 SERIES-BLK 400 BLOCK SERIES-BLOCK 407 SPAM 408 DNDNUMB"),
    (State.REJECTED, Reason.BLOCKED, "450 BLACKLST BLACKLIST 455 NOT-OPTIN 456 OPTOUT-REJ"),
    (State.REJECTED, Reason.NO_CREDIT, "401 NO-CREDITS"),
    (State.REJECTED, Reason.PROVIDER_ACCOUNT, "402 NO-ACCOUNT 791 INV-SERVICE"),
    (State.REJECTED, Reason.SENDER_REFUSED, "451 SNDR-BLOCK 454 INV-SENDER 790 INV-PROVISION"),
    (State.REJECTED, Reason.SENDER_REFUSED, "787 DLT-HEADER-INACTIVE 789 DLT-SENDER-NOT-REG-TM"),
    (State.REJECTED, Reason.CONTENT_REFUSED, "452 TEMPLATE-NOT-FOUND 453 INV-TEMPLATE 777 DLT-REJECTED"),
    (State.REJECTED, Reason.CONTENT_REFUSED, "780 DLT-INV-TMID 781 DLT-INV-ENTITY 782 DLT-INV-TM-ID"),
    (State.REJECTED, Reason.CONTENT_REFUSED, "783 DLT-TM-VAR-EXECEED 784 DLT-ENTITY-NOT-FOUND"),
    (State.REJECTED, Reason.CONTENT_REFUSED, "785 DLT-TM-BLACKLST 786 DLT-ENTITY-BLACKLST 788 DLT-TM-INACTIVE"),
    (State.REJECTED, Reason.PROVIDER_REFUSED, "457 PROMO-TMOUT 458 REJECTED 459 NOTALLOWED"),
    (State.REJECTED, Reason.PROVIDER_REFUSED, "460 DUPLICATE 778 REJ-MULTIPART"),
    (State.REJECTED, Reason.THROTTLED, "463 THROTTLED"),
    (State.REJECTED, Reason.INVALID_SCHEDULE, "792 INV-SCHEDULE"),
)
# Codes and words of reports, in capitals.
STATES = {word: (state, reason) for state, reason, words in _WORDS for word in words.split()}
# Reasons that are not the message's fault, when they answer a send; True: our account is at fault.
_RETRIED = {
    Reason.NO_CREDIT: True,
    Reason.PROVIDER_ACCOUNT: True,
    Reason.THROTTLED: False,
    Reason.PROVIDER_UNREACHABLE: False,
}
_DUPLICATE = ("460", "DUPLICATE")


def refusal_of(response: Response, answer: Mapping[str, Any]) -> Outcome | None:
    """What a request failed with, None when it was taken, which both HTTP's status and the body's have to say."""
    word, message = text_of(answer.get("status")) or text_of(answer.get("code")), text_of(answer.get("message"))
    native = f"{word or f'HTTP {response.status}'} {message[:80]}".strip()
    failing = word.upper() not in ("", "OK") and not 200 <= (int_of(word) or 0) < 300
    outcome = shared_outcome(response)
    if outcome is not None:
        return replace(outcome, native=native) if failing else outcome
    if not failing:
        if 200 <= response.status < 300:
            return None
        if not message or response.status == 404:
            return status_outcome(response)  # nobody has said that it is the message's fault
    codes = (int_of(word), int_of(answer.get("code")), response.status)
    code = next((each for each in codes if each is not None and 300 <= each < 600), 0)
    if _POOR.search(message):
        outcome = Retry(reason=Reason.NO_CREDIT, pause=True)
    elif int_of(word) is None and word.upper() != "FAILED":  # which says nothing here but that
        outcome = refusal_of_word(word)
    outcome = outcome or shared_outcome(replace(response, status=code)) or CODES.get(code, _AGAIN)
    return replace(outcome, native=native)


def data_of(response: Response) -> object:
    """What an answer is about; None of a refusal."""
    answer = decode(response.body, _OBJECT)
    return answer.get("data") if answer is not None and refusal_of(response, answer) is None else None


def refusal_of_word(word: str) -> Outcome | None:
    """What a report's word means when it answers a send, None when it is no failure or not known."""
    state, reason = STATES.get(word.upper(), (State.UNKNOWN, None))
    if reason is None or state not in FINAL or state is State.UNKNOWN:
        return None
    if reason in _RETRIED:
        return Retry(reason=reason, pause=_RETRIED[reason], native=word)
    return Refused(reason=reason, native=word)


def is_duplicate(outcome: Outcome) -> bool:
    """Whether it was refused for being the same as another of the last minutes."""
    return isinstance(outcome, Refused) and outcome.native.upper().startswith(_DUPLICATE)


def inbound_of(payload: object) -> Iterator[Inbound]:
    """A handset's message; of a picture, its caption and address."""
    for item in objects_of(payload):
        recipient, message, channels = item.get("recipient"), item.get("message"), objects_of(item.get("channels"))
        said = message.get("payload") if isinstance(message, dict) else None
        source = digits_of(recipient.get("from")) if isinstance(recipient, dict) else ""
        if not source or not isinstance(said, dict):
            continue
        words, shown = said.get("text"), (text_of(said.get(key)) for key in ("caption", "url"))
        yield Inbound(
            source=source,
            destination=digits_of(channels[0].get("to")) if channels else "",
            text=words if isinstance(words, str) else " ".join(filter(None, shown)),
            provider_ref=text_of(item.get("id")) or None,
            at=time_of(item.get("timestamp")),
        )


def digits_of(number: object) -> str:
    """A number without its +, or whatever an account is called."""
    return text_of(number).removeprefix("+")


def time_of(value: object) -> float | None:
    """Unix seconds, as such or as ISO 8601 with a zone."""
    text = text_of(value)
    seconds = int_of(text)
    if seconds is not None:
        return float(seconds) if 0 < seconds < 10**11 else None
    try:
        at = datetime.fromisoformat(text)
        return at.timestamp() if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
