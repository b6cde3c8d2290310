"""What BiP says: result codes, reports of requests, notifications, and what handsets write.

The documents do not show a notification. So one is whatever holds ids under `reportid` or `reportids`, and beside them,
above them or in the path a word that is known; settings can say where both are instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from bridge.message import Accepted, Inbound, Outcome, Reason, Refused, Report, Retry, State
from bridge.providers._contract import References
from bridge.providers._declared.paths import Path
from bridge.providers._reading import int_of, objects_of, text_of

LIST = "list-"  # what begins the txnid of more than one message
NoticeState = Literal["delivered", "enroute", "expired", "undeliverable", "rejected"]

_OURS = Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True)
_NOBODY = Refused(reason=Reason.UNKNOWN_SUBSCRIBER)
_INVALID = Refused(reason=Reason.PROVIDER_REFUSED)
_CONTENT = Refused(reason=Reason.CONTENT_REFUSED)
_AGAIN = Retry(reason=Reason.PROVIDER_REFUSED)

# `resultcode` of what was not sent; of others, those from 1000 on are about what was sent, and the rest comes again.
CODES: dict[int, Outcome] = {
    1: Retry(reason=Reason.PROVIDER_UNREACHABLE),  # general error
    300: _OURS,  # the service is not active
    301: _NOBODY,  # no user of BiP
    302: _NOBODY,  # not a follower, or without a session
    303: _INVALID,  # the file of users is missing
    304: _INVALID,  # it is corrupt
    305: _INVALID,  # it has a bad record
    306: _OURS,  # plain numbers are not allowed to us
    307: _OURS,  # the service is not authorised
    308: Retry(reason=Reason.THROTTLED),  # sending limit exceeded
    309: Retry(reason=Reason.NETWORK_ERROR),  # error while it was sent
    310: Accepted(),  # the txnid came before
    311: _OURS,  # this method is not allowed to us
    312: Retry(reason=Reason.NO_CREDIT, pause=True),  # quota of the day, week or month
    1004: _CONTENT,  # no text
    1005: _INVALID,  # a text with a size
    1006: _INVALID,  # a text with a ratio
    1007: _INVALID,  # a text with an itemid
    1027: _CONTENT,  # contact, as the next three
    1028: _CONTENT,  # contact
    1029: _CONTENT,  # contact
    1030: _CONTENT,  # contact
}
# Words of a notification, in English and Turkish, whole or by their initial.
STATES: dict[str, tuple[State, Reason | None]] = {
    "delivered": (State.DELIVERED, None),
    "iletildi": (State.DELIVERED, None),
    "d": (State.DELIVERED, None),
    "read": (State.DELIVERED, None),
    "okundu": (State.DELIVERED, None),
    "r": (State.DELIVERED, None),
}
_REASONS = {"expired": Reason.VALIDITY_ELAPSED, "undeliverable": Reason.UNSPECIFIED, "rejected": Reason.UNSPECIFIED}
_UNREACHED = {Reason.UNKNOWN_SUBSCRIBER, Reason.NETWORK_ERROR, Reason.PROVIDER_UNREACHABLE}  # else it was rejected
_IDS = ("reportid", "reportids")
_WORDS = ("status", "state", "event", "type")
_DEEP = 8  # levels of a notification that are looked at
_DENIED = {"not", "no", "un", "non", "fail", "failed", "failure", "error", "undelivered", "unread"}
_WORD = re.compile(r"[^\W\d_]+")
_EVENTS = {"S": "subscribed", "U": "unsubscribed"}


def outcome_of(code: int | None) -> Outcome:
    """What a code that is no success means; None: one of several messages was at fault."""
    if code is None or code not in CODES:
        return _INVALID if code is not None and 1000 <= code < 2000 else _AGAIN
    return CODES[code]


def receiver_of(item: Mapping[str, Any]) -> str:
    """Whom an entry is about, as we name them."""
    return text_of(item.get("receiver")).removeprefix("+")


def reports_of(said: Mapping[str, Any], references: References) -> Iterator[Report]:
    """The reports on a request, none on one that is not ours.

    A receiver has an entry for each thing that it was sent, and all of them are one message, as are all followers: it
    failed when all of them did.
    """
    txnid, overall = text_of(said.get("txnid")), int_of(said.get("resultcode"))
    message_id = references.message_id(txnid.partition("-")[0])
    found: dict[str | None, list[tuple[int, str]]] = {}
    for item in objects_of(said.get("list")):
        code = int_of(item.get("resultcode"))
        if code is not None:
            ref = f"{txnid}:{receiver_of(item)}" if message_id is None else None
            found.setdefault(ref, []).append((code, text_of(item.get("reportid"))))
    if not found and overall is not None:
        found[None] = [(overall, "")]
    for ref, entries in found.items():
        if message_id is None and (ref is None or not txnid.startswith(LIST)):
            continue
        fine = [reportid for code, reportid in entries if code == 0]
        if not fine:
            state, reason = _state_of(entries[0][0])
            native = str(entries[0][0])
            yield Report(state=state, reason=reason, message_id=message_id, provider_ref=ref, native=native)
        for reportid in fine:
            yield Report(
                state=State.ENROUTE,
                message_id=message_id,
                provider_ref=ref,
                new_ref=reportid or None,
                native="0",
            )


def _state_of(code: int) -> tuple[State, Reason | None]:
    """The state, and why, of a message that was taken and then failed with `code`: nobody tries it again."""
    outcome = outcome_of(code) if code else Accepted()
    if isinstance(outcome, Refused | Retry):
        return State.UNDELIVERABLE if outcome.reason in _UNREACHED else State.REJECTED, outcome.reason
    return State.ENROUTE, None


def inbound_of(said: Mapping[str, Any], service: str, *, events: bool) -> Inbound | None:
    """What a handset wrote, chose in a poll, or did to its subscription; None: nothing to be handed over."""
    sender, event = text_of(said.get("sender")).removeprefix("+"), text_of(said.get("event"))
    content, sent = said.get("content"), text_of(said.get("sendtime"))
    if text_of(said.get("type")) == "E":
        text = _EVENTS.get(event, event) if events else ""
    elif content is None and "optionid" in said:
        text = f"{text_of(said.get('pollid'))} {text_of(said.get('optionid'))}".strip()
    else:
        text = content if isinstance(content, str) else _written(content)
    if not sender or not text:
        return None
    number = text_of(said.get("msgid"))
    ref = f"{sender}:{number}:{sent}{event}" if number or sent else None
    return Inbound(source=sender, destination=service, text=text, provider_ref=ref, at=_time(sent))


def _written(content: object) -> str:
    """A place may be an object."""
    try:
        return msgspec.json.encode(content).decode() if content else ""
    except RecursionError:
        return ""


def _time(text: str) -> float | None:
    """Unix seconds of `dd.MM.yyyy HH:mm:ss.SSS +0300`."""
    try:
        return datetime.strptime(text, "%d.%m.%Y %H:%M:%S.%f %z").timestamp()
    except (ValueError, OverflowError):
        return None


class Notices:
    """Finds in notifications which messages they are about, and what became of them."""

    def __init__(self, ids: str | None, state: str | None, states: Mapping[str, NoticeState]) -> None:
        """`ids` and `state` are JSONPaths, where they are known; `states` are words beside those that are known."""
        self._ids = Path(ids, "json") if ids else None
        self._state = Path(state, "json") if state else None
        own = {word.lower(): (State[meant.upper()], _REASONS.get(meant)) for word, meant in states.items()}
        self._states = STATES | own

    def reports_of(self, said: object, path: str) -> Iterator[Report]:
        """A report for each id; one whose word is not known says nothing but that word."""
        for number, word in self._found(said, path.rpartition("/")[2]):
            state, reason = self._meaning(word) or (State.UNKNOWN, None)
            yield Report(state=state, reason=reason, provider_ref=number, native=word)

    def _meaning(self, word: str) -> tuple[State, Reason | None] | None:
        """What a word means, or one of several if none of them denies it."""
        whole = word.lower()
        if whole in self._states:
            return self._states[whole]
        words = _WORD.findall(whole)
        known = [self._states[each] for each in words if len(each) > 1 and each in self._states]
        return known[0] if known and _DENIED.isdisjoint(words) else None

    def _found(self, said: object, word: str) -> Iterator[tuple[str, str]]:
        words = _texts(self._state, said)
        if self._ids is None:
            yield from self._walk(said, words[0] if words else word, _DEEP)
            return
        ids = _texts(self._ids, said)
        if len(words) != len(ids):
            words = [words[0] if words else self._nearest(said, word)] * len(ids)
        yield from ((number, word) for number, word in zip(ids, words, strict=True) if word)

    def _walk(self, said: object, word: str, deep: int) -> Iterator[tuple[str, str]]:
        """Ids and the word that is nearest to each."""
        if not deep:
            return
        if isinstance(said, list):
            for each in said:
                yield from self._walk(each, word, deep - 1)
        elif isinstance(said, dict):
            word = word if self._state is not None else self._nearest(said, word)
            for name, value in said.items():
                if name.lower().replace("_", "") in _IDS and word:
                    values = value if isinstance(value, list) else [value]
                    yield from ((number, word) for each in values if (number := text_of(each)))
                yield from self._walk(value, word, deep - 1)

    def _nearest(self, said: object, above: str) -> str:
        """The word of an object, a known one if there is any; without one, the word above it."""
        words = [text for name in _WORDS if isinstance(said, dict) and (text := text_of(said.get(name)))]
        known = [word for word in (*words, above) if self._meaning(word) is not None]
        return next(iter([*known, *words]), above)


def _texts(path: Path | None, said: object) -> list[str]:
    return [text for each in path.all(said) if (text := text_of(each))] if path is not None else []
