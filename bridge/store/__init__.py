"""The store: what it keeps, in the words of the domain. Engines (`sqlite`) implement `Store`; no SQL shows here.

Every verb that writes returns a future that is done when the write is on disk (one sync for all that has gathered),
or fails with StoreUnavailable when nothing of it was kept. Cancelling the future does not undo the write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Protocol

import msgspec

from bridge.message import Inbound, Message, Owed, Part, Plan, Reason, Report, State, Usage, owed_for

Event = dict[str, Any]  # one step of a timeline: at, event, and what belongs to it


class Stage(IntEnum):
    """Who has to do something about a message next."""

    QUEUED = 0  # its lane, once `next_at` has come
    LEASED = 1  # its lane has it in memory; after a crash it is queued again
    SENT = 2  # its provider; at `next_at` we ask for a report, or give up waiting
    FINAL = 3  # nobody


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message to keep. `owed` only with a final state (refused after it was taken)."""

    message: Message
    plan: Plan
    stage: Stage
    next_at: float | None
    state: State = State.ACCEPTED
    reason: Reason | None = None
    joins: tuple[int, ...] = ()  # the parts that it was joined from
    marks: tuple[bytes, ...] = ()  # by which each of them is recognised should it be repeated; or none
    owed: Sequence[Owed] = ()


class Queued(msgspec.Struct, kw_only=True, gc=False):
    """A message on its way to a provider, as its lane holds it."""

    message: Message
    plan: Plan
    step: int = 0  # index into plan: the provider that has it now
    attempts: int = 0  # made at that provider
    alone: bool = False  # what came of a request that it shared was unclear: it shares none any more
    begun: int = 0  # the first attempt that nobody knows the end of: it may have been sent; 0: there is none
    under_way: bool = False  # its lane has taken it to send it
    withdrawn: bool = False  # it was changed since: this one is not to be sent


def cancelled(message: Message, now: float) -> Entry:
    """A message that its account has taken back."""
    report = Report(state=State.DELETED, reason=Reason.CANCELLED, at=now)
    return Entry(
        message=message,
        plan=Plan(),
        stage=Stage.FINAL,
        next_at=None,
        state=State.DELETED,
        reason=Reason.CANCELLED,
        owed=owed_for(message, report, now),
    )


