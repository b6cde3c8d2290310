"""The SMPP server: sockets, TLS, who may bind, and the binds of each account."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable

from bridge.listeners.smpp.capture import Capture, Tap
from bridge.listeners.smpp.connection import Connection
from bridge.listeners.smpp.operations import Operations
from bridge.listeners.smpp.ports import Account, Changes, Intake, Passwords
from bridge.listeners.smpp.receivers import Receivers
from bridge.listeners.smpp.repeats import Repeats
from bridge.listeners.smpp.seen import Seen, ends_of, seen
from bridge.listeners.smpp.settings import SmppListener
from bridge.listeners.tls import server_context
from bridge.reports.delivery import Outbox
from bridge.smpp.enums import Status
from bridge.smpp.events import Bind, Delivered, DeliveryFailed
from bridge.smpp.session import Session
from bridge.values import listen_address


class Binds:
    """All binds, over every address that we listen on."""

    def __init__(self, outbox_of: Callable[[str], Outbox]) -> None:
        self._outbox_of = outbox_of
        self._receivers: dict[str, Receivers] = {}
        self.counts: Counter[str] = Counter()  # binds by account
        self.captures: list[Capture] = []  # who watches
        self.repeats = Repeats()

    def receivers(self, account: str) -> Receivers:
        """The receiving binds of an account."""
        if account not in self._receivers:
            self._receivers[account] = Receivers(self._outbox_of(account))
        return self._receivers[account]


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
        self._server: asyncio.Server | None = None
        self._empty: asyncio.Future[None] | None = None
        self.port = 0
        self.replace_accounts(accounts)

    def replace_accounts(self, accounts: Iterable[Account]) -> None:
        """Serves these accounts from now on (reload); bound clients stay."""
        self._accounts = {account.settings.system_id: account for account in accounts}

    async def start(self) -> None:
        """Listens. Raises OSError when the address is taken, or the TLS files cannot be read (ssl.SSLError too)."""
        address = listen_address(self._settings.listen)
        context = None if self._settings.tls is None else server_context(self._settings.tls)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self),
            address.host or None,
            address.port,
            ssl=context,
            # Until the handshake is over, there is no session that could time out.
            ssl_handshake_timeout=None if context is None else self._settings.session_init_timeout,
            backlog=1024,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, grace_s: float = 5.0) -> None:
        """Takes no more connections, unbinds the clients, and closes what is left after `grace_s`."""
        if self._server is None:
            return
        self._server.close()
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
                unread = connection.session.unread
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
        """A client has connected; False when there are too many already."""
        if len(self._connections) >= self._settings.max_connections:
            return False
        self._connections.add(connection)
        if self._binds.captures:
            connection.tap = Tap(ends_of(connection), self._binds.captures)
        return True

    def left(self, connection: Connection) -> None:
        """A client has gone."""
        self._connections.discard(connection)
        if connection.account is not None:
            self._binds.counts[connection.account.name] -= 1
            self._binds.receivers(connection.account.name).remove(connection)
        if self._empty is not None and not self._connections and not self._empty.done():
            self._empty.set_result(None)

    async def admit(self, pdu: Bind) -> tuple[Status, Account | None]:
        """The account that a bind is for, or the status that refuses it; an admitted bind is counted."""
        account = self._accounts.get(pdu.system_id)
        if account is None:
            return Status.RINVSYSID, None
        if not await self._passwords.verify(pdu.password, account.settings.password):
            return Status.RINVPASWD, None
        if self._binds.counts[account.name] >= account.settings.max_binds:
            # Not RALYBND: there are clients that take it for success.
            return Status.RBINDFAIL, None
        self._binds.counts[account.name] += 1
        return Status.ROK, account

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
