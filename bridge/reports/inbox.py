"""Asking a provider for inbound messages, where it does not bring them by itself.

Every question overlaps the time of the one before, because what a provider shows last may be older than what it showed
already; the store knows what came twice. The first question of a process goes back further, to when it was not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bridge.errors import StoreUnavailable, TransportError
from bridge.providers._contract import Provider
from bridge.reports.callbacks import Hearing
from bridge.transport import Transport

log = structlog.get_logger("bridge.reports")

_OVERLAP_S = 600.0


class Inbox:
    """Looks after the inbox that one provider keeps for us."""

    def __init__(
        self,
        provider: Provider,
        transport: Transport,
        hearing: Hearing,
        clock: Callable[[], float],
        *,
        back_s: float,
    ) -> None:
        """`provider` has an `inbox`; `back_s`: how far back the first question goes; the store knows so far."""
        self._provider = provider
        self._line = transport.line(provider)
        self._hearing = hearing
        self._clock = clock
        self._since = clock() - back_s

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(self._provider.settings.inbox_poll)

    async def _look(self) -> None:
        """One question; what was not answered, or could not be kept, is asked for again."""
        provider, now = self._provider, self._clock()
        try:
            request = provider.inbox(self._since, now)
            if request is None:
                return
            heard = provider.inbox_of(await self._line.ask(request))
            if heard is None:
                log.warning("inbox_refused", provider=provider.name)
                return
            if heard.items:
                await self._hearing.keep(provider.name, heard)
        except (TransportError, StoreUnavailable) as error:
            log.info("inbox_failed", provider=provider.name, error=str(error))
        except Exception:
            log.exception("provider_inbox_failed", provider=provider.name)
        else:
            self._since = max(self._since, now - _OVERLAP_S)
