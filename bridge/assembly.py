"""Long messages that come in parts: which belong together, when they are whole, and what ends those that never are.

A part is on disk and acknowledged before it comes here, so what becomes of it is stored, or tried again a second later.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, islice
from typing import Literal, Protocol

import msgspec

from bridge.errors import Refusal
from bridge.message import Message, Owed, Part, Plan, Reason, Report, ReportOn, Segment, State, owed_for
from bridge.sms.encoding import BINARY, TextError
from bridge.sms.join import join, join_gapped
from bridge.sms.segments import Concat, build_udh, element_of, merge_udh, parse_udh
from bridge.store import Entry, Stage, Store, cancelled

PartsMissing = Literal["refuse", "send", "single"]

_PARTS_MAX = 100_000  # parts of unfinished messages held in memory
_MARKS_MAX = 50_000  # parts of finished messages that are recognised should they be repeated
_MARK_OCTETS = 12

_Key = tuple[object, ...]


class PartsLimits(Protocol):
    """What is asked of an account."""

    @property
    def parts_timeout(self) -> float: ...
    @property
    def parts_missing(self) -> PartsMissing: ...


class Assembly:
    """The parts of all unfinished messages; one per process.

    A part of a message that was made within `parts_timeout`, octet for octet the same, is a repetition: its client lost
    our answer. It waits apart. Alone, it shares the fate of the first one when its time is over; if all of its message
    come again, they are another message, for references and texts do recur.
    """

    def __init__(
        self,
        store: Store,
        *,
        entry: Callable[[Message], Entry | Refusal],
        keep: Callable[[Sequence[Entry]], asyncio.Future[None]],
        on_owed: Callable[[Sequence[Owed]], None],
        clock: Callable[[], float],
    ) -> None:
        """`entry` plans a whole message; `keep` stores entries and hands them on, all of them or none."""
        self._store = store
        self._entry = entry
        self._keep = keep
        self._on_owed = on_owed
        self._clock = clock
        self._began = 0.0  # before that, no part could have come
        self._sets: dict[_Key, list[Message]] = {}  # parts on disk
        self._held = 0  # those, and parts on their way to disk
        self._marks: OrderedDict[bytes, tuple[int, float]] = (
            OrderedDict()
        )  # of parts that are in messages: which, and until when

    def configure(self, accounts: Mapping[str, PartsLimits]) -> None:
        """Takes over the limits of accounts."""
        self._accounts = accounts

    @property
    def full(self) -> bool:
        """True when no more parts can be taken."""
        return self._held >= _PARTS_MAX

    def expect(self, count: int) -> None:
        """So many parts are on their way to disk; fewer, when it is negative."""
        self._held += count

    def recover(self) -> None:
        """Takes up what an earlier process kept; its clients could not go on meanwhile, so time begins anew."""
        self._began = self._clock()
        span_s = max((account.parts_timeout for account in self._accounts.values()), default=0.0)
        for mark, message_id in self._store.joined(span_s, _MARKS_MAX):
            self._marks[mark] = (message_id, self._began + span_s)
        for part in self._store.parts():
            self._held += 1
            self.add(part)

    def add(self, part: Message) -> None:
        """Takes a part that is on disk; the last one makes the message."""
        key = _key(part)
        known = self._marks.get(_mark(part)) if self._marks else None
        if known is not None and known[1] > self._clock():
            key = (*key, known[0])
        parts = self._sets.setdefault(key, [])
        parts.append(part)
        if _whole(parts):
            self._join(key)

    def sweep(self, now: float) -> None:
        """Ends messages whose missing parts are overdue, and makes again those that could not be stored when whole."""
        for key, parts in list(self._sets.items()):
            account = self._accounts.get(parts[0].account)
            since = max(parts[0].accepted_at, self._began)
            if _whole(parts):
                self._join(key)
            elif account is None or now >= since + account.parts_timeout:
                self._give_up(key, "refuse" if account is None else account.parts_missing)
        for mark in [mark for mark, (_, until) in islice(self._marks.items(), 1000) if until <= now]:
            del self._marks[mark]

    def cancel(self, wanted: Callable[[Message], bool]) -> list[asyncio.Future[None]]:
        """Ends messages whose parts have not all come, if any of their parts is wanted.

        A future for each: done when it is on disk as cancelled, or StoreUnavailable when its parts wait on.
        """
        keys = [key for key, parts in self._sets.items() if any(wanted(part) for part in parts)]
        return [self._cancel(key) for key in keys]

    def _cancel(self, key: _Key) -> asyncio.Future[None]:
        parts = self._sets[key]
        return self._end(key, [_joining(cancelled(_joined(parts, ""), self._clock()), parts)])

    def _join(self, key: _Key) -> None:
        parts = self._sets[key]
        try:
            # A repeated part has an id of its own and gets a receipt of its own; its text counts once.
            entry = self._planned(_joined(parts, join(_segments(parts))))
        except TextError as error:
            entry = rejected(_joined(parts, ""), Reason.INVALID_TEXT, str(error), self._clock())
        self._end(key, [_joining(entry, parts)])

    def _planned(self, message: Message) -> Entry:
        entry = self._entry(message)
        if isinstance(entry, Refusal):
            return rejected(message, Reason(entry.reason), entry.text, self._clock())
        return entry

    # --- what never became whole ----------------------------------------------------------------------------------

    def _give_up(self, key: _Key, how: PartsMissing) -> None:
        parts = self._sets[key]
        if len(key) > _KEY_LENGTH:
            self._follow(key)
        elif how == "single":
            self._end(key, [self._single(list(copies)) for _, copies in groupby(_ordered(parts), key=_number)])
        elif how == "send" and all(segment.alphabet != BINARY for segment in _segments(parts)):
            self._end(key, [self._gapped(parts)])
        else:
            self._refuse(key)

    def _refuse(self, key: _Key) -> None:
        parts = self._sets[key]
        entry = rejected(_joined(parts, ""), Reason.PARTS_MISSING, "", self._clock())
        # Without marks: should its client begin all over, that is a message like any other.
        self._end(key, [msgspec.structs.replace(_joining(entry, parts), marks=())])

    def _gapped(self, parts: Sequence[Message]) -> Entry:
        segments = _segments(parts)
        try:
            entry = self._planned(_joined(parts, join_gapped(segments, segments[0].total)))
        except TextError as error:
            entry = rejected(_joined(parts, ""), Reason.INVALID_TEXT, str(error), self._clock())
        return _joining(entry, parts)

    def _single(self, copies: Sequence[Message]) -> Entry:
        """One part as a message; a binary one says of which message it is a part, for its receiver to join them."""
        (segment,) = {segment.number: segment for segment in _segments(copies)}.values()
        alone = _joined(copies, segment.octets)
        try:
            if segment.alphabet == BINARY:
                alone = msgspec.structs.replace(alone, udh=_udh_of(segment))
            else:
                alone = _joined(copies, join_gapped([segment], segment.total, gap=""))
            entry = self._planned(alone)
        except TextError as error:
            entry = rejected(_joined(copies, ""), Reason.INVALID_TEXT, str(error), self._clock())
        return _joining(entry, copies)

    def _follow(self, key: _Key) -> None:
        """Repeated parts share the fate of the message that the first ones are in."""
        parts = self._sets.pop(key)
        message_id = key[-1]
        assert isinstance(message_id, int)

        def attached(done: asyncio.Future[list[Owed] | None]) -> None:
            if done.exception() is not None:
                self._sets[key] = parts + self._sets.get(key, [])
                return
            owed = done.result()
            if owed is None:  # nothing is known of it any more
                self._sets[key[:_KEY_LENGTH]] = parts + self._sets.get(key[:_KEY_LENGTH], [])
                return
            self._held -= len(parts)
            if owed:
                self._on_owed(owed)

        given = [(part.message_id, _part(part)) for part in _ordered(parts)]
        self._store.attach(message_id, given, self._clock()).add_done_callback(attached)

    def _end(self, key: _Key, entries: Sequence[Entry]) -> asyncio.Future[None]:
        """Stores what parts have become. They are acknowledged: if that fails, they wait for `sweep`."""
        parts = self._sets.pop(key)
        account = self._accounts.get(parts[0].account)
        if account is not None:
            until = self._clock() + account.parts_timeout
            for entry in entries:
                self._marks |= dict.fromkeys(entry.marks, (entry.message.message_id, until))
            while len(self._marks) > _MARKS_MAX:
                self._marks.popitem(last=False)

        def stored(done: asyncio.Future[None]) -> None:
            if done.exception() is None:
                self._held -= len(parts)
            else:
                self._sets[key] = parts + self._sets.get(key, [])

        kept = self._keep(entries)
        kept.add_done_callback(stored)
        return kept


def rejected(message: Message, reason: Reason, text: str, now: float) -> Entry:
    """The entry of a message that was taken and cannot be sent: final, and its sender is told."""
    report = Report(state=State.REJECTED, reason=reason, native=text)
    return Entry(
        message=message,
        plan=Plan(),
        stage=Stage.FINAL,
        next_at=None,
        state=State.REJECTED,
        reason=reason,
        owed=owed_for(message, report, now),
    )


_KEY_LENGTH = 6  # a longer one ends with the message that the parts repeat


def _key(part: Message) -> _Key:
    """Equal for the parts of one message."""
    segment = part.segment
    assert segment is not None
    return part.account, part.source, part.destination, segment.scheme, segment.reference, segment.total


def _mark(part: Message) -> bytes:
    """Equal for a part and its repetition."""
    segment = part.segment
    assert segment is not None
    octets = msgspec.msgpack.encode((_key(part), segment.number, segment.alphabet, segment.udh, segment.octets))
    return hashlib.blake2b(octets, digest_size=_MARK_OCTETS).digest()


def _segments(parts: Sequence[Message]) -> list[Segment]:
    return [part.segment for part in parts if part.segment is not None]


def _number(part: Message) -> int:
    assert part.segment is not None
    return part.segment.number


def _ordered(parts: Sequence[Message]) -> list[Message]:
    return sorted(parts, key=lambda part: (_number(part), part.message_id))


def _whole(parts: Sequence[Message]) -> bool:
    segments = _segments(parts)
    return len(parts) >= segments[0].total and len({segment.number for segment in segments}) == segments[0].total


def _part(part: Message) -> Part:
    return Part(
        part_id=part.known_id or part.message_id,
        number=_number(part),
        report_on=part.report_on,
        intermediate=part.intermediate,
        native=part.native,
    )


def _joined(parts: Sequence[Message], content: str | bytes) -> Message:
    """The message that `parts` make; a part by itself stays the message that its client knows."""
    ordered = _ordered(parts)
    message = msgspec.structs.replace(
        ordered[0],
        segment=None,
        text=content if isinstance(content, str) else None,
        binary=content if isinstance(content, bytes) else None,
        udh=merge_udh(segment.udh for segment in _segments(ordered)),
    )
    if len(parts) == 1 and message.known_id is None:
        return message
    return msgspec.structs.replace(
        message,
        report_on=ReportOn.NEVER,
        known_id=None,
        intermediate=any(part.intermediate for part in parts),
        parts=tuple(map(_part, ordered)),
    )


def _joining(entry: Entry, parts: Sequence[Message]) -> Entry:
    """The entry as one that puts an end to `parts`."""
    return msgspec.structs.replace(
        entry, joins=tuple(part.message_id for part in parts), marks=tuple(map(_mark, parts))
    )


def _udh_of(segment: Segment) -> bytes:
    """The header of a segment that goes by itself: which part it is, and what else it said."""
    scheme = "udh8" if segment.scheme == "udh8" else "udh16"
    others = parse_udh(segment.udh).elements if segment.udh else ()
    return build_udh([element_of(Concat(segment.reference, segment.total, segment.number, scheme)), *others])
