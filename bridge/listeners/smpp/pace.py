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
        self._timer: asyncio.TimerHandle | None = None

    def room(self, connection: Connection) -> int:
        """How many submits a connection may bring now; when none, it hears of it as soon as there are."""
        room, wait_s = self._intake.room(self._account)
        if not room:
            if connection not in self._resting:
                self._resting.append(connection)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._go_on)
        return room

    def _go_on(self) -> None:
        self._timer = None
        resting, self._resting = self._resting, deque()
        while resting:
            connection = resting.popleft()
            connection.read_on()
            if self._resting:
                # It has used up what there was. Those that it went before come before it the next time.
                self._resting.extendleft(reversed(resting))
                return

    def leave(self, connection: Connection) -> None:
        """A connection has gone."""
        if connection in self._resting:
            self._resting.remove(connection)
