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

    def spend(self, cost: int, now: float) -> bool:
        """Takes `cost` tokens, or none; what costs more than the burst needs a full bucket and leaves a debt."""
        self._refill(now)
        if self._tokens + 1e-9 < min(cost, self.burst):
            return False
        self._tokens -= cost
        return True

    def owe(self, cost: int, now: float) -> None:
        """Takes `cost` tokens whether they are there or not; a debt is paid off by the time that passes."""
        self._refill(now)
        self._tokens -= cost

    def level(self, now: float) -> float:
        """Tokens that are there; less than 0 is a debt."""
        self._refill(now)
        return self._tokens

    def give_back(self, count: int) -> None:
        """Gives back tokens that were taken and not used."""
        self._tokens = min(self.burst, self._tokens + count)

    def wait_s(self, now: float, wanted: float = 1.0) -> float:
        """Seconds until there are `wanted` tokens, or as many as it holds; 0 when there are."""
        self._refill(now)
        return max(0.0, (min(wanted, self.burst) - self._tokens) / self.rate_per_s)

    def _refill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate_per_s)
        self._at = now
