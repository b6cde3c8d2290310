"""The SMPP server: sockets, TLS, who may bind, and the binds of each account."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable

import structlog

from bridge.listeners.addresses import Crowd, may_come
from bridge.listeners.certificates import presents
from bridge.listeners.entrance import Entrance
from bridge.listeners.passwords import Login, Passwords, stand_in
from bridge.listeners.smpp.capture import Capture, Tap
from bridge.listeners.smpp.connection import Connection
from bridge.listeners.smpp.operations import Operations
from bridge.listeners.smpp.pace import Pace
from bridge.listeners.smpp.ports import Account, Changes, Intake
from bridge.listeners.smpp.receivers import Receivers
from bridge.listeners.smpp.repeats import Repeats
from bridge.listeners.smpp.seen import Seen, ends_of, seen
from bridge.listeners.smpp.settings import SmppListener
from bridge.listeners.tls import renew, server_context
from bridge.reports.delivery import Outbox
from bridge.smpp.enums import Status
from bridge.smpp.events import Bind, Delivered, DeliveryFailed
from bridge.smpp.session import Session
from bridge.values import listen_address

log = structlog.get_logger("bridge.listeners.smpp")

# The answers to a bind that is refused. Whether the name or its password is wrong, the answer is the same. Some clients
# never come back after RINVPASWD, so what may be right another time is answered otherwise; and not with RALYBND, which
# some take for success.
_REFUSED = {Login.WRONG: Status.RINVPASWD, Login.LOCKED: Status.RBINDFAIL, Login.BUSY: Status.RSYSERR}


class Binds:
    """All binds, over every address that we listen on."""

    def __init__(self, outbox_of: Callable[[str], Outbox]) -> None:
        self._outbox_of = outbox_of
        self._receivers: dict[str, Receivers] = {}
        self._paces: dict[str, Pace] = {}
        self.counts: Counter[str] = Counter()  # binds by account
        self.captures: list[Capture] = []  # who watches
        self.repeats = Repeats()

    def receivers(self, account: str) -> Receivers:
        """The receiving binds of an account."""
        if account not in self._receivers:
            self._receivers[account] = Receivers(self._outbox_of(account))
        return self._receivers[account]

    def pace(self, account: str, intake: Intake) -> Pace:
        """The pace at which an account is read."""
        if account not in self._paces:
            self._paces[account] = Pace(account, intake)
        return self._paces[account]


class SmppServer:
    """One address that SMPP clients bind to."""

    def __init__(
        self,
        settings: SmppListener,
        accounts: Iterable[Account],
        *,
        intake: Intake,
        changes: Changes,
        passwords: Passwords,
        binds: Binds,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.intake = intake
        self.clock = clock
        self.monotonic = monotonic
        self.operations = Operations(intake, changes, binds.repeats, clock=clock, monotonic=monotonic)
        self._settings = settings
        self._passwords = passwords
        self._binds = binds
        self._connections: set[Connection] = set()
        self._to_flush: set[Connection] = set()
        self._crowd = Crowd(settings.max_connections, settings.max_per_address)
        self._tls: ssl.SSLContext | None = None
        self._entrance: Entrance | None = None
        self._empty: asyncio.Future[None] | None = None
        self.port = 0
        self.session_init_s = settings.session_init_timeout
        self.replace_accounts(accounts)

    def replace_accounts(self, accounts: Iterable[Account]) -> None:
        """Serves these accounts from now on (reload); bound clients stay, and keep to a pace that is new."""
        self._accounts = {account.settings.system_id: account for account in accounts}
        paced = {account.name for account in self._accounts.values() if account.paced}
        for connection in self._connections:
            if connection.account is not None and connection.account.name in paced:
                connection.pace = self.pace(connection.account.name)
        self._stand_in = stand_in(account.settings.password for account in self._accounts.values())

    def renew_tls(self) -> None:
        """Reads certificate and key again (reload). Raises OSError; then the old ones stay."""
        if self._tls is not None and self._settings.tls is not None:
            renew(self._tls, self._settings.tls)

    async def start(self) -> None:
        """Listens. Raises OSError when the address is taken, or the TLS files cannot be read (ssl.SSLError too)."""
        settings = self._settings
        self._tls = None if settings.tls is None else server_context(settings.tls)
        entrance = Entrance(
            lambda peer: Connection(self, peer),
            tls=self._tls,
            proxies=settings.proxy,
            # Until the handshake is over, there is no session that could time out.
            patience_s=settings.session_init_timeout,
        )
        await entrance.open(listen_address(settings.listen))
        self._entrance, self.port = entrance, entrance.port

    async def stop(self, grace_s: float = 5.0) -> None:
        """Takes no more connections, unbinds the clients, and closes what is left after `grace_s`."""
        if self._entrance is None:
            return
        self._entrance.close()
        for connection in list(self._connections):
            connection.unbind()
        if self._connections:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=grace_s)
        for connection in list(self._connections):
            connection.abort()

    # --- what an administrator sees --------------------------------------------------------------------------------

    def seen(self) -> list[Seen]:
        """The binds over this address as they are now, the oldest first."""
        now = self.monotonic()
        bound = [connection for connection in self._connections if connection.account is not None]
        return [
            seen(connection, str(self._settings.listen), self._binds.receivers(connection.account.name).pending, now)
            for connection in sorted(bound, key=lambda each: each.traffic.connected_at)
            if connection.account is not None
        ]

    @property
    def unbound(self) -> int:
        """Connections that have not bound yet."""
        return sum(connection.account is None for connection in self._connections)

    def watch(self, capture: Capture) -> int:
        """Begins to show a capture the connections of its account; gives how many there are now."""
        count = 0
        for connection in self._connections:
            system_id = connection.account.settings.system_id if connection.account is not None else None
            count += system_id == capture.system_id
            if connection.tap is None:
                unread = connection.session.unread()
                connection.tap = Tap(ends_of(connection), [capture], system_id=system_id, unread=unread)
            else:
                connection.tap.add(capture)
        return count

    def unwatch(self, capture: Capture) -> None:
        """Ends it."""
        for connection in self._connections:
            if connection.tap is not None and connection.tap.remove(capture):
                connection.tap = None

    # --- what connections ask ---------------------------------------------------------------------------------------

    def new_session(self) -> Session:
        """A session with this listener's timers."""
        settings = self._settings
        return Session(
            system_id=settings.system_id,
            now=self.monotonic(),
            session_init_s=settings.session_init_timeout,
            enquire_link_s=settings.enquire_link_interval,
            inactivity_s=settings.inactivity_timeout,
            response_s=settings.response_timeout,
            max_pdu=settings.max_pdu,
        )

    def joined(self, connection: Connection) -> bool:
        """A client has connected; False when it may not, or there are too many already."""
        if not connection.called and not may_come(connection.peer, self._settings.networks):
            log.warning("connection_refused", peer=connection.peer, reason="network")
            return False
        if not self._crowd.join(connection.peer):
            log.warning("connection_refused", peer=connection.peer, reason="too many")
            return False
        self._connections.add(connection)
        if self._binds.captures:
            connection.tap = Tap(ends_of(connection), self._binds.captures)
        return True

    def left(self, connection: Connection) -> None:
        """A client has gone."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._crowd.leave(connection.peer)
        if connection.account is not None:
            self._binds.counts[connection.account.name] -= 1
            self._binds.receivers(connection.account.name).remove(connection)
        if self._empty is not None and not self._connections and not self._empty.done():
            self._empty.set_result(None)

    async def admit(self, pdu: Bind, connection: Connection) -> tuple[Status, Account | None]:
        """The account that a bind is for, or the status that refuses it; an admitted bind is counted."""
        account, peer = self._accounts.get(pdu.system_id), connection.peer
        if account is not None and not connection.called and not may_come(peer, account.networks):
            # Its password is not even looked at: nobody learns from elsewhere whether it is right.
            return Status.RBINDFAIL, None
        login = await self._login(pdu, account, connection)
        if login is not Login.RIGHT or account is None:
            return _REFUSED.get(login, Status.RINVPASWD), None
        if self._binds.counts[account.name] >= account.settings.max_binds:
            return Status.RBINDFAIL, None
        self._binds.counts[account.name] += 1
        return Status.ROK, account

    async def _login(self, pdu: Bind, account: Account | None, connection: Connection) -> Login:
        settings = None if account is None else account.settings
        secret, wanted = (None, None) if settings is None else (settings.password, settings.certificate)
        if wanted is not None and not presents(wanted, connection.socket("ssl_object")):
            secret = None  # whatever the password is, it is wrong
        elif wanted is not None and secret is None:
            return Login.RIGHT
        return await self._passwords.login(
            pdu.system_id, pdu.password, secret, address=connection.peer, stand_in=self._stand_in
        )

    def pace(self, account: str) -> Pace:
        """The pace at which a paced account is read."""
        return self._binds.pace(account, self.intake)

    def receiving(self, connection: Connection) -> None:
        """A client has bound as receiver or transceiver."""
        assert connection.account is not None
        self._binds.receivers(connection.account.name).add(connection)

    def heard(self, connection: Connection, event: Delivered | DeliveryFailed) -> None:
        """A client has answered a deliver_sm, or will not."""
        assert connection.account is not None
        self._binds.receivers(connection.account.name).heard(connection, event, self.clock())

    def pump(self, connection: Connection) -> None:
        """A client may have room for more deliver_sm."""
        if connection.account is not None:
            self._binds.receivers(connection.account.name).pump()

    def write_soon(self, connection: Connection) -> None:
        """Writes what a connection has to say once this turn of the loop is over, many PDUs at once."""
        if not self._to_flush:
            asyncio.get_running_loop().call_soon(self._flush)
        self._to_flush.add(connection)

    def _flush(self) -> None:
        connections, self._to_flush = self._to_flush, set()
        for connection in connections:
            connection.flush()
