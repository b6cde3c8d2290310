"""What an outbox holds but does not hand over any more.

Pure. An intermediate report is news until the final one is due: then it is overtaken, wherever it waits, so that no
client hears "on its way" after "delivered". And a client may refuse everything for one of its addresses: that is for
what was owed until then, and what comes later is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.message import Owed

OVERTAKEN = "overtaken"
_Told = tuple[int, int]  # a message, and the id of it or of its part that the client knows


class Withdrawn:
    """Of one outbox; false while there is nothing to look for."""

    def __init__(self) -> None:
        self._early: dict[_Told, list[int]] = {}  # -> owed_ids of intermediate reports
        self._told: dict[int, _Told] = {}  # the other way round
        self._overtaken: set[int] = set()
        self._dropped: dict[str, tuple[float, str]] = {}  # address -> until when what was owed, and why

    def __bool__(self) -> bool:
        return bool(self._overtaken or self._dropped)

    def note(self, owed: Owed, *, in_memory: bool = True) -> None:
        """Something is owed that belongs to a message with intermediate reports, the report itself or the end."""
        assert owed.message is not None
        assert owed.report is not None
        told = owed.message.message_id, owed.known_id
        if owed.report.state.final:
            self._overtaken.update(self._early.get(told, ()))
        elif in_memory:
            self._early.setdefault(told, []).append(owed.owed_id)
            self._told[owed.owed_id] = told

    def drop(self, address: str, now: float, why: str) -> None:
        """The client wants nothing of what is owed for `address` until `now`."""
        self._dropped[address] = (now, why)

    def why(self, owed: Owed) -> str | None:
        """Why something is not to be handed over; None: it is."""
        if owed.owed_id in self._overtaken:
            return OVERTAKEN
        until, why = self._dropped.get(owed.address or "", (0.0, ""))
        return why if owed.created_at <= until else None

    def forget(self, owed_ids: Iterable[int]) -> None:
        """They are not in memory any more."""
        if not self._told:
            return
        for owed_id in owed_ids:
            told = self._told.pop(owed_id, None)
            if told is not None:
                self._overtaken.discard(owed_id)
                early = self._early[told]
                early.remove(owed_id)
                if not early:
                    del self._early[told]

    def forget_old(self, before: float) -> None:
        """Nothing that was owed before a time is left."""
        self._dropped = {address: drop for address, drop in self._dropped.items() if drop[0] >= before}
