"""Delivery receipts: the text of 3.4 Appendix B, and the TLVs that say the same (3.4 §5.3.2.12, .31, .35).

The text is not normative, so by default it is written exactly as the strictest readers want it (one order, single
spaces, a seven-letter `stat`, three characters of `err`), it can be written as others have it, and it is read as
leniently as can be.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

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
# How an error code is written: digits, or as many as it takes; hexadecimal holds more in two.
ErrorForm = Literal["dec3", "dec2", "dec", "hex3", "hex2", "none"]
_STATES = {word: MessageState(state) for state, word in WORDS.items() if state != MessageState.SCHEDULED}
_STATE_OCTETS = {int(state): bytes((state,)) for state in MessageState}
TEXT_MAX = 20  # characters of the message, in Appendix B
_ERROR_MAX = 3
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
    message_id: str,
    state: int,
    *,
    submitted_at: float,
    done_at: float,
    error: str | None = "000",
    text: str = "",
    parts: int = 1,
    counts: bool = True,
    seconds: bool = False,
    characters: int | None = TEXT_MAX,
    label: str = "text",
) -> str:
    """The text of a receipt, ASCII, dates in UTC; without anything else said the one of Appendix B.

    `error` stands as it is, at most three characters of it (`error_text` makes it of a code); None: no `err`.
    `parts`: short messages that the receipt is for; `counts`: whether `sub` and `dlvrd` stand there; `seconds`: dates
    have them; `characters`: how much of the message follows `label`, None: neither of both.
    Raises ValueError for a `state` that 5.0 §4.7.15 does not have.
    """
    word = WORDS.get(state)
    if word is None:
        raise ValueError(f"{state} is not a message_state")
    date = _date_with_seconds if seconds else _date
    counted = ""
    if counts:
        counted = f" sub:{parts:03d} dlvrd:{parts if state == MessageState.DELIVERED else 0:03d}"
    failed = "" if error is None else f" err:{error[:_ERROR_MAX]}"
    shown = "" if characters is None else f" {label}:{_plain(text[:characters])}"
    return (
        f"id:{message_id}{counted} submit date:{date(submitted_at)} done date:{date(done_at)}"
        f" stat:{word}{failed}{shown}"
    )


@lru_cache(maxsize=1024)
def error_text(code: int, form: ErrorForm) -> str | None:
    """A code from 0 up as `err` shows it, the highest where it is too large for the form; None: there is no `err`."""
    if form == "none":
        return None
    if form == "dec":
        return str(min(code, 999))
    width = int(form[-1])
    if form.startswith("hex"):
        return f"{min(code, 16**width - 1):0{width}X}"
    return f"{min(code, 10**width - 1):0{width}d}"


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


def _date_with_seconds(at: float) -> str:
    minute, second = divmod(int(at), 60)
    return f"{_minute(minute)}{second:02d}"


@lru_cache(maxsize=1024)
def _minute(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%y%m%d%H%M}"


def _plain(text: str) -> str:
    if _SAFE.issuperset(text):
        return text
    return "".join(character if character in _SAFE else " " if character.isspace() else "?" for character in text)


def _count(text: str | None) -> int | None:
    return int(text) if text and len(text) <= 9 and text.isascii() and text.isdigit() else None
