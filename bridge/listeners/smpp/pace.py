"""The pace of an account whose clients are read no faster than its rate, instead of being refused."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from bridge.listeners.smpp.ports import Intake

if TYPE_CHECKING:
    from bridge.listeners.smpp.connection import Connection


class Pace:
    """Says how many submits to read; one timer an account wakes those that wait, in turn."""

    def __init__(self, account: str, intake: Intake) -> None:
        self._account = account
        self._intake = intake
        self._resting: deque[Connection] = deque()
        self._next: Connection | None = None  # whose turn it is
        self._timer: asyncio.TimerHandle | None = None

    def room(self, connection: Connection) -> int:
        """How many submits a connection may bring now; when none, it hears of it as soon as it is its turn."""
        room, wait_s = 0, 0.0
        if connection is self._next or not self._resting:  # others come before it, however quickly it comes again
            room, wait_s = self._intake.room(self._account)
        if not room:
            if connection not in self._resting:
                self._resting.append(connection)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._go_on)
        return room

    def _go_on(self) -> None:
        self._timer = None
        waiting = len(self._resting)
        # Once the timer runs again, one has used up what there was, and waits behind all others.
        while waiting and self._resting and self._timer is None:
            waiting -= 1
            self._next = self._resting.popleft()
            self._next.read_on()
            self._next = None

    def leave(self, connection: Connection) -> None:
        """A connection has gone."""
        if connection in self._resting:
            self._resting.remove(connection)
