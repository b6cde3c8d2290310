"""A circuit breaker as a pure value: after failures in a row it opens, then lets one attempt through at a time.

`closed` → (`limit` failures in a row) → `open` for `wait_s`, doubled each time up to `wait_max_s` → one probe →
`closed` when it succeeds, `open` again when it fails. A pause (our account is at fault) opens it at once. Beside that,
somebody may `hold` it: then nothing starts until `resume`, whatever the provider answers meanwhile.
"""

from __future__ import annotations


class Breaker:
    """Says when a lane may send."""

    __slots__ = ("_failures", "_limit", "_probing", "_until", "_wait_max_s", "_wait_min_s", "_wait_s", "held", "paused")

    def __init__(self, limit: int = 10, wait_s: float = 1.0, wait_max_s: float = 60.0) -> None:
        self._limit = limit
        self._wait_min_s = self._wait_s = wait_s
        self._wait_max_s = wait_max_s
        self._failures = 0
        self._until: float | None = None
        self._probing = False
        self.paused = False
        self.held = False

    @property
    def open(self) -> bool:
        """True while attempts are held back, but for one probe at a time."""
        return self._until is not None

    def wait_s(self, now: float) -> float:
        """Seconds until an attempt may start: 0 now, infinite while a probe is under way."""
        if self.held:
            return float("inf")
        if self._until is None:
            return 0.0
        return float("inf") if self._probing else max(0.0, self._until - now)

    def start(self) -> bool:
        """An attempt starts; True when it is the probe, whose end `end` must be told."""
        self._probing = self.open
        return self._probing

    def end(self) -> None:
        """The probe is over, whatever came of it: one that told nothing about the provider leaves the next to."""
        self._probing = False

    def succeeded(self) -> None:
        """The provider answered sensibly."""
        self._failures = 0
        self._until = None
        self._probing = self.paused = False
        self._wait_s = self._wait_min_s

    def failed(self, now: float, *, probe: bool = False) -> bool:
        """The provider did not answer sensibly; True when this opened the breaker.

        `probe`: as `start` said; what had started before the breaker opened does not make the wait longer.
        """
        self._failures += 1
        if self.open:
            if probe:
                self._open(now)
            return False
        if self._failures < self._limit:
            return False
        self._open(now)
        return True

    def pause(self, now: float, wait_s: float = 60.0) -> bool:
        """Our account with the provider is refused; True when this is news."""
        news = not self.paused
        self.paused = True
        self._until = now + wait_s
        self._probing = False
        return news

    def hold(self) -> None:
        """Nothing starts any more until `resume`."""
        self.held = True

    def resume(self, now: float) -> None:
        """Ends a hold, and where the breaker is open its wait: the next attempt, a probe, decides."""
        self.held = self.paused = False
        if self._until is not None and not self._probing:
            self._until = now

    def _open(self, now: float) -> None:
        self._until = now + self._wait_s
        self._wait_s = min(self._wait_max_s, self._wait_s * 2)
        self._probing = False
