"""What a connection does with its transport and its time: whether it is read, whether it reads, when it wakes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

UNREAD = 64 * 1024  # octets written and not yet taken by the client, above which it is not read either


class Flow:
    """Reads only while the client may bring more and takes our answers; one that does not is given up."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self.clogged = False  # the client does not read what we write
        self._give_up = give_up
        self._give_up_at: asyncio.TimerHandle | None = None
        self._reading = True

    def clog(self, patience_s: float) -> None:
        """The client has stopped reading. It is not read meanwhile, so no PDU of its own could show that it lives."""
        self.clogged = True
        self._give_up_at = asyncio.get_running_loop().call_later(patience_s, self._give_up)

    def unclog(self) -> None:
        """It reads again, or is gone."""
        self.clogged = False
        if self._give_up_at is not None:
            self._give_up_at.cancel()
            self._give_up_at = None

    def steer(self, transport: asyncio.Transport | None, *, wanted: bool) -> None:
        """Pauses or resumes reading; `wanted`: the session can take more."""
        if transport is None or transport.is_closing():
            return
        reading = wanted and not self.clogged
        if reading != self._reading:
            self._reading = reading
            if reading:
                transport.resume_reading()
            else:
                transport.pause_reading()


class Alarm:
    """One timer, which is set anew only for an earlier time: deadlines move with every PDU."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = float("inf")

    def set(self, deadline: float | None, now: float) -> None:
        """Rings at a time, or before; None: whenever. Both are times of the same clock, in seconds."""
        if deadline is None or deadline >= self._set_for:
            return
        self.stop()
        self._set_for = deadline
        self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - now), self._wake)

    def stop(self) -> None:
        """Rings no more until it is set again."""
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = float("inf")

    def _wake(self) -> None:
        self._timer = None
        self._set_for = float("inf")
        self._ring()
