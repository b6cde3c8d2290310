"""What happened to each message of a run, by its number: when, how often, and the sums and percentiles of that.

Pure. Times are seconds of one clock that never goes back; 0.0 is "not yet".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import msgspec

# Destinations are all different, as a real load's are: the number of a message is the end of its destination.
_PREFIX = "90532"
_DIGITS = 7
MESSAGES_MAX = 10**_DIGITS


def destination_of(number: int) -> str:
    """The destination of a message, E.164 digits; its last ones are the number of the message."""
    return f"{_PREFIX}{number:0{_DIGITS}d}"


def number_of(destination: str) -> int:
    """The number of the message that goes to a destination. Raises ValueError for one of nobody's."""
    if not destination.startswith(_PREFIX) or len(destination) != len(_PREFIX) + _DIGITS:
        raise ValueError("not a destination of this load")
    return int(destination[len(_PREFIX) :])


class Percentiles(msgspec.Struct, frozen=True):
    """How long something took, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Counts(msgspec.Struct, frozen=True):
    """How many messages of a part of the load came how far."""

    messages: int
    accepted: int
    refused: int  # answered with an error, or never
    sent: int
    reported: int
    lost: int  # accepted, and never sent or never reported
    doubled: int  # taken by the provider more than once, or reported to the client more than once


class Tally:
    """Four times a message, and how often it was sent and reported; 42 bytes a message."""

    def __init__(self, messages: int) -> None:
        """`messages`: 1..MESSAGES_MAX."""
        if not 1 <= messages <= MESSAGES_MAX:
            raise ValueError(f"a load has 1 to {MESSAGES_MAX} messages")
        self.messages = messages
        self.submitted_at = _zeros(messages)
        self.accepted_at = _zeros(messages)
        self.sent_at = _zeros(messages)
        self.reported_at = _zeros(messages)
        self._ids = array("Q", bytes(8 * messages))
        self._sends = bytearray(messages)
        self._reports = bytearray(messages)
        self.submitted = 0
        self.accepted = 0
        self.refused = 0
        self.sent = 0
        self.reported = 0
        self.strange = 0  # receipts of messages that are not ours, or with the id of another

    # --- what happened ----------------------------------------------------------------------------------------------

    def submit(self, number: int, at: float) -> None:
        """The message leaves the client, or was due to."""
        self.submitted_at[number] = at
        self.submitted += 1

    def accept(self, number: int, message_id: str, at: float) -> None:
        """Its response says yes; `message_id` is decimal."""
        self._ids[number] = int(message_id)
        self.accepted_at[number] = at
        self.accepted += 1

    def refuse(self) -> None:
        """A response says no."""
        self.refused += 1

    def send(self, number: int, at: float) -> None:
        """The provider takes it."""
        if not self._sends[number]:
            self.sent_at[number] = at
            self.sent += 1
        self._sends[number] = min(self._sends[number] + 1, 255)

    def report(self, number: int, message_id: str, at: float) -> None:
        """Its receipt reaches the client."""
        if not 0 <= number < self.messages or (self._ids[number] and self._ids[number] != int(message_id)):
            self.strange += 1
            return
        if not self._reports[number]:
            self.reported_at[number] = at
            self.reported += 1
        self._reports[number] = min(self._reports[number] + 1, 255)

    # --- what that comes to -----------------------------------------------------------------------------------------

    def counts(self, part: range) -> Counts:
        """The counts of the messages whose numbers are in `part`."""
        accepted = [number for number in part if self.accepted_at[number]]
        return Counts(
            messages=len(part),
            accepted=len(accepted),
            refused=sum(1 for number in part if self.submitted_at[number]) - len(accepted),
            sent=sum(1 for number in part if self._sends[number]),
            reported=sum(1 for number in part if self._reports[number]),
            lost=sum(1 for number in accepted if not (self._sends[number] and self._reports[number])),
            doubled=sum(1 for number in part if self._sends[number] > 1 or self._reports[number] > 1),
        )

    @property
    def changes(self) -> int:
        """Grows with everything that happens."""
        return self.submitted + self.accepted + self.refused + self.sent + self.reported

    def start(self, part: range) -> float:
        """When the first message of `part` left the client."""
        return min(self.submitted_at[part.start : part.stop])

    def response_ms(self, part: range) -> Percentiles:
        """submit_sm -> submit_sm_resp."""
        return self._between(self.accepted_at, part)

    def receipt_ms(self, part: range) -> Percentiles:
        """submit_sm -> the message's receipt."""
        return self._between(self.reported_at, part)

    def _between(self, ends: array[float], part: range) -> Percentiles:
        starts = self.submitted_at
        return percentiles((ends[number] - starts[number]) * 1000.0 for number in part if ends[number])


def percentiles(values: Iterable[float]) -> Percentiles:
    """The nearest-rank percentiles of `values`; zeros when there are none."""
    ordered = sorted(values)
    if not ordered:
        return Percentiles(0.0, 0.0, 0.0, 0.0)
    last = len(ordered) - 1
    p50, p95, p99 = (ordered[min(last, max(0, -(-len(ordered) * percent // 100) - 1))] for percent in (50, 95, 99))
    return Percentiles(p50, p95, p99, ordered[last])


def rate(times: Iterable[float], start: float) -> float:
    """Events a second from `start` to the last of `times`; those at 0.0 did not happen."""
    happened = [at for at in times if at]
    if not happened:
        return 0.0
    return len(happened) / max(max(happened) - start, 1e-9)


def rates_of_tenths(times: Iterable[float], start: float) -> list[float]:
    """Events a second of each tenth of what happened from `start` on, in order; at least ten must have happened."""
    happened = sorted(at for at in times if at)
    ends = [len(happened) * tenth // 10 for tenth in range(11)]
    marks = [start, *(happened[end - 1] for end in ends[1:])]
    return [(ends[tenth + 1] - ends[tenth]) / max(marks[tenth + 1] - marks[tenth], 1e-9) for tenth in range(10)]


def _zeros(count: int) -> array[float]:
    return array("d", bytes(8 * count))
