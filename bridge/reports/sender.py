"""A sink for what is handed over one by one and awaited: callbacks and mails, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bridge.errors import BridgeError
from bridge.message import Owed
from bridge.reports.delivery import Outbox
from bridge.store import Event

log = structlog.get_logger("bridge.reports")


class NotTaken(BridgeError):
    """The account did not take it; with `final`, it never will."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Sender:
    """Hands over with `hand`, which gives the event for the timeline or raises NotTaken; it may be replaced."""

    def __init__(self, outbox: Outbox, hand: Callable[[Owed], Awaitable[Event]], concurrency: int = 8) -> None:
        self._outbox = outbox
        self.hand = hand
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    def room(self) -> int:
        """How many more may be under way."""
        return 0 if self._stopping else self._concurrency - len(self._running)

    def send(self, owed: Owed) -> None:
        """Starts one."""
        task = asyncio.create_task(self._send(owed))
        self._running.add(task)
        task.add_done_callback(self._sent)

    async def stop(self, grace_s: float) -> None:
        """Starts none any more, and gives those under way `grace_s`."""
        self._stopping = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._outbox.pump()

    async def _send(self, owed: Owed) -> None:
        try:
            event = await self.hand(owed)
        except NotTaken as error:
            if error.final:
                self._outbox.given_up(owed, str(error))
            else:
                self._outbox.later(owed, str(error))
        except Exception:
            log.exception("handing_over_failed", listener=owed.listener, account=owed.account)
            self._outbox.later(owed, "an error on our side; see the log")
        else:
            self._outbox.confirmed(owed, event)
