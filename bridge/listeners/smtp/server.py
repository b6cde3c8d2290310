"""The socket of the SMTP listener: who may connect, until when."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from bridge.listeners.addresses import Crowd
from bridge.listeners.entrance import Entrance
from bridge.listeners.passwords import Passwords
from bridge.listeners.smtp.connection import Context
from bridge.listeners.smtp.dialects.session import DialectSession
from bridge.listeners.smtp.limits import Limits
from bridge.listeners.smtp.origin import Origins
from bridge.listeners.smtp.ports import Account, Intake
from bridge.listeners.smtp.session import Session
from bridge.listeners.smtp.settings import SmtpListener
from bridge.listeners.tls import renew, server_context
from bridge.values import Address

_HANDSHAKE_S = 30.0
_STOP_S = 10.0  # for answers that are under way


class SmtpServer:
    """One address that takes mail for `<number>@domain`."""

    def __init__(
        self,
        settings: SmtpListener,
        accounts: Iterable[Account],
        intake: Intake,
        passwords: Passwords,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now`: Unix seconds. Raises OSError (ssl.SSLError is one) when certificate or key cannot be used."""
        self._settings = settings
        self._context = Context(
            settings=settings,
            intake=intake,
            passwords=passwords,
            now=now,
            tls=None if settings.tls is None else server_context(settings.tls),
            empty=asyncio.Event(),
            crowd=Crowd(settings.max_connections, settings.max_per_address),
            of_sender=Limits(settings.sender_rate),
            of_network=Limits(settings.network_rate),
        )
        self._context.empty.set()
        self._entrance: Entrance | None = None
        self.port = 0
        self.admit(accounts)

    def admit(self, accounts: Iterable[Account]) -> None:
        """Takes over new accounts; who is no longer among them can begin no further mail. Raises OSError: no DNS."""
        context, accounts = self._context, list(accounts)
        context.accounts = {each.settings.login: each for each in accounts if each.settings.login is not None}
        context.unannounced = tuple(
            each
            for each in accounts
            if each.settings.without_auth is not None or (each.settings.certificate and not each.settings.password)
        )
        verified = (each.settings.without_auth for each in context.unannounced)
        if context.origins is None and any(each is not None and each.verified is not None for each in verified):
            context.origins = Origins(self._settings.dns)

    def renew_tls(self) -> None:
        """Reads certificate and key again (reload). Raises OSError; then the old ones stay."""
        if self._context.tls is not None and self._settings.tls is not None:
            renew(self._context.tls, self._settings.tls)

    @property
    def connections(self) -> int:
        """Clients connected now."""
        return len(self._context.sessions)

    async def start(self) -> None:
        """Listens. Raises OSError."""
        # The library logs every command: numbers, addresses, and a password that came where a command belongs.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        address = Address(self._settings.listen)
        implicit = self._settings.mode == "implicit"
        make = Session if self._settings.dialect is None else DialectSession
        entrance = Entrance(
            lambda peer: make(self._context, peer),
            tls=self._context.tls if implicit else None,
            proxies=self._settings.proxy,
            patience_s=_HANDSHAKE_S,
        )
        await entrance.open(address)
        self._entrance, self.port = entrance, entrance.port

    async def stop(self) -> None:
        """Listens no more, says 421 to everybody, and lets answers that are under way leave first."""
        if self._entrance is None:
            return
        self._entrance.close()
        if self._context.origins is not None:
            self._context.origins.close()
        self._context.stopping = True  # for those in the middle of a TLS handshake
        for session in list(self._context.sessions):
            session.hang_up("421 4.3.2 Shutting down; try again later")
        try:
            await asyncio.wait_for(self._context.empty.wait(), _STOP_S)
        except TimeoutError:
            for session in list(self._context.sessions):
                session.abort()
            await self._context.empty.wait()