# What becomes of a message that no provider has yet: a final entry ends it, a queued one takes its place; None: nothing
Alter = Callable[[Message], Entry | None]
Wanted = Callable[[Message], bool]


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of an attempt. Only noted for a message that a report has made final meanwhile."""

    message: Message
    stage: Stage
    state: State
    lane: str
    step: int
    attempts: int
    next_at: float | None
    event: Event
    else_at: float | None = None  # when the plan's next provider goes too
    begun: int = 0
    alone: bool = False
    sent_at: float | None = None
    provider_ref: str | None = None
    reason: Reason | None = None
    owed: Sequence[Owed] = ()

    @property
    def message_id(self) -> int:
        """The id of its message."""
        return self.message.message_id


class Awaiting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message whose report is due."""

    message_id: int
    provider_ref: str | None
    sent_at: float
    step: int = 0
    else_at: float | None = None  # when the plan's next provider goes too


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that is known of a message."""

    message: Message
    state: State
    reason: Reason | None
    provider: str | None
    provider_ref: str | None
    attempts: int
    updated_at: float
    timeline: list[Event]


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where a message stands when a report for it comes; `decode` reads the message itself only when it is needed."""

    state: State
    lane: str
    goes_on: bool  # a failure is not the end: the plan has a next provider for it
    decode: Callable[[], Message]
    reason: Reason | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a report changes: the state and its reason (None: nothing), and who is to be told."""

    state: State | None
    reason: Reason | None = None
    owed: Sequence[Owed] = ()
    goes_on: bool = False  # to the plan's next provider


# (where it stands, the provider that says so, what it says, now) -> what changes
Decide = Callable[[Standing, str, Report, float], Verdict]


class Recorded(msgspec.Struct, kw_only=True, gc=False):
    """What a batch of reports, or of outcomes, led to."""

    owed: list[Owed] = []
    went_on: list[str] = []  # lanes that have messages now whose provider has failed them
    parked: int = 0  # no such message yet: kept until its provider's answer names it
    stray: int = 0  # names a message that is not here (any more)


class Store(Protocol):
    """What the loops ask of a store."""

    store_id: str

    @property
    def queued(self) -> int:
        """Messages not yet with a provider, on disk and in memory."""

    def next_id(self) -> int:
        """A new id for a message, part or owed thing; never given out twice. Raises StoreUnavailable."""

    def accept(self, entries: Sequence[Entry], parts: Sequence[Message] = ()) -> asyncio.Future[None]:
        """Keeps new messages, and parts (`segment` set) until the rest of their message has come: all or none."""

    def parts(self) -> list[Message]:
        """Parts that wait for the rest of their message, oldest first (at start)."""

    def usage(self) -> list[Usage]:
        """What accounts have used of their quotas (at start)."""

    def keep_usage(self, gather: Callable[[], Sequence[Usage]]) -> asyncio.Future[None]:
        """Keeps what accounts have used, before whatever is kept after it.

        `gather` is asked when the write begins, so that one write does for many messages; perhaps more than once.
        """

    def joined(self, span_s: float, limit: int) -> list[tuple[bytes, int]]:
        """Marks of the last parts that were joined, and their messages, oldest first (at start).

        At most `limit`, and none that came more than `span_s` before the newest part.
        """

    def attach(
        self, message_id: int, parts: Sequence[tuple[int, Part]], now: float
    ) -> asyncio.Future[list[Owed] | None]:
        """Gives waiting parts, each by the id that it is kept under, to a message that was joined without them.

        Gives what is owed for them now, if it is final already; otherwise they are told with the others. None: there
        is no such message.
        """

    def begin(self, message_ids: Sequence[int]) -> asyncio.Future[None]:
        """Notes that attempts start now, for providers that would send a repeated message twice."""

    def lanes(self) -> asyncio.Future[list[str]]:
        """The lanes of messages that are not final."""

    def depths(self) -> asyncio.Future[dict[str, int]]:
        """How many messages wait for each lane, on disk and in memory; it looks at each of them."""

    def settle(self, settlements: Sequence[Settlement]) -> asyncio.Future[Recorded]:
        """Keeps what came of attempts, and takes reports that came before that; gives what it led to."""

    def claim(self, lane: str, limit: int, now: float) -> asyncio.Future[tuple[list[Queued], float | None]]:
        """Leases due messages to a lane, urgent ones first; and when the next one is due (None: there is none)."""

    def change(self, message_ids: Sequence[int], alter: Alter, now: float) -> asyncio.Future[list[Entry | None]]:
        """Puts what `alter` makes of messages in their place, as long as no provider has, or may have, them.

        Gives for each what it has become; None when it was left as it was. Whoever asks keeps lanes from sending them
        meanwhile. `alter` may be called again when its transaction was undone, and raises nothing.
        """

    async def waiting(self, account: str, destination: str, before: int, wanted: Wanted) -> list[int]:
        """The ids, below `before`, of an account's messages to a number that no provider has yet, oldest first.

        Those too that are being written; `wanted` is asked about each, in another thread.
        """

    def awaiting(self, lane: str, limit: int, now: float) -> asyncio.Future[tuple[list[Awaiting], float | None]]:
        """Messages with the provider whose report is due; and when the next one will be."""

    def ask_again(self, due: Sequence[tuple[int, float]]) -> asyncio.Future[None]:
        """Puts off the question for reports: (message_id, next_at)."""

    def go_on(self, message_ids: Sequence[int], now: float) -> asyncio.Future[list[str]]:
        """Queues messages with a provider, whose time there is over, for their plan's next one; gives those lanes."""

    def record(self, provider: str, reports: Sequence[Report], now: float) -> asyncio.Future[Recorded]:
        """Keeps reports, final or not, early or repeated."""

    def receive(
        self, provider: str, inbound: Sequence[tuple[Inbound, Sequence[Owed]]], now: float
    ) -> asyncio.Future[list[Owed]]:
        """Keeps inbound messages, each with those it is owed to; one that was repeated is not owed again."""

    def owed(self, listener: str, account: str, after: int, limit: int, now: float) -> asyncio.Future[list[Owed]]:
        """What is owed to an account and due, in the order it came, after the given owed_id."""

    def next_owed(self, listener: str, account: str, now: float) -> asyncio.Future[float | None]:
        """When the next of what is owed to an account and is not due yet will be (None: there is nothing)."""

    def handed(self, confirmed: Sequence[tuple[Owed, Event]]) -> asyncio.Future[None]:
        """Forgets what an account has confirmed, or what was given up; the event goes into the timeline."""

    def postpone(self, owed: Sequence[Owed]) -> asyncio.Future[None]:
        """Keeps `due_at` and `attempts` of what could not be handed over now."""

    def owing(self) -> asyncio.Future[list[tuple[str, str, float]]]:
        """(listener, account, earliest due) of all that is owed."""

    def find(self, message_id: int) -> asyncio.Future[Record | None]:
        """A message by its id, or by the id of one of its parts."""

    def known(self, known_id: int) -> asyncio.Future[list[Record]]:
        """The messages that a client knows by an id; and a part, as a message that is accepted, while it waits."""

    def find_ref(self, account: str, client_ref: str, limit: int = 100) -> asyncio.Future[list[Record]]:
        """Messages of an account by its own reference, newest first."""

    def purge(self, before: float, limit: int) -> asyncio.Future[int]:
        """Deletes messages final since before a time, oldest first, unless still owed to somebody; gives how many.

        One call looks at no more than `limit` messages, the next goes on from there.
        """

    async def close(self) -> None:
        """Commits what has gathered and closes."""
