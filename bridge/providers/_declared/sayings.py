"""What callbacks and the answers to polls say: reports and inbound messages, as a declaration finds them in there."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.message import Inbound, Reason, Report, State
from bridge.providers._contract import References
from bridge.providers._declared import schema
from bridge.providers._declared.conditions import Conditions
from bridge.providers._declared.paths import Path

States = Mapping[str, tuple[State, Reason | None]]

_MILLISECONDS = 1e11  # Unix seconds of the year 5138; milliseconds of 1973
_LATEST_S = 1e11
# What is meant where a declaration names a state alone.
_REASONS = {
    State.UNDELIVERABLE: Reason.UNSPECIFIED,
    State.EXPIRED: Reason.VALIDITY_ELAPSED,
    State.REJECTED: Reason.PROVIDER_REFUSED,
}


def state_of(words: str) -> tuple[State, Reason | None]:
    """`STATE`, or `STATE REASON`. Raises KeyError with the word that is neither."""
    word, _, reason = words.partition(" ")
    if word.upper() not in State.__members__:
        raise KeyError(word)
    state = State[word.upper()]
    if reason and reason not in list(Reason):
        raise KeyError(reason)
    return state, Reason(reason) if reason else _REASONS.get(state)


class _Times:
    """Reads the times of one place."""

    def __init__(self, declared: schema.Moment, form: Any) -> None:
        """Raises ValueError."""
        self._path = Path(declared.path, form)
        self._format = declared.format
        try:
            self._zone: tzinfo = UTC if declared.timezone == "UTC" else ZoneInfo(declared.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f'no timezone is called "{declared.timezone}"; one is Europe/Berlin') from None

    def of(self, node: Any) -> float | None:
        """Unix seconds; None where there is no time, or it cannot be read."""
        text = self._path.text(node)
        return None if text is None else _seconds(text, self._format, self._zone)


@lru_cache(maxsize=1024)
def _seconds(text: str, form: str, zone: tzinfo) -> float | None:
    """Many reports are of the same second."""
    try:
        if form != "auto":
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is put in below
        else:
            try:
                number = float(text) if text.isascii() and "_" not in text else math.nan
            except ValueError:
                moment = datetime.fromisoformat(text)
            else:
                return _sane(number / 1000 if abs(number) >= _MILLISECONDS else number)
        return _sane((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError):
        return None


def _sane(seconds: float) -> float | None:
    return seconds if 0 <= seconds < _LATEST_S else None


class _Heading:
    """What reports and inbound messages share."""

    def __init__(self, declared: schema.Heading) -> None:
        """Raises ValueError."""
        self.form = form = declared.as_
        self._items = Path(declared.items, form) if declared.items else None
        self._conditions = Conditions(declared.where, form)
        self._id = Path(declared.id, form) if declared.id else None
        self._at = _Times(declared.at, form) if declared.at else None

    def nodes(self, whole: Any) -> Iterator[Any]:
        """Each item that fits the conditions."""
        for node in [whole] if self._items is None else self._items.all(whole):
            if self._conditions.hold(node):
                yield node

    def _id_of(self, node: Any) -> str | None:
        return self._id.text(node) if self._id else None

    def _at_of(self, node: Any) -> float | None:
        return self._at.of(node) if self._at else None


class Reports(_Heading):
    """Finds reports."""

    def __init__(self, declared: schema.Saying, states: States, reasons: Mapping[str, Reason]) -> None:
        """Raises ValueError."""
        super().__init__(declared)
        self._reference = Path(declared.reference, self.form) if declared.reference else None
        self._status = Path(declared.status, self.form)
        self._reason = Path(declared.reason, self.form) if declared.reason else None
        self._states = states
        self._reasons = reasons

    def found(self, whole: Any, references: References, alone: int | None = None) -> Iterator[Report]:
        """Every report in there; an unknown status says nothing, and is kept.

        `alone` is the message that all of it is about, where it does not say that itself.
        """
        for node in self.nodes(whole):
            native, provider_ref = self._status.text(node), self._id_of(node)
            message_id = references.message_id(self._reference.text(node)) if self._reference else alone
            if native is None or (message_id is None and provider_ref is None):
                continue
            state, reason = self._states.get(native.lower(), (State.UNKNOWN, None))
            if reason is not None and self._reason and (code := self._reason.text(node)):
                reason = self._reasons.get(code.lower(), reason)
            yield Report(
                state=state,
                reason=reason,
                message_id=message_id,
                provider_ref=provider_ref,
                at=self._at_of(node),
                native=native,
            )


class Inbounds(_Heading):
    """Finds messages from handsets."""

    def __init__(self, declared: schema.Heard) -> None:
        """Raises ValueError."""
        super().__init__(declared)
        self._from, self._to, self._text = (
            Path(path, self.form) for path in (declared.from_, declared.to, declared.text)
        )
        self._encoding = declared.encoding

    def found(self, whole: Any) -> Iterator[Inbound]:
        """Every message in there that says from where, to where, and has a text."""
        for node in self.nodes(whole):
            source, destination = self._from.text(node), self._to.text(node)
            if source is None or destination is None or not self._text.exists(node):
                continue
            text = _decoded(self._text.text(node) or "", self._encoding)
            if text is not None:
                yield Inbound(
                    source=source.removeprefix("+"),
                    destination=destination.removeprefix("+"),
                    text=text,
                    provider_ref=self._id_of(node),
                    at=self._at_of(node),
                )


def _decoded(text: str, encoding: str) -> str | None:
    try:
        if encoding == "base64":
            return base64.b64decode(text, validate=True).decode()
        if encoding == "hex":
            return bytes.fromhex(text).decode()
        return bytes.fromhex(text).decode("utf-16-be") if encoding == "ucs2hex" else text
    except (ValueError, binascii.Error):
        return None
