"""How many mails somebody may begin: a token bucket for each sender and for each household of addresses.

Pure. As many as are remembered have a bucket of their own; whoever was quiet longest is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict

from bridge.throttle import Bucket

_REMEMBERED = 20_000
_BURST_S = 10.0  # how much of its rate somebody may use at once


class Limits:
    """One rate, for everybody by himself."""

    def __init__(self, rate_per_s: float | None) -> None:
        """None: there is no limit."""
        self._rate_per_s = rate_per_s
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def allow(self, name: str, now: float) -> bool:
        """Counts one more; False when that is too many. `now`: seconds, monotonic."""
        if self._rate_per_s is None:
            return True
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self._rate_per_s, self._rate_per_s * _BURST_S)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return bucket.take(1, now) == 1
