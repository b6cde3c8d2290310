"""Asking a provider for inbound messages, where it does not bring them by itself.

Every question overlaps the time of the one before, because what a provider shows last may be older than what it showed
already; the store knows what came twice. The first question of a process goes back further, to when it was not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bridge.errors import StoreUnavailable, TransportError
from bridge.message import Inbound, Report
from bridge.providers._contract import Heard, Provider
from bridge.reports.callbacks import Hearing
from bridge.transport import MIB, Transport

log = structlog.get_logger("bridge.reports")

_BACK_S = 86400.0
_OVERLAP_S = 600.0
_LIMIT_BYTES = 8 * MIB


class Inbox:
    """Looks after the inbox that one provider keeps for us."""

    def __init__(
        self,
        provider: Provider,
        transport: Transport,
        hearing: Hearing,
        clock: Callable[[], float],
        *,
        known_s: float,
    ) -> None:
        """`known_s`: how long the store knows what came; the first question goes back a day, or as long as that."""
        self._provider = provider
        self._line = transport.line(provider)
        self._hearing = hearing
        self._clock = clock
        self._since = clock() - min(_BACK_S, known_s)
        self._kept: set[str | None] = set()  # by the last answer
        self._refused = False

    async def run(self) -> None:
        """Until cancelled; not at all, where there is nothing to ask."""
        while await self._look():  # noqa: ASYNC110 - the provider has no event for us
            await asyncio.sleep(self._provider.settings.inbox_poll)

    async def _look(self) -> bool:
        """One question; what was not answered, or could not be kept, is asked for again. False: there is none."""
        provider, now = self._provider, self._clock()
        try:
            request = provider.inbox(self._since, now)
            if request is None:
                return False
            heard = provider.inbox_of(await self._line.ask(request, limit_bytes=_LIMIT_BYTES))
            if heard is None:
                if not self._refused:
                    log.warning("inbox_refused", provider=provider.name)
                self._refused = True
                return True
            await self._keep(heard)
        except (TransportError, StoreUnavailable) as error:
            log.info("inbox_failed", provider=provider.name, error=str(error))
        except Exception:
            log.exception("provider_inbox_failed", provider=provider.name)
        else:
            self._refused = False
            self._since = max(self._since, now - _OVERLAP_S)
        return True

    async def _keep(self, heard: Heard) -> None:
        """What the last answer said too need not be looked for in the store."""
        new = [item for item in heard.items if isinstance(item, Report) or item.provider_ref not in self._kept]
        if new:
            await self._hearing.keep(self._provider.name, Heard(items=new))
        self._kept = {item.provider_ref for item in heard.items if isinstance(item, Inbound) and item.provider_ref}
