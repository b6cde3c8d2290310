"""Asking providers for reports that did not come by themselves, and giving up on those that never will."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

import structlog

from bridge.errors import StoreUnavailable, TransportError
from bridge.message import Reason, Report, State
from bridge.providers._contract import Heard, Provider, Reference, Request
from bridge.reports.callbacks import Hearing
from bridge.store import Awaiting, Store
from bridge.throttle import Bucket
from bridge.transport import Transport

log = structlog.get_logger("bridge.reports")

_ROUND = 200  # messages looked at in one round
_PAUSE_S = 1.0
_POLL_MAX_S = 3600.0


def next_poll_s(age_s: float, first_s: float) -> float:
    """Seconds until the next question, `age_s` after sending: half of the age again, from `first_s` to an hour."""
    return max(first_s, min(_POLL_MAX_S, age_s / 2))


class Polling:
    """Watches over the messages that one provider has."""

    def __init__(
        self, provider: Provider, store: Store, transport: Transport, hearing: Hearing, clock: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._store = store
        self._line = transport.line(provider)
        self._hearing = hearing
        self._clock = clock
        self._asking = asyncio.Semaphore(max(1, provider.settings.concurrency // 2))
        can = provider.capabilities
        self._size = can.poll_size
        self._bucket = None if can.poll_rate is None else Bucket(can.poll_rate)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                pause_s = await self._round()
            except StoreUnavailable as error:
                log.error("polling_waits_for_store", provider=self._provider.name, error=str(error))
                pause_s = _PAUSE_S
            except Exception:
                # Without this loop, messages of this provider would wait for ever.
                log.exception("polling_failed", provider=self._provider.name)
                pause_s = _PAUSE_S
            if pause_s:
                await asyncio.sleep(pause_s)

    async def _round(self) -> float:
        """One look at what is due; gives the seconds until the next."""
        now = self._clock()
        settings = self._provider.settings
        due, next_due = await self._store.awaiting(self._provider.name, max(_ROUND, self._size), now)
        if not due:
            return _PAUSE_S if next_due is None else min(_PAUSE_S, max(0.05, next_due - now))
        late = [item.message_id for item in due if item.else_at is not None and now >= item.else_at]
        if late:
            self._hearing.on_went_on(await self._store.go_on(late, now))
            due = [item for item in due if item.else_at is None or now < item.else_at]
        over = [item for item in due if now >= item.sent_at + settings.report_timeout]
        if over:
            given_up = [
                Report(
                    state=State.UNKNOWN, message_id=item.message_id, reason=Reason.NO_REPORT, native="no report came"
                )
                for item in over
            ]
            await self._hearing.keep(self._provider.name, Heard(items=given_up))
        waiting = [item for item in due if now < item.sent_at + settings.report_timeout]
        if not waiting:
            return 0
        asked, later_s = self._allowed(len(waiting), now)
        await self._store.ask_again(
            [(item.message_id, self._next_at(item, now)) for item in waiting[:asked]]
            + [(item.message_id, self._end_of(item, now + later_s)) for item in waiting[asked:]]
        )
        if self._provider.capabilities.poll_reports:
            await self._ask(waiting[:asked])
        return 0

    def _allowed(self, count: int, now: float) -> tuple[int, float]:
        """How many of `count` messages may be asked about now, and in how many seconds others may."""
        if self._bucket is None:
            return count, 0.0
        requests = self._bucket.take(-(-count // self._size), now)
        return min(count, requests * self._size), max(1.0, self._bucket.wait_s(now))

    def _end_of(self, item: Awaiting, at: float) -> float:
        """No later than when the message is given up, or goes on to the next provider of its plan."""
        deadline: float = item.sent_at + self._provider.settings.report_timeout
        return min(at, deadline if item.else_at is None else min(deadline, item.else_at))

    def _next_at(self, item: Awaiting, now: float) -> float:
        if not self._provider.capabilities.poll_reports:
            return self._end_of(item, inf)
        return self._end_of(item, now + next_poll_s(now - item.sent_at, self._provider.settings.poll))

    async def _ask(self, waiting: list[Awaiting]) -> None:
        references = self._provider.references
        wanted = [
            Reference(item.message_id, references.of(item.message_id, item.step), item.provider_ref) for item in waiting
        ]
        questions: list[Coroutine[Any, Any, None]] = []
        for start in range(0, len(wanted), self._size):
            some = wanted[start : start + self._size]
            try:
                questions += [self._ask_one(request, some) for request in self._provider.poll(some)]
            except Exception:
                log.exception("provider_poll_failed", provider=self._provider.name)
        await asyncio.gather(*questions)

    async def _ask_one(self, request: Request, wanted: list[Reference]) -> None:
        provider = self._provider
        async with self._asking:
            try:
                heard: Heard = provider.heard(await self._line.ask(request), wanted)
            except TransportError as error:
                log.info("poll_failed", provider=provider.name, error=str(error))
                return
            except Exception:
                log.exception("provider_heard_failed", provider=provider.name)
                return
            if heard.items:
                await self._hearing.keep(provider.name, heard)
