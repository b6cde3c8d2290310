"""The listening socket of a listener, with or without TLS, with or without proxies in front of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import structlog

from bridge.listeners.addresses import Networks, may_come
from bridge.listeners.proxy import ProxyError, read_header
from bridge.values import Address

log = structlog.get_logger("bridge.listeners")

_BACKLOG = 1024
_PENDING = 1000  # connections behind proxies whose header or handshake has not come yet
_NO_ROOM_S = 1.0  # without a file descriptor left, nobody is taken for so long

Make = Callable[[str | None], asyncio.BaseProtocol]


class Entrance:
    """One address that clients come to.

    `make` makes the protocol of a connection. It is given the client's address where a proxy tells it, `""` where the
    proxy does not know it; None means that the transport's own `peername` is it.
    """

    def __init__(
        self,
        make: Make,
        *,
        tls: ssl.SSLContext | None = None,
        proxies: Networks | None = None,
        patience_s: float = 30.0,
    ) -> None:
        """`proxies`: who must send a PROXY header; nobody else may. `patience_s`: for header and handshake, each."""
        self._make = make
        self._tls = tls
        self._proxies = proxies
        self._patience_s = patience_s
        self._server: asyncio.Server | None = None
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._pending: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self, address: Address) -> None:
        """Listens. Raises OSError when the address is taken."""
        handshake_s = None if self._tls is None else self._patience_s
        if self._proxies is None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._make(None),
                address.host or None,
                address.port,
                ssl=self._tls,
                ssl_handshake_timeout=handshake_s,
                backlog=_BACKLOG,
            )
            self.port = self._server.sockets[0].getsockname()[1]
            return
        try:
            await self._listen(address)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Takes no more connections; those there are stay."""
        if self._server is not None:
            self._server.close()
        for task in (*self._accepting, *self._pending):
            task.cancel()
        for listening in self._sockets:
            listening.close()
        self._accepting.clear()
        self._sockets.clear()

    # --- behind proxies: a header is read before there is a transport, so that TLS begins behind it -------------------

    async def _listen(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, place in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            self._sockets.append(listening)
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(place)
            listening.listen(_BACKLOG)
        self.port = self._sockets[0].getsockname()[1]
        self._accepting = [loop.create_task(self._accept(listening)) for listening in self._sockets]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if len(self._pending) >= _PENDING:
                await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            try:
                connection, place = await loop.sock_accept(listening)
            except OSError as error:
                log.error("not_accepted", error=str(error))
                await asyncio.sleep(_NO_ROOM_S)
                continue
            task = loop.create_task(self._admit(connection, str(place[0])))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _admit(self, connection: socket.socket, peer: str) -> None:
        try:
            source = await self._source(connection, peer)
        except (ProxyError, OSError) as error:  # TimeoutError is one
            log.warning("proxy_header_refused", peer=peer, error=str(error) or "it did not come in time")
            connection.close()
            return
        except BaseException:
            connection.close()
            raise
        loop = asyncio.get_running_loop()
        handshake_s = None if self._tls is None else self._patience_s
        try:
            await loop.connect_accepted_socket(
                lambda: self._make(source), connection, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
        except (OSError, asyncio.CancelledError):
            connection.close()  # the handshake failed, which concerns nobody else

    async def _source(self, connection: socket.socket, peer: str) -> str | None:
        if not may_come(peer, self._proxies):
            return None
        async with asyncio.timeout(self._patience_s):
            header = await read_header(connection)
        return None if header.local else header.source or ""
