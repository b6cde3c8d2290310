"""The words everyone shares: message, part, report, inbound, state, reason, outcome.

Pure: no IO, no clock. Times are Unix seconds (float, UTC). Numbers are E.164 digits without `+` unless alphanumeric.
Structs are outside the garbage collector (`gc=False`): they form no cycles, and there may be tens of thousands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum, StrEnum
from typing import Any, Literal

import msgspec


class State(IntEnum):
    """Where a message stands. Values are SMPP 5.0 message_state (§4.7.15), so a listener needs no second table.

    ACCEPTED is ours: held by us, not yet taken by a provider. It is not final here.
    """

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8

    @property
    def word(self) -> str:
        """The state as it is shown outside: lower case."""
        return _WORDS[self]

    @property
    def final(self) -> bool:
        """True for a state that never changes again."""
        return self in FINAL


FINAL = frozenset({State.DELIVERED, State.EXPIRED, State.DELETED, State.UNDELIVERABLE, State.UNKNOWN, State.REJECTED})
FAILED = FINAL - {State.DELIVERED}
_WORDS = {state: state.name.lower() for state in State}


class Reason(StrEnum):
    """Why a message failed or was refused: one closed list; every listener has a table for all of it."""

    # --- refused at the door; the client's own request is at fault
    INVALID_REQUEST = "invalid_request"  # not understood, or a required field is missing
    INVALID_SOURCE = "invalid_source"  # the sender is malformed
    SOURCE_NOT_ALLOWED = "source_not_allowed"  # this account may not use that sender
    INVALID_DESTINATION = "invalid_destination"  # not a phone number
    INVALID_TEXT = "invalid_text"  # the bytes are not text in the stated encoding, or nothing is left of it
    TEXT_TOO_LONG = "text_too_long"  # more parts than allowed
    INVALID_VALIDITY = "invalid_validity"  # validity is malformed or already over
    INVALID_SCHEDULE = "invalid_schedule"  # scheduled time is malformed or too far
    UNSUPPORTED = "unsupported"  # no provider of the route can carry this content
    NO_ROUTE = "no_route"  # no route matches
    NOT_PERMITTED = "not_permitted"  # the account may not do this
    # --- refused at the door; come back later
    THROTTLED = "throttled"  # over the account's rate
    QUEUE_FULL = "queue_full"  # no more room
    UNAVAILABLE = "unavailable"  # we cannot store it now
    # --- what became of it later
    PARTS_MISSING = "parts_missing"  # the rest of a long message never came
    CANCELLED = "cancelled"  # by the account
    VALIDITY_ELAPSED = "validity_elapsed"  # not sent or not delivered in time
    UNKNOWN_SUBSCRIBER = "unknown_subscriber"  # the number does not exist, or not on this channel
    ABSENT_SUBSCRIBER = "absent_subscriber"  # switched off or out of reach
    HANDSET_ERROR = "handset_error"  # the handset refused or its memory is full
    BARRED = "barred"  # the subscriber or operator bars it
    BLOCKED = "blocked"  # blacklist, opt-out or spam filter
    NETWORK_ERROR = "network_error"  # an operator's fault
    CONTENT_REFUSED = "content_refused"  # the provider refuses the text
    SENDER_REFUSED = "sender_refused"  # the provider refuses the sender
    NO_CREDIT = "no_credit"  # the account with the provider is empty
    PROVIDER_ACCOUNT = "provider_account"  # the provider refuses our credentials or service
    PROVIDER_UNREACHABLE = "provider_unreachable"  # no connection, no answer, or only errors
    PROVIDER_REFUSED = "provider_refused"  # refused by the provider for another reason
    UNSURE = "unsure"  # sent, never answered, and the provider can't tell
    NO_REPORT = "no_report"  # accepted by the provider, which never said what became of it
    UNSPECIFIED = "unspecified"  # the provider gave no reason


class ReportOn(IntEnum):
    """When the sender wants to be told: SMPP registered_delivery bits 1-0 (3.4 §5.2.17, 5.0 §4.7.21)."""

    NEVER = 0
    FINAL = 1
    FAILURE = 2
    SUCCESS = 3

    def wants(self, state: State) -> bool:
        """True when a message that ended in `state` is to be reported."""
        if self is ReportOn.FINAL:
            return True
        if self is ReportOn.FAILURE:
            return state is not State.DELIVERED
        return self is ReportOn.SUCCESS and state is State.DELIVERED


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One segment of a long message, as its client submitted it; it has an id and gets a receipt of its own."""

    part_id: int
    number: int  # 1-based
    report_on: ReportOn = ReportOn.NEVER
    intermediate: bool = False  # it is to be told of states that are not final, too
    native: dict[str, Any] = {}


