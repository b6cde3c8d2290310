"""How many a second, over the last minute."""

from __future__ import annotations

_SLOT_S = 5
_SLOTS = 12


class Meter:
    """Counts in a ring of slots: to count costs the same however much there is, and idle nothing."""

    __slots__ = ("_counts", "_since", "_slot")

    def __init__(self, now: float) -> None:
        """`now`, here and below: any clock that never goes back, in seconds."""
        self._counts = [0] * _SLOTS
        self._since = now
        self._slot = int(now // _SLOT_S)

    def add(self, count: int, now: float) -> None:
        """Counts `count` more."""
        slot = int(now // _SLOT_S)
        if slot != self._slot:
            self._turn(slot)
        self._counts[slot % _SLOTS] += count

    def per_s(self, now: float) -> float:
        """How many a second in the last minute, or since the start if that is later."""
        self._turn(int(now // _SLOT_S))
        # The slot of now has only begun; a start of less than a second ago says nothing about a second.
        covered_s = min((_SLOTS - 1) * _SLOT_S + now % _SLOT_S, max(1.0, now - self._since))
        return sum(self._counts) / covered_s

    def _turn(self, slot: int) -> None:
        for passed in range(max(self._slot + 1, slot - _SLOTS + 1), slot + 1):
            self._counts[passed % _SLOTS] = 0
        self._slot = max(self._slot, slot)
