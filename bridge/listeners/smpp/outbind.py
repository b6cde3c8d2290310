"""Calling accounts that wait for us: where one is owed something and is not bound to receive it, we connect to it and
send outbind, and it binds on that connection as on any other (3.4 §2.2.1).

Called again and again, ever more seldom, as long as something is owed and nobody has bound.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from bridge.listeners.smpp.connection import Connection
from bridge.listeners.smpp.ports import Account, Call
from bridge.listeners.smpp.receivers import Receivers
from bridge.listeners.smpp.settings import Outbind
from bridge.values import listen_address

if TYPE_CHECKING:
    from bridge.listeners.smpp.server import Binds, SmppServer

log = structlog.get_logger("bridge.listeners.smpp")

_DELAY_MIN_S = 1.0
_DELAY_MAX_S = 60.0


class Caller:
    """Calls one account."""

    def __init__(self, server: SmppServer, account: Account, receivers: Receivers) -> None:
        self.account = account
        self._server = server
        self._receivers = receivers
        self._delay_s = _DELAY_MIN_S
        self._not_before = 0.0  # loop time
        self._calling: asyncio.Task[None] | None = None
        receivers.call = self.call

    def call(self) -> None:
        """It is owed something and not there."""
        if self._calling is None:
            self._calling = asyncio.get_running_loop().create_task(self._call_until_there())
            self._calling.add_done_callback(self._called)

    def stop(self) -> None:
        """Calls no more; whoever is bound stays."""
        self._receivers.call = None
        if self._calling is not None:
            self._calling.cancel()

    def _called(self, calling: asyncio.Task[None]) -> None:
        self._calling = None
        if not calling.cancelled() and calling.exception() is not None:
            log.error("outbind_ended", account=self.account.name, exc_info=calling.exception())

    async def _call_until_there(self) -> None:
        loop = asyncio.get_running_loop()
        while self._receivers.missed:
            await asyncio.sleep(self._not_before - loop.time())
            self._not_before = loop.time() + self._delay_s
            if not self._receivers.missed:
                return
            if await self._call_once():
                self._delay_s = _DELAY_MIN_S
                return
            self._delay_s = min(_DELAY_MAX_S, 2 * self._delay_s)

    async def _call_once(self) -> bool:
        """True when it has bound."""
        outbind = self.account.settings.outbind
        assert outbind is not None
        address = listen_address(outbind.connect)
        bound: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._server.session_init_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._server, call=Call(self.account.settings.system_id, outbind, bound)),
                    address.host,
                    address.port,
                    ssl=_context(outbind),
                )
        except (OSError, TimeoutError) as error:
            log.warning("outbind_failed", account=self.account.name, error=str(error) or "no connection in time")
            return False
        if not await bound:
            log.warning("outbind_failed", account=self.account.name, error="it did not bind")
            return False
        return True


class Callers:
    """Calls all accounts that want it, with the timers of one listener."""

    def __init__(self, server: SmppServer, binds: Binds) -> None:
        self._server = server
        self._binds = binds
        self._callers: dict[str, Caller] = {}

    def configure(self, accounts: Iterable[Account]) -> None:
        """Calls these accounts from now on, if they have an address to call, and if they are owed something."""
        called = {account.name: account for account in accounts if account.settings.outbind is not None}
        for name in self._callers.keys() - called.keys():
            self._callers.pop(name).stop()
        for name, account in called.items():
            receivers = self._binds.receivers(name)
            if name in self._callers:
                self._callers[name].account = account
            else:
                self._callers[name] = Caller(self._server, account, receivers)
            receivers.pump()

    def stop(self) -> None:
        """Calls nobody any more."""
        self.configure(())


def _context(outbind: Outbind) -> ssl.SSLContext | None:
    if not outbind.tls:
        return None
    context = ssl.create_default_context(cafile=outbind.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