class Segment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a submitted part belongs, and its user data; the text is decoded only when all parts are joined,
    because clients cut inside escape and surrogate pairs.
    """

    reference: int
    total: int  # 2..255
    number: int  # 1..total
    scheme: str  # udh8 | udh16 | sar: equal references of different schemes are different sets
    octets: bytes  # user data without its header
    alphabet: str  # a name that `bridge.sms.encoding.decode` knows, or "binary"
    udh: bytes | None = None  # what else its header said, length octet included


ContentKind = Literal["photo", "video", "audio", "document", "location", "contact", "buttons"]


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a message carries beside its text on channels that take more than text; which fields belong to it is the
    `kind`'s: a `url` (https) to what is shown, or a place, or a person.
    """

    kind: ContentKind
    url: str | None = None
    caption: str | None = None
    name: str | None = None  # of the file, the place or the person
    latitude: float | None = None  # degrees, -90..90
    longitude: float | None = None  # degrees, -180..180
    number: str | None = None  # of the person, E.164 digits
    native: dict[str, Any] = {}  # what only one provider knows, in its own words; it goes out as it came


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an account submits; immutable. What becomes of it is kept beside it by the store."""

    message_id: int
    account: str
    listener: str  # smpp | smtp | http: where it came in, and so how its reports go back
    destination: str  # E.164 digits, no +
    accepted_at: float
    expires_at: float
    source: str | None = None  # digits, or an alphanumeric sender; None: the provider's default
    text: str | None = None
    binary: bytes | None = None  # user data that is not text
    udh: bytes | None = None  # user data header of `binary` or `text`, length octet included, without concatenation
    content: Content | None = None
    flash: bool = False
    priority: int = 0  # 0..3, 3 first
    deliver_at: float | None = None
    report_on: ReportOn = ReportOn.NEVER
    intermediate: bool = False  # it is to be told of states that are not final, too
    one_report: bool = False  # of all its parts together, not of each
    client_ref: str | None = None
    known_id: int | None = None  # the id its client knows, where several messages share one; None: its message_id
    segment: Segment | None = None  # set while it is one part of a longer message; `text` is then None
    parts: tuple[Part, ...] = ()  # empty: it came whole, and message_id is the id its client knows
    native: dict[str, Any] = {}  # protocol details its listener needs to answer; nobody else reads them


class Plan(tuple[str, ...]):
    """The providers to try for a message, in order.

    `waits_s`: for each, the seconds after which the next one goes too unless the message has been delivered, and that a
    failure reported by it sends the message on; 0: the next one's turn comes only when this one does not take it.
    """

    waits_s: tuple[float, ...]

    def __new__(cls, providers: Iterable[str] = (), waits_s: Iterable[float] = ()) -> Plan:
        """Without `waits_s`, no provider has one."""
        plan = super().__new__(cls, providers)
        plan.waits_s = tuple(waits_s) or (0.0,) * len(plan)
        return plan

    def only(self, names: Collection[str]) -> Plan:
        """The plan without the providers that are not named."""
        kept = [(name, wait_s) for name, wait_s in zip(self, self.waits_s, strict=True) if name in names]
        return Plan((name for name, _ in kept), (wait_s for _, wait_s in kept))

    def wait_s(self, step: int) -> float | None:
        """Seconds that the provider of a step has before the next one goes too; None: as long as it takes."""
        return self.waits_s[step] or None if step + 1 < len(self) else None


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a provider says later about a message, in our words, the provider's own word kept in `native`."""

    state: State
    message_id: int | None = None  # when the provider echoes the reference that we gave it
    provider_ref: str | None = None  # the provider's own id
    new_ref: str | None = None  # what the provider calls it from now on as well, in reports that name nothing else
    reason: Reason | None = None
    at: float | None = None  # by the provider's clock
    native: str = ""


class Inbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A message from a handset."""

    source: str
    destination: str
    text: str = ""
    binary: bytes | None = None  # user data that is not text
    udh: bytes | None = None  # user data header of `binary`, length octet included
    provider_ref: str | None = None
    at: float | None = None


# --- what came of a send: one of four values (promise 3) ---------------------------------------------------------


class Accepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The provider has it. `state` is set when its answer already tells more than "accepted"."""

    provider_ref: str | None = None
    state: State = State.ENROUTE
    reason: Reason | None = None
    native: str = ""


class Refused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The provider will never take it; the plan's next provider may."""

    reason: Reason
    native: str = ""


class Retry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The provider certainly did not take it; it may be repeated.

    `pause` says that our account with the provider is at fault: the lane stops and raises an alarm, messages wait.
    """

    reason: Reason
    after_s: float | None = None
    pause: bool = False
    native: str = ""


class Unsure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """It was sent, and nobody knows whether it arrived."""

    native: str = ""
    provider_ref: str | None = None  # by which the provider knows it if it arrived


Outcome = Accepted | Refused | Retry | Unsure


class Owed(msgspec.Struct, kw_only=True, gc=False):
    """Something we owe an account, a report or an inbound message, until it confirms that it has it."""

    account: str
    listener: str
    created_at: float
    due_at: float
    known_id: int  # the id the client knows: of the message, of the part, or of the inbound message
    owed_id: int = 0  # given by the store
    attempts: int = 0
    part: Part | None = None
    message: Message | None = None
    report: Report | None = None
    inbound: Inbound | None = None

    @property
    def address(self) -> str | None:
        """The address of the account that it concerns: the sender of the message, or whom the handset wrote to."""
        if self.inbound is not None:
            return self.inbound.destination
        return self.message.source if self.message is not None else None


# How much of a quota is used: account, day or month, which one (2026-11-22, 2026-11), and the count.
Usage = tuple[str, str, str, int]


def merge(state: State, report: State) -> State:
    """The state after `report`: final never moves, UNKNOWN says nothing, and nothing goes back to less advanced."""
    if state in FINAL or report is State.UNKNOWN or _RANK[report] <= _RANK[state]:
        return state
    return report


_RANK = {
    State.SCHEDULED: 0,
    State.ACCEPTED: 1,
    State.ENROUTE: 2,
    **dict.fromkeys(FINAL, 3),
}


def owed_for(message: Message, report: Report, now: float) -> list[Owed]:
    """Who is to be told of `report`: each part that asked, one for all of them, or the whole when it came whole.

    Of a state that is not final, whoever asked for intermediate ones; those are for the parts as well.
    """
    told: list[tuple[int, Part | None]] = []
    if not report.state.final and not message.intermediate:
        return []
    if message.parts:
        told = [(part.part_id, part) for part in message.parts if _wants(part, report.state)]
        if message.one_report:
            del told[1:]
    elif _wants(message, report.state):
        told = [(message.known_id or message.message_id, None)]
    return [
        Owed(
            account=message.account,
            listener=message.listener,
            created_at=now,
            due_at=now,
            known_id=known_id,
            part=part,
            message=message,
            report=report,
        )
        for known_id, part in told
    ]


def _wants(asked: Message | Part, state: State) -> bool:
    return asked.report_on.wants(state) if state in FINAL else asked.intermediate
