"""A token bucket as a pure value: time comes in, permission or a waiting time goes out."""

from __future__ import annotations


class Bucket:
    """At most `rate_per_s` a second on average, at most `burst` at once; starts full."""

    __slots__ = ("_at", "_tokens", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, burst: float | None = None) -> None:
        """`burst` defaults to one second's worth, and is at least 1."""
        self.rate_per_s = rate_per_s
        self.burst = max(1.0, rate_per_s if burst is None else burst)
        self._tokens = self.burst
        self._at: float | None = None

    def take(self, wanted: int, now: float) -> int:
        """Takes up to `wanted` whole tokens; gives how many."""
        self._refill(now)
        taken = min(wanted, int(self._tokens + 1e-9))
        self._tokens -= taken
        return taken

    def give_back(self, count: int) -> None:
        """Gives back tokens that were taken and not used."""
        self._tokens = min(self.burst, self._tokens + count)

    def wait_s(self, now: float) -> float:
        """Seconds until the next whole token; 0 when there is one."""
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) / self.rate_per_s)

    def _refill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate_per_s)
        self._at = now
