"""Who has guessed too often, and is not listened to for a while. No clock: time comes in as `now`, monotonic seconds.

Failures are counted by address and name, and by address alone with a limit of its own, so that one client with a wrong
password does not shut out the others behind its address, but one who tries name after name is shut out himself. At a
limit the door closes for a time. The first failure after that closes it again, for twice as long, until nothing has
been heard for as long as it was closed last.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from bridge.listeners.addresses import household

_LONGEST_S = 3600.0
_RECORDS = 20_000  # those whose last failure is longest ago are forgotten first
_NAME = 64  # characters of a name that count


class _Record(msgspec.Struct):
    failures: int = 0
    closed_until: float = 0.0
    closes_for_s: float = 0.0  # the next time
    forget_at: float = 0.0


class Lockout:
    """Counts failures, and says who must wait."""

    def __init__(self, failures: int = 10, address_failures: int = 50, duration_s: float = 300.0) -> None:
        """`failures` of one name from one address, `address_failures` of all names from one address."""
        self._records: OrderedDict[tuple[str, str | None], _Record] = OrderedDict()
        self.configure(failures, address_failures, duration_s)

    def configure(self, failures: int, address_failures: int, duration_s: float) -> None:
        """Takes over new limits, and begins anew: nobody is shut out any more."""
        self._failures = failures
        self._address_failures = address_failures
        self._duration_s = duration_s
        self._records.clear()

    def wait_s(self, address: str | None, name: str, now: float) -> float:
        """For how long an address must not try a name: seconds; 0 when it may now."""
        if not self._records:
            return 0.0
        wait_s = 0.0
        for key in _keys(address, name):
            record = self._records.get(key)
            if record is not None:
                wait_s = max(wait_s, record.closed_until - now)
        return wait_s

    def failed(self, address: str | None, name: str, now: float) -> float:
        """Counts a wrong password; gives for how many seconds that closes the door, 0 when it does not."""
        closed_s = 0.0
        for key, limit in zip(_keys(address, name), (self._failures, self._address_failures), strict=True):
            record = self._records.get(key)
            if record is None or now >= record.forget_at:
                record = self._records[key] = _Record(closes_for_s=self._duration_s)
            self._records.move_to_end(key)
            record.failures += 1
            record.forget_at = now + self._duration_s
            if record.failures >= limit:
                record.closed_until = now + record.closes_for_s
                record.forget_at = record.closed_until + record.closes_for_s
                closed_s = max(closed_s, record.closes_for_s)
                record.closes_for_s = min(2 * record.closes_for_s, max(_LONGEST_S, self._duration_s))
        while len(self._records) > _RECORDS:
            self._records.popitem(last=False)
        return closed_s

    def succeeded(self, address: str | None, name: str) -> None:
        """A right password: what went wrong with that name from there is forgotten, but not what did with others."""
        if self._records:
            self._records.pop(_keys(address, name)[0], None)


def _keys(address: str | None, name: str) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
    home = household(address)
    return (home, name[:_NAME]), (home, None)
