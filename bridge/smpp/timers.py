"""The four timers of a session (3.4 §7.2) as a value: when something is due, and whether it is."""

from __future__ import annotations


class Timers:
    """Times of one session. `now` is any clock that never goes back, in seconds."""

    __slots__ = ("active", "enquire_link_s", "enquired", "heard", "inactivity_s", "leave_by", "response_s")

    def __init__(
        self, now: float, session_init_s: float, enquire_link_s: float, inactivity_s: float, response_s: float
    ) -> None:
        self.enquire_link_s = enquire_link_s
        self.inactivity_s = inactivity_s
        self.response_s = response_s
        self.heard = now  # when the last PDU came
        self.active = now  # when the last one came or went that is about messages
        self.enquired: float | None = None  # when we asked whether the peer is still there, as long as it does not say
        self.leave_by = now + session_init_s  # when a session that is not bound has lasted too long

    def adopt(self, enquire_link_s: float | None, inactivity_s: float | None, response_s: float | None) -> None:
        """Takes over those that are given."""
        self.enquire_link_s = enquire_link_s or self.enquire_link_s
        self.inactivity_s = inactivity_s or self.inactivity_s
        self.response_s = response_s or self.response_s

    def touch(self, now: float) -> None:
        """All is well as of now."""
        self.heard = self.active = now
        self.enquired = None

    def deadline(self, *, bound: bool) -> float:
        """When something is due at the latest."""
        if not bound:
            return self.leave_by
        if self.enquired is None:
            return min(self.active + self.inactivity_s, self.heard + self.enquire_link_s)
        return min(self.active + self.inactivity_s, self.enquired + self.response_s)

    def silent(self, now: float) -> bool:
        """True when a bound peer was asked for a sign of life and gave none in time."""
        return self.enquired is not None and now >= self.enquired + self.response_s

    def idle(self, now: float) -> bool:
        """True when nothing about messages has come or gone for too long."""
        return now >= self.active + self.inactivity_s

    def enquire(self, now: float) -> bool:
        """True when it is time to ask the peer for a sign of life; it counts as asked then."""
        if self.enquired is not None or now < self.heard + self.enquire_link_s:
            return False
        self.enquired = now
        return True
