"""Delivery receipts: the text of 3.4 Appendix B, and the TLVs that say the same (3.4 §5.3.2.12, .31, .35).

The text is not normative, so it is written exactly as the strictest readers want it (one order, single spaces, a
seven-letter `stat`, three characters of `err`) and read as leniently as can be.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from bridge.smpp.enums import MessageState, Tag
from bridge.smpp.wire import Tlvs, c_octets

# Seven letters each: some readers match exactly `\w{7}`. 5.0's two states have no word of their own in Appendix B.
WORDS: dict[int, str] = {
    MessageState.SCHEDULED: "ENROUTE",
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "SKIPPED",
}
_STATES = {word: MessageState(state) for state, word in WORDS.items() if state != MessageState.SCHEDULED}
_STATE_OCTETS = {int(state): bytes((state,)) for state in MessageState}
_TEXT_MAX = 20
_GSM_NETWORK = 3  # network type of network_error_code (3.4 §5.3.2.31)
# The ASCII that is the same octet in the GSM default alphabet: a reader may take data_coding 0 for either.
_SAFE = frozenset(map(chr, range(0x20, 0x7F))) - set("$@[\\]^_`{|}~")

_FIELD = re.compile(
    r"(?P<label>\b(?:id|sub|dlvrd|submit[ _]date|done[ _]date|stat|err|text)):"
    r"(?P<value>\s*\S*?)(?=\s|$|\b(?:sub|dlvrd|submit[ _]date|done[ _]date|stat|err|text):)",
    re.IGNORECASE,
)


class Receipt(msgspec.Struct, frozen=True):
    """What a receipt's text says; what it leaves out, or says in no known way, is None."""

    message_id: str
    stat: str | None = None  # as written, upper case
    state: MessageState | None = None
    submitted: int | None = None
    delivered: int | None = None
    submit_date: str | None = None  # YYMMDDhhmm or YYMMDDhhmmss, in the sender's local time
    done_date: str | None = None
    error: str | None = None
    text: str | None = None


def receipt_text(
    message_id: str, state: int, *, submitted_at: float, done_at: float, error: str = "000", text: str = ""
) -> str:
    """The text of a receipt for one message: ASCII, dates in UTC to the minute, the message's first 20 characters.

    `error` is cut or padded to three characters. Raises ValueError for a `state` that 5.0 §4.7.15 does not have.
    """
    word = WORDS.get(state)
    if word is None:
        raise ValueError(f"{state} is not a message_state")
    delivered = 1 if state == MessageState.DELIVERED else 0
    return (
        f"id:{message_id} sub:001 dlvrd:{delivered:03d}"
        f" submit date:{_date(submitted_at)} done date:{_date(done_at)}"
        f" stat:{word} err:{error[:3].rjust(3, '0')} text:{_plain(text[:_TEXT_MAX])}"
    )


def parse_receipt(text: str) -> Receipt | None:
    """What the text of a receipt says, or None when it has no `id:`.

    Labels may have any case, fields any order, and any but the id may be missing.
    """
    found: dict[str, str] = {}
    at = 0
    while match := _FIELD.search(text, at):
        label = match["label"].lower().replace("_", " ")
        if label == "text":  # the rest, whatever it looks like
            found.setdefault("text", text[match.end("label") + 1 :])
            break
        found.setdefault(label, match["value"].strip())
        at = match.end()
    if not found.get("id"):
        return None
    stat = found["stat"].upper() if found.get("stat") else None
    return Receipt(
        message_id=found["id"],
        stat=stat,
        state=_STATES.get(stat) if stat else None,
        submitted=_count(found.get("sub")),
        delivered=_count(found.get("dlvrd")),
        submit_date=found.get("submit date") or None,
        done_date=found.get("done date") or None,
        error=found.get("err") or None,
        text=found.get("text"),
    )


def receipt_tlvs(message_id: str, state: int, network_error: int | None = None) -> Tlvs:
    """receipted_message_id, message_state, and network_error_code (type GSM) when there is a `network_error` 0..65535.

    Raises EncodeError for an id that is no C-octet string, ValueError for a state or an error out of range.
    """
    if state not in _STATE_OCTETS:
        raise ValueError(f"{state} is not a message_state")
    tlvs: Tlvs = (
        (Tag.RECEIPTED_MESSAGE_ID, c_octets(message_id)),
        (Tag.MESSAGE_STATE, _STATE_OCTETS[state]),
    )
    if network_error is None:
        return tlvs
    if not 0 <= network_error <= 0xFFFF:
        raise ValueError("a network error is 0..65535")
    return (*tlvs, (Tag.NETWORK_ERROR_CODE, bytes((_GSM_NETWORK,)) + network_error.to_bytes(2, "big")))


def _date(at: float) -> str:
    return _minute(int(at // 60))


@lru_cache(maxsize=1024)
def _minute(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%y%m%d%H%M}"


def _plain(text: str) -> str:
    if _SAFE.issuperset(text):
        return text
    return "".join(character if character in _SAFE else " " if character.isspace() else "?" for character in text)


def _count(text: str | None) -> int | None:
    return int(text) if text and len(text) <= 9 and text.isascii() and text.isdigit() else None
